"""The rows of a push: as the caller gives them, under way, and the reader that takes them from
their source."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
)
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, TypeVar

from attrs import define, field, frozen

from ..errors import (
    HelpdeskError,
    InvalidInputError,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
)
from ..journal.records import Decision, LookupVerdict
from ..outcome import Accepted, AnyOutcome, NotSent, Rejected, Unknown
from ..transport.call_state import Semaphore

if TYPE_CHECKING:
    from .push import Push

R = TypeVar("R")
T = TypeVar("T")

NOTHING: Final[Any] = object()
"""The result of a row that has none."""

_READ_AHEAD = 8
"""Rows that are read ahead, so that a fresh one is there when it is due."""


@frozen
class Row(Generic[T]):
    """A row with its key and where it came from. Its repr shows no content.

    Attributes:
        value: what is to be sent.
        key: the caller's name for the row; its outcome has it, too.
        line: where it began in its file, from 1.
        problem: why it cannot be sent; it then becomes a ``NotSent`` without being tried.
        keyed: the key identifies the row for good. A line number does not: it changes when a
            line is inserted before it, so a journal identifies the row by its content then.
        entry: the journal row that this one replaces, as the command ``rejects`` names it.
        content: what could be read of a row with a ``problem``, by wire names; a journal keeps
            it, so that the row can be fixed.
    """

    value: T = field(repr=False, hash=False)
    key: str | None = None
    line: int | None = None
    problem: InvalidInputError | None = None
    keyed: bool = True
    entry: str | None = None
    content: Any = field(default=None, repr=False, hash=False)


class Held(NamedTuple):
    """A row that only the journal holds."""

    row: int
    payload: bytes
    reference: str = ""

    def __repr__(self) -> str:
        return f"<Held row {self.row}>"  # the payload is the caller's


Source = Iterable[T] | AsyncIterable[T]


@define
class Slowed:
    """What is known of a row that was asked to slow down.

    Attributes:
        times: how often it was.
        passed: how many rows had been accepted when it was last asked.
        others: how many tries of any row had been asked by then.
        wait: seconds it waits by itself before its next try.
        own: it was meant for this row alone.
        apart: a worker of its own waits with it.
    """

    times: int = 0
    passed: int = 0
    others: int = 0
    wait: float = 0.0
    own: bool = False
    apart: bool = False


class InFlightRow(Generic[R]):
    """One row, from its source to its outcome.

    Attributes:
        index: its place in the source.
        row: as the source gave it.
        value: what is sent.
        key: its name for its outcome.
        own_key: the key, if it names the row for good.
        problem: why it cannot be sent at all.
        started: when it was taken from the source.
        ended: when its last try ended well.
        tries: how many were made.
        result: what the call returned.
        last: how the last try ended, if not well.
        known: the journal's decision, if it is not to be sent.
        ready: what is sent, without its reference, until the journal has answered.
        looking: the journal is only being asked about it.
        looked_up: the journal was asked about it, and it may be sent.
        entry: its row in the journal, once its intent is recorded.
        attempt: the number of that intent.
        reference: what finds it again in the helpdesk; empty without a journal.
        deferred: its row in the journal, while it waits to be tried again.
        slowed: set once it was asked to slow down.
        slot: the slot that it holds until its turn comes.
        found: the result of a lookup before it could be sent.
        has_turn: it counts as in flight for the throttle.
        line: where it began in its file, if it came from one.
        sent, folded, number, given: what its answer is compared with, the same without what
            services change, the number that its id is kept under, and the id that it was accepted
            with (empty if its answer gave none); see :mod:`.answers`.
        checked: its answer repeats something of the row.
    """

    __slots__ = (
        "attempt",
        "checked",
        "deferred",
        "ended",
        "entry",
        "folded",
        "found",
        "given",
        "has_turn",
        "index",
        "key",
        "known",
        "last",
        "line",
        "looked_up",
        "looking",
        "number",
        "own_key",
        "problem",
        "ready",
        "reference",
        "result",
        "row",
        "sent",
        "slot",
        "slowed",
        "started",
        "tries",
        "value",
    )

    def __init__(self, index: int, row: Any, started: float) -> None:
        self.index: int = index
        self.row: Any = row
        self.started: float = started
        self.ended: float = started
        self.value: Any = row
        self.key: str | None = None
        self.own_key: str | None = None
        self.line: int | None = None
        self.problem: InvalidInputError | None = None
        if isinstance(row, Row):
            self.key, self.line, self.problem = row.key, row.line, row.problem
            self.value = row.value
            self.own_key = row.key if row.keyed else None
        self.tries: int = 0
        self.result: R = NOTHING
        self.last: HelpdeskError | None = None
        self.known: Decision | None = None
        self.ready: Any = None
        self.looking = self.looked_up = False
        self.entry: int | None = None
        self.attempt: int = 0
        self.deferred: int = 0
        self.reference: str = ""
        self.found: LookupVerdict | None = None
        self.slot: Semaphore | None = None
        self.slowed: Slowed | None = None
        self.has_turn: bool = False
        self.checked: bool = False
        self.sent: Any = None
        self.folded: Any = None
        self.number: int = 0
        self.given: str | None = None

    def release_slot(self) -> None:
        """Let another row be read: this one has had its turn, or needs none."""
        if self.slot is not None:
            self.slot.release()
            self.slot = None

    def outcome(self, now: Callable[[], float]) -> AnyOutcome[R]:
        """Its outcome, once it was tried for the last time; its content is that of the outcome."""
        row, result = self.row, self.result
        self.row = self.value = self.ready = None
        self.result = NOTHING
        if result is not NOTHING:
            return Accepted(
                index=self.index,
                key=self.key,
                row=row,
                attempts=self.tries,
                elapsed=self.ended - self.started,
                result=result,
                checked=self.checked,
            )
        common: dict[str, Any] = {
            "index": self.index,
            "key": self.key,
            "row": row,
            "attempts": self.tries,
            "elapsed": now() - self.started,
        }
        if isinstance(self.last, RejectedError):
            return Rejected(error=self.last, **common)
        if isinstance(self.last, NotSentError):
            return NotSent(error=self.last, **common)
        assert isinstance(self.last, OutcomeUnknownError)
        return Unknown(error=self.last, **common)


class Feed(Protocol[R]):
    """Where the workers of a push get their rows."""

    def get_nowait(self) -> InFlightRow[R] | None:
        """A row that is there already; ``None`` if :meth:`get` must be awaited."""
        ...

    async def get(self) -> InFlightRow[R] | None:
        """A row to be sent, or with its ``problem``; ``None`` when there are no more."""
        ...

    def hold_slot(self, row: InFlightRow[R]) -> None:
        """It has to wait for its turn."""
        ...


class RowReader(Generic[R]):
    """Takes rows from the source of a push until it ends, fails, or is no longer wanted.

    Any number of workers may read. Where there is no journal, it is where they get their rows.

    Args:
        push: whose rows they are; it stops if the source fails.
        source: the rows.
        key: gives a row's key.

    Raises:
        InvalidInputError: the source is no iterable, or is a single row by mistake.
    """

    def __init__(
        self, push: Push[R], source: Source[Any], key: Callable[[Any], str] | None
    ) -> None:
        self._push = push
        self._key = key
        self._now = push._now
        self._sync: Iterator[Any] | None = None
        self._async: AsyncIterator[Any] | None = None
        self._then: AsyncIterator[Any] | None = None
        if isinstance(source, AsyncIterable):
            self._async = aiter(source)
        elif isinstance(source, Iterable) and not isinstance(source, (str, bytes, dict)):
            self._sync = iter(source)
        else:
            raise InvalidInputError(
                f"a push takes an iterable of rows, not a single {type(source).__name__}"
            )
        self.at_once = self._sync is not None
        """The source never blocks, so that :meth:`read_nowait` may be used."""
        self._turn = asyncio.Lock()
        self._waiting: set[asyncio.Task[Any]] = set()
        self._ahead = Semaphore(_READ_AHEAD)
        self._stopped = False
        self.taken = 0
        """Rows that came out of the source."""
        self.over = False
        """There will be no more."""
        self.exhausted = False
        """Because the source is at its end."""

    def then(self, rows: AsyncIterator[Any]) -> None:
        """Continue with these rows at the end of the source."""
        if self._sync is not None:
            self._async, self._sync = _awaited(self._sync), None
            self.at_once = False
        self._then = rows

    def get_nowait(self) -> InFlightRow[R] | None:
        """See :class:`Feed`."""
        # Without a slot: nothing else runs before it has its turn or holds a slot.
        return self.read_nowait() if self._ahead.free else None

    async def get(self) -> InFlightRow[R] | None:
        """See :class:`Feed`."""
        ahead = self._ahead
        await ahead.acquire()
        row = None
        try:
            row = await self.read()
        finally:
            if row is None:
                ahead.release()
        if row is not None:
            row.slot = ahead
        return row

    def hold_slot(self, row: InFlightRow[R]) -> None:
        """See :class:`Feed`."""
        if row.slot is None:
            self._ahead.free -= 1
            row.slot = self._ahead

    async def read(self) -> InFlightRow[R] | None:
        """The next row, or ``None`` when there are no more."""
        if self._sync is not None:
            return self.read_nowait()
        if self.over:
            return None
        try:
            given = await self._next()
        except BaseException as error:
            self._end(error)
            return None
        if isinstance(given, InFlightRow):  # read before; it waited for the end of the source
            given.started = given.ended = self._now()
            return given
        return self._begin(given)

    def read_nowait(self) -> InFlightRow[R] | None:
        """:meth:`read` without waiting, which saves a coroutine per row."""
        if self.over or self._sync is None:
            return None
        try:
            for given in self._sync:
                return self._begin(given)
        except BaseException as error:
            self._end(error)
            return None
        self.over = self.exhausted = True
        return None

    def stop(self) -> None:
        """Read no more. Workers waiting for the source, perhaps forever, are cancelled."""
        self._stopped = self.over = True
        for worker in self._waiting:
            worker.cancel()

    async def aclose(self) -> None:
        """Let an async generator that is left early clean up now, and not when it is collected."""
        if isinstance(self._async, AsyncGenerator):
            await self._async.aclose()

    def _begin(self, given: Any) -> InFlightRow[R]:
        row: InFlightRow[R] = InFlightRow(self.taken, given, self._now())
        self.taken += 1
        if self._key is not None and row.key is None and row.problem is None:
            self._set_key(row, self._key)
        return row

    def _end(self, error: BaseException) -> None:
        """Note that the source gives no more; the push stops, unless it is simply at its end."""
        self.over = True
        if isinstance(error, StopAsyncIteration):
            self.exhausted = True
        elif isinstance(error, _Stopped):
            pass
        elif isinstance(error, Exception):
            error.add_note(
                f"raised by the source of the push after {self.taken} rows; every row taken "
                "before has its outcome"
            )
            self._push._fail(error, f"the source failed with {type(error).__name__}")
        else:
            raise error

    async def _next(self) -> Any:
        """The next row of an async source."""
        worker = asyncio.current_task()
        assert worker is not None
        self._waiting.add(worker)
        try:
            async with self._turn:  # an async generator cannot be asked by two at once
                while not self.over:  # asked again, an iterator may wait forever
                    assert self._async is not None
                    try:
                        return await anext(self._async)
                    except StopAsyncIteration:
                        if self._then is None:
                            raise
                        self._async, self._then = self._then, None
                raise _Stopped
        except asyncio.CancelledError:
            if self._push._is_cut_off():
                raise
            if not self._stopped:
                raise RuntimeError("the source of the push was cancelled") from None
            worker.uncancel()
            raise _Stopped from None
        finally:
            self._waiting.discard(worker)

    def _set_key(self, row: InFlightRow[R], key_of: Callable[[Any], Any]) -> None:
        try:
            key = key_of(row.value)
        except Exception as error:
            row.problem = InvalidInputError(f"key= raised {type(error).__name__} for it")
            return
        if isinstance(key, str):
            row.key = row.own_key = key
        elif isinstance(key, int) and not isinstance(key, bool):
            row.key = row.own_key = str(key)
        elif key is not None:  # 7 and 7.0 would be two rows, and "nan" one for many
            words = f"key= must give text or a whole number, not {type(key).__name__}"
            row.problem = InvalidInputError(words)


async def _awaited(rows: Iterator[Any]) -> AsyncIterator[Any]:
    for row in rows:
        yield row


class _Stopped(Exception):
    """A worker's wait for a row was cancelled, or is of no use any more."""
