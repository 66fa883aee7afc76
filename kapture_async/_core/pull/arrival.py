"""The bytes of one window, fetched in the background, and never many ahead of their reader."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from attrs import evolve, frozen

from ..errors import ClientStateError, HelpdeskError, NoReplyError, ReplyTimeoutError
from ..phase import Attempt
from ..streamed import StreamedResponse
from ..transport.settings import CallOptions

ROOM = 256 * 1024
"""Bytes that may wait for their reader, per window, until the window's stream waits, too."""


@frozen
class End:
    """The transfer came to its end. Whether the answer is whole, its reader knows."""


Part = StreamedResponse | bytes | End | Exception
"""What a reader gets: the beginning of a transfer, its bytes, its end, or why there is none.

A transfer that breaks off is begun anew: then another beginning follows."""


class Arrival:
    """The answer to one request on its way in. It begins at once, in a task of its own.

    What breaks off is asked for again, as often as the retry policy says. A stream that waited
    for its reader and was hung up on by the server meanwhile is no failure of the service: if it
    had come further than the ones before, the count begins anew.

    Args:
        begin: sends the request, with the retries and the time that are left.
        options: the retries and the time for all of it. Only waiting for the service counts;
            the reader may take as long as it likes.
        room: bytes that may wait for their reader.
        sleep: replaceable for tests.
    """

    def __init__(
        self,
        begin: Callable[[CallOptions], Awaitable[StreamedResponse]],
        options: CallOptions,
        *,
        room: int = ROOM,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._begin = begin
        self._options = options
        self._room = room
        self._sleep = sleep
        self._parts: deque[Part] = deque()
        self._held = 0
        self._come = asyncio.Event()
        self._wanted = asyncio.Event()
        self._verdict: asyncio.Future[HelpdeskError | None] | None = None
        self._tries: tuple[Attempt, ...] = ()
        self._spent = 0.0
        self._furthest = 0
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._run())
        self._task.add_done_callback(self._ended)

    @property
    def ready(self) -> bool:
        """Whether the next part is here."""
        return bool(self._parts)

    async def take(self) -> Part:
        """The next part. A cancellation loses nothing.

        After an :class:`End`, say :meth:`accept` or :meth:`ask_again`.

        Raises:
            ClientStateError: it was closed.
        """
        while not self._parts:
            if self._task.done():
                raise ClientStateError("the pull was closed", next_step="Begin another one.")
            self._come.clear()
            await self._come.wait()
        part = self._parts.popleft()
        if isinstance(part, bytes):
            self._held -= len(part)
            if self._held < self._room:
                self._wanted.set()
        return part

    def accept(self) -> None:
        """The answer is whole."""
        if self._verdict is not None and not self._verdict.done():
            self._verdict.set_result(None)

    def ask_again(self, error: HelpdeskError) -> None:
        """The answer broke off, although the transfer came to its end.

        Args:
            error: the last word, if it cannot be asked for again.
        """
        if self._verdict is not None and not self._verdict.done():
            self._verdict.set_result(error)

    async def aclose(self) -> None:
        """Stop, and let go of the connection. May be called again."""
        self._task.cancel()
        await asyncio.wait({self._task})
        self._parts.clear()

    def drop(self) -> None:
        """The same from anywhere, without waiting."""
        with suppress(RuntimeError):  # the loop is closed, and with it everything in it
            self._loop.call_soon_threadsafe(self._task.cancel)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._come.set()
        if not task.cancelled():
            task.exception()  # it has none: what goes wrong is a part

    # --- in the background ----------------------------------------------------------------------

    def _put(self, part: Part) -> None:
        self._parts.append(part)
        self._come.set()

    async def _run(self) -> None:
        retry = self._options.retry
        while True:
            try:
                failure, may_go_again = await self._transfer()
            except HelpdeskError as error:
                # What cannot even begin has used up all its tries by itself.
                if error.attempts is not self._tries:
                    error.attempts = _counted(*self._tries, *error.attempts)
                self._put(error)
                return
            except Exception as error:  # a bug, which the reader must hear of
                self._put(error)
                return
            if failure is None:
                return
            failure.attempts = self._tries
            if not may_go_again or len(self._tries) >= retry.attempts:
                self._put(failure)
                return
            wait = retry.backoff(len(self._tries), random.random())
            if self._time_left is not None and wait >= self._time_left:
                self._put(failure)
                return
            self._spent += wait
            await self._sleep(wait)

    async def _transfer(self) -> tuple[HelpdeskError | None, bool]:
        """One transfer: why it is not whole, if so, and whether asking again may help."""
        begun = await self._begun()
        try:
            self._tries = _counted(*self._tries, *begun.attempts)
            begun.check_size()
            self._put(begun)
            received, waited = 0, False
            while True:
                if self._held >= self._room:
                    waited = True
                    await self._wait_for_reader(begun)
                try:
                    chunk = await self._chunk(begun)
                except (NoReplyError, ReplyTimeoutError) as error:
                    if waited and received > self._furthest:
                        self._tries = _counted(*begun.attempts)
                    self._furthest = max(received, self._furthest)
                    return error, self._time_left is None or self._time_left > 0
                if chunk is None:
                    break
                received += len(chunk)
                self._held += len(chunk)
                self._put(chunk)
        finally:
            begun.close()
        self._verdict = self._loop.create_future()
        self._put(End())
        return await self._verdict, True

    async def _begun(self) -> StreamedResponse:
        options, left = self._options, self._time_left
        retry = evolve(options.retry, attempts=max(1, options.retry.attempts - len(self._tries)))
        timeout = options.timeout
        if left is not None and self._spent:
            timeout = evolve(timeout, total=max(left, 0.001))
        since = self._loop.time()
        try:
            return await self._begin(options.changed(retry=retry, timeout=timeout))
        finally:
            self._spent += self._loop.time() - since

    async def _chunk(self, begun: StreamedResponse) -> bytes | None:
        since = self._loop.time()
        left = self._time_left
        timer = asyncio.timeout(left)
        try:
            async with timer:
                return await begun.next_chunk()
        except TimeoutError:
            if not timer.expired():
                raise
        finally:
            self._spent += self._loop.time() - since
        total = self._options.timeout.total
        raise begun.about(b"").error(
            ReplyTimeoutError, f"the answer did not arrive whole within {total:g} seconds"
        )

    async def _wait_for_reader(self, begun: StreamedResponse) -> None:
        begun.rest()
        while self._held >= self._room:
            self._wanted.clear()
            await self._wanted.wait()
        await begun.go_on()

    @property
    def _time_left(self) -> float | None:
        total = self._options.timeout.total
        return None if total is None else total - self._spent


def _counted(*tries: Attempt) -> tuple[Attempt, ...]:
    """The tries of several transfers, as those of one call."""
    return tuple(evolve(attempt, number=number) for number, attempt in enumerate(tries, 1))
