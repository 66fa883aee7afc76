"""What a journaled push does with a row beside sending it.

The order of facts: the reference is fixed and the intent is on the disk before the row is sent;
its outcome is on the disk before anybody hears of it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from attrs import evolve, field, frozen

from ..errors import HelpdeskError, InvalidInputError, JournalError
from ..outcome import Outcome
from .journal.facts import LATER, Identity, Job, Taken, is_name
from .journal.reference import digest_of
from .journal.writer import Journal
from .rows import Row

V = TypeVar("V")
E = TypeVar("E", bound=Outcome)

_HELD_AT_ONCE = 500
_WORDS = 500


@frozen(kw_only=True)
class Records(Generic[V]):
    """How the rows of one operation stand in a journal.

    Attributes:
        job: what the journal is for.
        ready: a row as what is sent; raises ``InvalidInputError``.
        pack: that as bytes, always the same for the same content.
        unpack: the bytes as what is sent.
        mark: what is sent, with a reference in it.
    """

    job: Job
    ready: Callable[[Any], V]
    pack: Callable[[V], bytes]
    unpack: Callable[[bytes], V]
    mark: Callable[[V, str], V]


class Entry(NamedTuple):
    """A row whose intent is on the disk: send ``value``, then :meth:`Recorder.end`."""

    row: int
    attempt: int
    value: Any


Begun = Entry | Taken | InvalidInputError | JournalError
"""What a journal says to a row that is to be sent."""
BegunDone = Callable[[Any, Begun], None]
"""Called with a token of the caller's, and the answer."""


class Held(NamedTuple):
    """A row that only the journal holds."""

    row: int
    payload: bytes

    def __repr__(self) -> str:
        return f"<Held row {self.row}>"  # the payload is the caller's


@frozen
class JournalFile(os.PathLike[str]):
    """The path of a journal, with what it shall say of the rows' source; see :class:`.Job`.

    Given as ``journal=`` to a push whose rows come from a file.

    Attributes:
        again: class names of refusals after which a row may be sent once more as it is.
    """

    path: str
    keys: str | None = None
    shape: str | None = field(default=None, repr=False)
    source: str | None = field(default=None, repr=False)
    again: frozenset[str] = LATER

    def __fspath__(self) -> str:
        return self.path


