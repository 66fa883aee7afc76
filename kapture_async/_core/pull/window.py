"""The rows of one window (a day, say), decoded while the answer is still arriving.

The mark of success may come last, so rows are handed out before anything has confirmed them: they
are what the service sent, but whether they are all of the window, only its end tells. That end
comes only after an answer that is whole and passes the service's rule of success. Anything else
raises, or the window is requested again, and then rows that were handed out before are dropped:
by their ids, which :class:`.pages.Pages` does, or by their content where they have none.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen

from ..errors import (
    ClientStateError,
    HelpdeskError,
    NoReplyError,
    RejectedError,
    ReplyTimeoutError,
    ReplyTooLargeError,
    UnreadableReplyError,
)
from ..jsontext import dumps
from ..phase import Attempt, renumbered
from ..response import ResponseContext, StreamedResponse
from ..transport.settings import CallOptions
from .json_stream import RowSplitter

T = TypeVar("T")

ROOM = 256 * 1024  # bytes that may wait for their reader, per window, until the transfer waits, too
_PIECE = 64 * 1024  # bytes that are decoded at a time; other tasks get their turn in between


class Window(Generic[T]):
    """Where the rows of one window come from.

    Attributes:
        done: all rows were handed out, and the window is confirmed.
        total: how many rows there are, if the service says so; known when it is done.
        empty_by_words: it has no rows because a text said so, which proves nothing; see ``done``.
    """

    done = False
    total: int | None = None
    empty_by_words = False

    async def next_rows(self) -> list[T] | None:
        """Some rows, perhaps none of them; ``None`` at the confirmed end."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Stop fetching. May be called again."""

    def drop(self) -> None:
        """The same from anywhere, without waiting."""


class FetchedWindow(Window[T]):
    """A window whose rows come all at once. Fetching begins at once.

    Args:
        rows: gives the rows.
    """

    def __init__(self, rows: Awaitable[list[T]]) -> None:
        self._task = asyncio.ensure_future(rows)
        self._task.add_done_callback(_retrieve)

    async def next_rows(self) -> list[T] | None:
        """See :class:`Window`."""
        if self.done:
            return None
        # Waited for and not awaited: a cancellation of the reader must not become the task's.
        await asyncio.wait({self._task})
        self.done = True
        return self._task.result()

    async def aclose(self) -> None:
        """See :class:`Window`."""
        self._task.cancel()
        await asyncio.wait({self._task})


def _retrieve(task: asyncio.Future[Any]) -> None:
    """So that the error of a window that no one came to read is not reported by the loop."""
    if not task.cancelled():
        task.exception()


@frozen(kw_only=True)
class RowsRule(Generic[T]):
    """What a service says of answers with rows.

    Attributes:
        key: where the list of rows stands in the answer.
        decode: makes rows of decoded objects.
        id_of: a row's id, if it has one.
        rest_of: the rows of a confirmed answer that are not in a list: one alone, or none. A list
            of rows has been taken out of it before, and is empty.
        total_of: how many rows a confirmed answer says there are, if it says so.
        says_none: whether a refusal only says that there are no rows.
        no_row: the error for an object without an id that is no row at all; ``None`` for a row.
    """

    key: str
    decode: Callable[[list[dict[str, Any]]], list[T]]
    id_of: Callable[[T], str | None]
    rest_of: Callable[[ResponseContext], list[dict[str, Any]]]
    total_of: Callable[[ResponseContext], int | None]
    says_none: Callable[[RejectedError], bool]
    no_row: Callable[[ResponseContext, T], HelpdeskError | None] = lambda _response, _row: None


