"""The bytes of one window, fetched in the background, and never many ahead of their reader."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Generic, Protocol, TypeVar

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
from ..phase import Attempt
from ..response import ResponseContext, StreamedResponse
from ..transport.settings import CallOptions
from .json_stream import RowSplitter

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


T = TypeVar("T")

_PIECE = 64 * 1024
"""Bytes that are decoded at a time; the event loop gets its turn in between."""


@frozen(kw_only=True)
class RowsRule(Generic[T]):
    """What a service says of answers with rows.

    Attributes:
        key: where the list of rows stands in the answer.
        decode: makes rows of decoded objects.
        id_of: a row's id, if it has one.
        rest_of: the rows of a confirmed answer that are no list: one alone, or none. A list of
            rows has been taken out of it before, and is empty.
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
    no_row: Callable[[ResponseContext, T], HelpdeskError | None] = lambda _judged, _row: None


class Source(Protocol[T]):
    """Where the rows of one window come from."""

    @property
    def done(self) -> bool:
        """Whether all rows were handed out and the window is confirmed."""
        ...

    @property
    def total(self) -> int | None:
        """How many rows there are, if the service says so; known when it is done."""
        ...

    @property
    def empty_by_words(self) -> bool:
        """Whether it has no rows because a text said so, which proves nothing; see ``done``."""
        ...

    async def next_rows(self) -> list[T] | None:
        """Some rows, perhaps none of them; ``None`` at the confirmed end."""

    async def aclose(self) -> None:
        """Stop fetching. May be called again."""

    def drop(self) -> None:
        """The same from anywhere, without waiting."""