class Recorder:
    """Between the engine and the journal of one push.

    Args:
        path: the journal's file.
        records: how rows stand in it.
    """

    def __init__(self, path: str | os.PathLike[str], records: Records[Any]) -> None:
        if isinstance(path, JournalFile):
            job = evolve(records.job, keys=path.keys, shape=path.shape, source=path.source)
            records = evolve(records, job=job)
        self._refusals = path.again if isinstance(path, JournalFile) else LATER
        self._path = path
        self._records = records
        self._journal: Journal | None = None
        self._payloads = records.job.payloads

    @property
    def journal(self) -> Journal:
        """The journal, open."""
        assert self._journal is not None
        return self._journal

    async def open(self) -> None:
        """Open the journal, or make it.

        Raises:
            JournalError: it cannot be used; nothing was sent.
        """
        self._journal = await Journal.open(self._path, job=self._records.job, again=self._refusals)
        self._payloads = self._journal.job.payloads

    def begin(
        self,
        key: str | None,
        row: Any,
        value: Any,
        problem: InvalidInputError | None,
        done: BegunDone,
        token: Any = None,
    ) -> None:
        """Ask whether a row may be sent, without waiting for the answer.

        Args:
            key: its name, if it has one for good.
            row: as the source gave it.
            value: what is to be sent.
            problem: why it cannot be.
            done: called with the token and the answer: an :class:`Entry`, and its intent is on
                the disk; or what the journal knows, and it is not to be sent; or why it cannot
                be.
            token: the caller's own.
        """
        records, journal = self._records, self._journal
        assert journal is not None
        if isinstance(value, Held):
            ready = records.unpack(value.payload)
            journal.take_again_soon(value.row, self._has_taken, (ready, done, token))
            return
        if problem is None:
            try:
                ready = records.ready(value)
                packed = records.pack(ready)
            except InvalidInputError as error:
                problem = error.with_traceback(None)  # its frames hold the row
            except Exception as error:  # a type with a bug, a structure that holds itself
                problem = InvalidInputError(f"the data cannot be encoded ({type(error).__name__})")
            else:
                try:
                    line = row.line if isinstance(row, Row) else None
                    identity = Identity(key, digest_of(packed), line)
                    journal.take_soon(identity, packed, self._has_taken, (ready, done, token))
                except InvalidInputError as error:
                    problem = error.with_traceback(None)
                except JournalError as error:
                    done(token, error)
                    return
                else:
                    return
        self._refuse(key, row, problem, done, token)

    def _has_taken(
        self,
        begun: tuple[Any, BegunDone, Any],
        taken: Taken | None,
        error: JournalError | None,
    ) -> None:
        ready, done, token = begun
        if taken is None or taken.action != "send":
            known = taken if taken is not None else error
            assert known is not None
            done(token, known)
            return
        try:
            marked = self._records.mark(ready, taken.reference)
        except InvalidInputError as problem:
            self.journal.settle_soon(
                taken.row,
                taken.attempt,
                "not_sent",
                error=type(problem).__name__,
                words=str(problem),
            )
            done(token, problem.with_traceback(None))
            return
        done(token, Entry(taken.row, taken.attempt, marked))

    def _refuse(
        self,
        key: str | None,
        row: Any,
        problem: InvalidInputError,
        done: BegunDone,
        token: Any,
    ) -> None:
        """Note a row that cannot be sent as it is.

        It has no content to be told by. Without a key that can name it, it goes by its line and
        by what is wrong with it; where it has no line either, rows with the same trouble are
        counted. That finds it again as long as the source stays as it is.
        """
        line = row.line if isinstance(row, Row) else None
        wrong = problem.message.encode(errors="replace")
        identity = Identity(key, digest_of(wrong), line)
        if not is_name(key):
            identity = Identity(None, digest_of(b"refused\0%d\0" % (line or 0) + wrong), line)
        try:
            self.journal.take_soon(
                identity,
                None,
                lambda token, _, error: done(token, error or problem),
                token,
                refusal=(type(problem).__name__, problem.message[:_WORDS]),
            )
        except JournalError as error:
            done(token, error)

    def end(self, entry: Entry, outcome: E, done: Callable[[E, JournalError | None], None]) -> None:
        """Write down what became of a row; ``done`` is called with the outcome when that is on
        the disk, or with what kept it from getting there."""
        row, attempt, name = entry.row, entry.attempt, outcome.name
        error: HelpdeskError | None = getattr(outcome, "error", None)
        if error is None:
            self.journal.settle_soon(row, attempt, name, done, outcome, ticket_id=outcome.ticket_id)
            return
        self.journal.settle_soon(
            row,
            attempt,
            name,
            done,
            outcome,
            phase=None if error.phase is None else int(error.phase),
            status=error.status,
            error=type(error).__name__,
            words=self._words_of(error),
        )

    def put_off(self, entry: Entry, error: HelpdeskError) -> None:
        """Write down that a row was not taken, and will be tried again."""
        self.journal.settle_soon(
            entry.row,
            entry.attempt,
            "not_sent",
            status=error.status,
            error=type(error).__name__,
            words=self._words_of(error),
        )

    async def again(self, entry: Entry) -> Entry:
        """A new attempt of a row that was put off.

        Raises:
            JournalError: the journal failed: the row must not be sent.
        """
        taken = await self.journal.take_again(entry.row)
        if taken.action != "send":  # somebody else has it: sent now, it would be sent twice
            raise JournalError(f"a row that was put off was taken meanwhile ({taken.action})")
        return Entry(taken.row, taken.attempt, entry.value)

    async def held(self) -> AsyncIterator[Row[Held]]:
        """The rows that can be sent from what the journal holds."""
        after = 0
        while True:
            found = await self.journal.call(
                lambda store, after=after: [  # type: ignore[misc]
                    (view, store.came(view.row))
                    for view in islice(store.pending(self._refusals, after=after), _HELD_AT_ONCE)
                ]
            )
            for view, came in found:
                if view.payload is not None and not came:  # else it had its turn, or waits for it
                    yield Row(Held(view.row, view.payload), view.key, view.line)
            if len(found) < _HELD_AT_ONCE:
                return
            after = found[-1][0].row

    def _words_of(self, error: HelpdeskError) -> str:
        """What the service said. It may name what it refused, so a journal that shall keep no
        content keeps only our own words for it."""
        words = error.vendor_message if self._payloads else None
        return (words or error.message)[:_WORDS]

    async def aclose(self) -> None:
        """Write what waits, and give the journal back."""
        if self._journal is not None:
            await self._journal.aclose()