class StreamedWindow(Window[T]):
    """A window that is read as its answer arrives. Fetching begins at once.

    Args:
        begin: sends the request.
        options: retries and time for all of it; see :class:`Transfer`.
        rule: what the service says of such answers.
        room: bytes that may wait for their reader.
        own: rows keep the bytes they came in, to be written to a file; see
            :class:`.json_stream.RowSplitter`.
    """

    def __init__(
        self,
        begin: Callable[[CallOptions], Awaitable[StreamedResponse]],
        options: CallOptions,
        rule: RowsRule[T],
        *,
        room: int = ROOM,
        own: bool = False,
    ) -> None:
        self._own = own
        self._transfer = Transfer(begin, options, room=room)
        self._rule = rule
        self._response: StreamedResponse
        self._splitter = RowSplitter(rule.key, own=own)
        self._left = memoryview(b"")
        self._has_rows = False
        # Rows without ids that were handed out, by any transfer; and those of former ones that
        # are expected to come again.
        self._nameless: Counter[bytes] = Counter()
        self._known: Counter[bytes] = Counter()

    async def next_rows(self) -> list[T] | None:
        """See :class:`Window`. A cancellation loses nothing.

        Raises:
            HelpdeskError: the window failed for good. Rows may have been handed out before.
        """
        if self.done:
            return None
        if self._left or self._transfer.ready:
            await asyncio.sleep(0)  # other tasks of this loop get a turn
        if not self._left:
            part = await self._transfer.take()
            if isinstance(part, StreamedResponse):
                self._response = part
                self._splitter = RowSplitter(self._rule.key, charset=part.charset, own=self._own)
                self._known = Counter(self._nameless)
                return []
            if isinstance(part, End):
                return self._end()
            if isinstance(part, Exception):
                raise part
            self._left = memoryview(part)
        piece, self._left = self._left[:_PIECE], self._left[_PIECE:]
        try:
            return self._split(piece)
        except HelpdeskError as error:
            problem = self._final(error)
        raise problem

    async def aclose(self) -> None:
        """See :class:`Window`."""
        await self._transfer.aclose()

    def drop(self) -> None:
        """See :class:`Window`."""
        self._transfer.drop()

    def _split(self, piece: memoryview) -> list[T]:
        found = self._splitter.feed(piece)
        if not found:
            if self._splitter.has_enough:  # a page without an end, say
                self._check()
            return []
        if not all(isinstance(row, dict) for row in found):
            key = self._rule.key
            raise UnreadableReplyError(f"the answer's {key!r} is neither rows nor a text")
        return self._new_rows(self._rule.decode(found))

    def _new_rows(self, rows: list[T]) -> list[T]:
        id_of = self._rule.id_of
        if not all(map(id_of, rows)):
            for row in rows:
                if not id_of(row) and (error := self._rule.no_row(self._response.context(), row)):
                    raise error
            rows = [row for row in rows if id_of(row) or self._is_new(row)]
        self._has_rows = self._has_rows or bool(rows)
        return rows

    def _is_new(self, row: T) -> bool:
        """Whether a row without an id was not handed out by a transfer that broke off."""
        digest = content_digest(getattr(row, "raw", row))
        if self._known[digest] > 0:
            self._known[digest] -= 1
            return False
        self._nameless[digest] += 1
        return True

    def _end(self) -> list[T]:
        if self._splitter.finish() == "broken":
            context = self._response.context()
            self._transfer.ask_again(context.unreadable("the answer is JSON that breaks off"))
            return []
        try:
            rest = self._check()
        except HelpdeskError as error:
            problem = self._final(error)
        else:
            self._transfer.accept()
            self.done = True
            return rest
        raise problem

    def _check(self) -> list[T]:
        """The rows of a confirmed answer that were not in a list.

        Raises:
            HelpdeskError: it is not confirmed.
        """
        splitter = self._splitter
        body = dumps(splitter.envelope) if splitter.other is None else splitter.other
        try:
            response = self._response.check(body)
            if splitter.alone is not None:
                response.body = {**response.body, self._rule.key: splitter.alone}
            rest = self._rule.rest_of(response)
        except RejectedError as error:
            if not self._has_rows and self._rule.says_none(error):
                self.empty_by_words = True
                return []
            raise
        self.empty_by_words = not (rest or self._has_rows or splitter.listed)
        rows = self._new_rows(self._rule.decode(rest)) if rest else []
        self.total = self._rule.total_of(response)
        return rows

    def _final(self, error: HelpdeskError) -> HelpdeskError:
        """The error of a window that is over, with its whole story."""
        if not error.service:
            cls = type(error) if isinstance(error, ReplyTooLargeError) else UnreadableReplyError
            error = self._response.context().error(cls, error.message)
        self._transfer.drop()
        return error


def content_digest(content: Any) -> bytes:
    """Stands for a decoded JSON value, whatever the order of its keys."""
    return blake2b(dumps(content, sort_keys=True), digest_size=12).digest()


# --- the transfer, in the background -------------------------------------------------------------


@frozen
class End:
    """The transfer came to its end. Whether the answer is whole, its reader knows."""


Part = StreamedResponse | bytes | End | Exception
"""What a reader gets: the beginning of a transfer, its bytes, its end, or why there is none.

After a transfer that broke off another beginning follows."""