class Arriving(Generic[T]):
    """A :class:`Source` that reads an answer as it arrives. Fetching begins at once.

    Args:
        begin: sends the request.
        options: retries and time for all of it; see :class:`Arrival`.
        rule: what the service says of such answers.
        room: bytes that may wait for their reader.
        own: rows keep the bytes they came in, for whoever writes them down; see
            :class:`.splitter.RowSplitter`.
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
        self._arrival = Arrival(begin, options, room=room)
        self._rule = rule
        self._begun: StreamedResponse | None = None
        self._splitter = RowSplitter(rule.key, own=own)
        self._left = memoryview(b"")
        self._came = False
        self._done = False
        self._empty_by_words = False
        self._total: int | None = None
        self._nameless: Counter[bytes] = Counter()
        self._known: Counter[bytes] = Counter()

    @property
    def done(self) -> bool:
        """See :class:`Source`."""
        return self._done

    @property
    def total(self) -> int | None:
        """See :class:`Source`."""
        return self._total

    @property
    def empty_by_words(self) -> bool:
        """See :class:`Source`."""
        return self._empty_by_words

    async def next_rows(self) -> list[T] | None:
        """See :class:`Source`. A cancellation loses nothing.

        Raises:
            HelpdeskError: the window failed for good. Rows may have been handed out before.
        """
        if self._done:
            return None
        if self._left or self._arrival.ready:
            await asyncio.sleep(0)  # whoever else runs in this loop has a turn
        if not self._left:
            part = await self._arrival.take()
            if isinstance(part, StreamedResponse):
                self._begin(part)
                return []
            if isinstance(part, End):
                return self._end()
            if isinstance(part, Exception):
                raise part
            self._left = memoryview(part)
        piece, self._left = self._left[:_PIECE], self._left[_PIECE:]
        rows, problem = self._split(piece)
        if problem is not None:
            raise problem
        return rows

    async def aclose(self) -> None:
        """See :class:`Source`."""
        await self._arrival.aclose()

    def drop(self) -> None:
        """See :class:`Source`."""
        self._arrival.drop()

    # --- below: no public names -----------------------------------------------------------------

    def _begin(self, begun: StreamedResponse) -> None:
        self._begun = begun
        self._splitter = RowSplitter(self._rule.key, charset=begun.charset, own=self._own)
        self._known = Counter(self._nameless)

    def _split(self, piece: memoryview) -> tuple[list[T], HelpdeskError | None]:
        try:
            found = self._splitter.feed(piece)
            if not found:
                if self._splitter.has_enough:  # a page without an end, say
                    self._judge()
                return [], None
            if not all(isinstance(row, dict) for row in found):
                raise UnreadableReplyError(
                    f"the answer's {self._rule.key!r} is neither rows nor a text"
                )
            return self._counted(self._rule.decode(found)), None
        except HelpdeskError as error:
            return [], self._finally(error)

    def _counted(self, rows: list[T]) -> list[T]:
        id_of = self._rule.id_of
        if not all(map(id_of, rows)):
            assert self._begun is not None
            for row in rows:
                if not id_of(row) and (error := self._rule.no_row(self._begun.about(b""), row)):
                    raise error
            rows = [row for row in rows if id_of(row) or self._is_new(row)]
        self._came = self._came or bool(rows)
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
            assert self._begun is not None
            self._arrival.ask_again(
                self._begun.about(b"").unreadable("the answer is JSON that breaks off")
            )
            return []
        try:
            rest = self._judge()
        except HelpdeskError as error:
            problem = self._finally(error)
        else:
            self._arrival.accept()
            self._done = True
            return rest
        raise problem

    def _judge(self) -> list[T]:
        """The rows of a confirmed answer that did not stand in a list.

        Raises:
            HelpdeskError: it is not confirmed.
        """
        begun, splitter = self._begun, self._splitter
        assert begun is not None
        other = splitter.other
        body = dumps(splitter.envelope) if other is None else other
        try:
            judged = begun.judged(body)
            if splitter.alone is not None:
                judged.body = {**judged.body, self._rule.key: splitter.alone}
            rest = self._rule.rest_of(judged)
        except RejectedError as error:
            if not self._came and self._rule.says_none(error):
                self._empty_by_words = True
                return []
            raise
        self._empty_by_words = not (rest or self._came or splitter.listed)
        rows = self._counted(self._rule.decode(rest)) if rest else []
        self._total = self._rule.total_of(judged)
        return rows

    def _finally(self, error: HelpdeskError) -> HelpdeskError:
        """The error of a window that is over, with its whole story."""
        assert self._begun is not None
        if not error.service:
            about = self._begun.about(b"")
            cls = type(error) if isinstance(error, ReplyTooLargeError) else UnreadableReplyError
            error = about.error(cls, error.message)
        self._arrival.drop()
        return error


class Fetched(Generic[T]):
    """A :class:`Source` whose rows come all at once. Fetching begins at once.

    Args:
        rows: gives the rows.
    """

    def __init__(self, rows: Awaitable[list[T]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(rows)
        self._task.add_done_callback(_look_at)
        self._done = False

    @property
    def done(self) -> bool:
        """See :class:`Source`."""
        return self._done

    @property
    def total(self) -> int | None:
        """See :class:`Source`: who fetches whole lists has looked at that."""
        return None

    @property
    def empty_by_words(self) -> bool:
        """See :class:`Source`."""
        return False

    async def next_rows(self) -> list[T] | None:
        """See :class:`Source`."""
        if self._done:
            return None
        # Waited for and not awaited: a cancellation of the reader must not become the task's.
        await asyncio.wait({self._task})
        self._done = True
        return self._task.result()

    async def aclose(self) -> None:
        """See :class:`Source`."""
        self._task.cancel()
        await asyncio.wait({self._task})

    def drop(self) -> None:
        """See :class:`Source`. What was asked for by others is left to end by itself."""


def content_digest(content: Any) -> bytes:
    """Stands for a decoded JSON value, whatever the order of its keys."""
    return blake2b(dumps(content, sort_keys=True), digest_size=12).digest()


def _look_at(task: asyncio.Future[Any]) -> None:
    """So that a window nobody came to read is not reported as "never retrieved"."""
    if not task.cancelled():
        task.exception()