class Transfer:
    """The bytes of one answer, fetched by a task of its own, never far ahead of their reader.

    What breaks off is requested again, as often as the retry policy says. A stream that waited
    for its reader and was closed by the server meanwhile is no failure of the service: if it
    had come further than the ones before, the count starts again.

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
        self._arrived = asyncio.Event()
        self._wanted = asyncio.Event()
        self._verdict: asyncio.Future[HelpdeskError | None] | None = None
        self._attempts: tuple[Attempt, ...] = ()
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

        After an :class:`End`, call :meth:`accept` or :meth:`ask_again`.

        Raises:
            ClientStateError: it was closed.
        """
        while not self._parts:
            if self._task.done():
                raise ClientStateError("the pull was closed", next_step="Begin another one.")
            self._arrived.clear()
            await self._arrived.wait()
        part = self._parts.popleft()
        if isinstance(part, bytes):
            self._held -= len(part)
            if self._held < self._room:
                self._wanted.set()
        return part

    def accept(self) -> None:
        """The answer is whole."""
        self._decide(None)

    def ask_again(self, error: HelpdeskError) -> None:
        """The answer broke off, although the transfer came to its end.

        Args:
            error: the last word, if it cannot be requested again.
        """
        self._decide(error)

    def _decide(self, verdict: HelpdeskError | None) -> None:
        if self._verdict is not None and not self._verdict.done():
            self._verdict.set_result(verdict)

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
        self._arrived.set()
        _retrieve(task)  # it has no error: what goes wrong is a part

    def _put(self, part: Part) -> None:
        self._parts.append(part)
        self._arrived.set()

    async def _run(self) -> None:
        retry = self._options.retry
        while True:
            try:
                failure, may_go_again = await self._attempt()
            except HelpdeskError as error:
                # What cannot even begin has used up all its attempts by itself.
                if error.attempts is not self._attempts:
                    error.attempts = renumbered(*self._attempts, *error.attempts)
                self._put(error)
                return
            except Exception as error:  # a bug, which the reader must hear of
                self._put(error)
                return
            if failure is None:
                return
            failure.attempts = self._attempts
            wait = retry.backoff(len(self._attempts), random.random())
            late = self._time_left is not None and wait >= self._time_left
            if late or not may_go_again or len(self._attempts) >= retry.attempts:
                self._put(failure)
                return
            self._spent += wait
            await self._sleep(wait)

    async def _attempt(self) -> tuple[HelpdeskError | None, bool]:
        """One transfer: why it is not whole, if so, and whether asking again may help."""
        response = await self._respond()
        try:
            self._attempts = renumbered(*self._attempts, *response.reply.attempts)
            response.check_size()
            self._put(response)
            received, waited = 0, False
            while True:
                if self._held >= self._room:
                    waited = True
                    await self._wait_for_reader(response)
                try:
                    chunk = await self._chunk(response)
                except (NoReplyError, ReplyTimeoutError) as error:
                    if waited and received > self._furthest:
                        self._attempts = renumbered(*response.reply.attempts)
                    self._furthest = max(received, self._furthest)
                    return error, self._time_left is None or self._time_left > 0
                if chunk is None:
                    break
                received += len(chunk)
                self._held += len(chunk)
                self._put(chunk)
        finally:
            response.reply.close()
        self._verdict = self._loop.create_future()
        self._put(End())
        return await self._verdict, True

    async def _respond(self) -> StreamedResponse:
        options, left = self._options, self._time_left
        attempts = max(1, options.retry.attempts - len(self._attempts))
        timeout = options.timeout
        if left is not None and self._spent:
            timeout = evolve(timeout, total=max(left, 0.001))
        since = self._loop.time()
        try:
            retry = evolve(options.retry, attempts=attempts)
            return await self._begin(options.changed(retry=retry, timeout=timeout))
        finally:
            self._spent += self._loop.time() - since

    async def _chunk(self, response: StreamedResponse) -> bytes | None:
        since = self._loop.time()
        timer = asyncio.timeout(self._time_left)
        try:
            async with timer:
                return await response.reply.next_chunk()
        except TimeoutError:
            if not timer.expired():
                raise
        finally:
            self._spent += self._loop.time() - since
        total = self._options.timeout.total
        raise response.context().error(
            ReplyTimeoutError, f"the answer did not arrive whole within {total:g} seconds"
        )

    async def _wait_for_reader(self, response: StreamedResponse) -> None:
        response.reply.release_slot()
        while self._held >= self._room:
            self._wanted.clear()
            await self._wanted.wait()
        await response.reply.reacquire_slot()

    @property
    def _time_left(self) -> float | None:
        total = self._options.timeout.total
        return None if total is None else total - self._spent
