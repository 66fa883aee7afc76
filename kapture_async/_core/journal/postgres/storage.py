"""A journal in PostgreSQL, open for writing: in a run of its own, beside those of others.

What one commit holds, others see whole or not at all: a claim and its intent are one. Every batch
has a number, and is written once however often it is given; see :mod:`.schema`. While the database
is away nothing becomes durable, so nothing is sent: the journal's thread waits here for it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

import orjson
import psycopg

from ...errors import JournalError
from ..address import Address
from ..records import OUTCOMES, Job, same_again, trouble
from ..run_state import fold
from ..storage import (
    EncodedBatch,
    JournalSummary,
    KnownRow,
    PaceChange,
    PaceState,
    WriteBatch,
    _Interrupted,
    _RunOver,
    agreed,
)
from .connection import connect, kind_of, trouble_of
from .late import Past, place
from .lease import Lease
from .reader import KINDS, PostgresReader
from .schema import IDLE, composed, find_job, make_job, no_job, prepare

logger = logging.getLogger("kapture_async.push")

LEFT = "its process ended while it was under way"
DEAD = "the lease of its run ended while it was under way"
_TWICE = "two attempts were both accepted: a run sent after its lease had ended"
_MAYBE_TWICE = "an earlier attempt may have been accepted after a later one was"
_DEFAULT_CALL = 30.0
"""Seconds, for runs that send nothing."""
_BLOCK = 1000
"""Row numbers that are reserved at a time."""
_MOST_SPELLINGS = 20
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 2.0
"""Seconds between two tries to reach the database."""
_SAY_EVERY = 60.0
_AT_THE_END = 30.0
"""Seconds that a push that ends waits for the database at most."""

_KNOWN = """
SELECT r.row, r.key, r.digest, r.occurrence, f.kind, f.attempt, f.ticket_id, f.status, f.error,
    f.words, (SELECT max(g.attempt) FROM {s}.facts AS g WHERE g.job = r.job AND g.row = r.row),
    r.repeat_of, r.former, r.line, r.changed, r.traits, f.fact
FROM {s}.rows AS r
CROSS JOIN LATERAL (
    SELECT * FROM {s}.facts AS g WHERE g.job = r.job AND g.row = r.row
    ORDER BY g.fact DESC LIMIT 1
) AS f
WHERE r.job = %s AND """
_LOCK = """
SELECT 1 FROM {s}.rows AS r WHERE r.job = %s AND r.row = ANY (%s::bigint[])
ORDER BY r.row FOR UPDATE
"""
_BY_KEYED_CONTENT = (
    "CREATE INDEX IF NOT EXISTS rows_by_keyed_content ON {s}.rows (job, digest) "
    "WHERE key IS NOT NULL"
)
_COMMIT = "SELECT lost, late FROM {s}.commit_batch(%s, %s, %s, %s, %s::jsonb, %b)"
_WRITE = "SELECT lost, late FROM {s}.write_batch(%s, %s, %s, %s::jsonb, %b)"
_SAFE = (
    "SELECT set_config('synchronous_commit', 'on', true), "
    f"set_config('idle_in_transaction_session_timeout', '{IDLE}', true)"
)
_PACE = """
SELECT (SELECT ARRAY[version::text, rate, next_at::text, paused_until::text, drawn_at::text]
        FROM {s}.paces WHERE target = %s), extract(epoch FROM clock_timestamp())::float8
"""
_END = "SELECT {s}.end_run(%s, %s, %s, %s::bigint[], %s)"
_RENEW = """
UPDATE {s}.runs SET lease_until = extract(epoch FROM clock_timestamp()) + %s
WHERE run = %s AND NOT over AND ended IS NULL RETURNING lease_until
"""


class PostgresStorage(PostgresReader):
    """A journal in PostgreSQL, open for writing: see :class:`.Storage`."""

    shared = True

    def __init__(
        self, address: Address, connection: psycopg.Connection[Any], number: int, job: Job
    ) -> None:
        super().__init__(address, connection, number, job)
        self.broken: JournalError | None = None
        self.restored: float | None = None
        self.sent_in_all: int | None = None
        self.lease = Lease(_DEFAULT_CALL if job.longest_call is None else job.longest_call)
        self.tell: Callable[[str], None] = logger.warning
        """Told when the database is away, and when it is back."""
        self._hurry = threading.Event()
        self._run = 0
        self._batch = 0
        """The number of the last batch."""
        self._first_row = 1
        self._numbers = range(0)
        self._inside = False
        self._open: set[int] = set()
        """Rows whose attempts this run has under way."""
        self._seen: dict[int, int] = {}
        """The last event of each row that was looked up since the last batch."""
        self._spellings: dict[int, list[int]] | None = None
        self._has_index = False
        self._closed = False

    @classmethod
    def open(
        cls,
        where: str,
        *,
        job: Job | None,
        create: bool,
        now: Callable[[], float] = time.time,
        restored: bool = False,
    ) -> Self:
        """Open a journal, in a run of its own; make the tables and the job if need be.

        Args:
            where: its address.
            job: what it must be for; ``None`` takes it as it is.
            create: make it if it is not there; needs ``job``.
            now: the clock of this machine; that of the database counts.
            restored: the database is an older copy, as the caller knows: restored from a backup,
                or a replica that was promoted without all that the primary had.

        Raises:
            JournalError: see its message; nothing was changed.
        """
        address = Address.of(where)
        connection: psycopg.Connection[Any] | None = None
        problem: JournalError | None = None
        try:
            connection = connect(address)
            create = create and job is not None
            prepare(connection, address, create=create)
            found = find_job(connection, address)
            if found is None and create:
                assert job is not None
                make_job(connection, address, job)
                found = find_job(connection, address)
            if found is None:
                raise no_job(connection, address)
            number, stored = found
            storage = cls(
                address, connection, number, agreed(address.text, stored, job, create=create)
            )
            storage._begin_run(restored=restored)
            return storage
        except psycopg.Error as error:
            problem = trouble_of(address, error)
        except JournalError as error:
            problem = error
        if connection is not None:
            connection.close()
        raise problem  # outside, so that no frame of psycopg's, which hold the password, is behind

    def _begin_run(self, *, restored: bool) -> None:
        asked = self.lease.ask()
        with self._connection.transaction():
            self._execute(_SAFE)
            self._execute("SELECT 1 FROM {s}.job WHERE job = %s FOR UPDATE", [self._number])
            self._execute("SELECT {s}.end_leases(%s, %s, %s)", [self._number, self.now(), DEAD])
            if not self.job.payloads:  # also those that earlier runs have kept
                self._execute("DELETE FROM {s}.payloads WHERE job = %s", [self._number])
            ((before,),) = self._execute(
                "SELECT restored FROM {s}.job WHERE job = %s", [self._number]
            )
            self.restored = 0.0 if restored and before is None else before
            self._execute(
                "UPDATE {s}.job SET restored = %s, source = %s WHERE job = %s",
                [self.restored, self.job.source, self._number],
            )
            ((self._run, database),) = self._execute(
                "INSERT INTO {s}.runs (job, began, pid, host, longest_call, lease_until) "
                "SELECT %s, now, %s, %s, %s, now + %s "
                "FROM (SELECT extract(epoch FROM clock_timestamp())::float8 AS now) AS c "
                "RETURNING run, began",
                [
                    self._number,
                    os.getpid(),
                    socket.gethostname(),
                    self.job.longest_call,
                    self.lease.seconds,
                ],
            )
            ((last,),) = self._execute(
                "SELECT max(row) FROM {s}.rows WHERE job = %s", [self._number]
            )
        self._first_row = (last or 0) + 1
        self.lease.renewed(asked, float(database))

    # --- in any thread --------------------------------------------------------------------------

    def now(self) -> float:
        """See :meth:`.Storage.now`: the clock of the database."""
        return self.lease.now()

    def may_send(self) -> bool:
        """See :meth:`.Storage.may_send`."""
        return self.lease.may_send()

    def hurry(self) -> None:
        """See :meth:`.Storage.hurry`."""
        self._hurry.set()

    # --- looking rows up ------------------------------------------------------------------------

    def summary(self) -> JournalSummary:
        """See :meth:`.Storage.summary`."""
        kinds = dict(self._execute(KINDS, {"job": self._number}))
        found = self._execute(
            "SELECT (SELECT max(row) FROM {s}.rows WHERE job = %(job)s), "
            "EXISTS (SELECT 1 FROM {s}.rows WHERE job = %(job)s AND key IS NOT NULL), "
            "EXISTS (SELECT 1 FROM {s}.rows WHERE job = %(job)s AND key IS NULL), "
            "EXISTS (SELECT 1 FROM {s}.rows WHERE job = %(job)s AND repeat_of IS NOT NULL)",
            {"job": self._number},
        )
        last_row, with_key, without_key, has_repeats = found[0]
        return JournalSummary(kinds, last_row or 0, with_key, without_key, has_repeats)

    def reserve(self, count: int) -> Sequence[int]:
        """See :meth:`.Storage.reserve`: from a block of its own, which one commit gets."""
        if len(self._numbers) < count:
            question = (
                "UPDATE {s}.job SET next_row = next_row + %s WHERE job = %s RETURNING next_row"
            )
            ((end,),) = self._try(question, [max(count, _BLOCK), self._number])
            self._numbers = range(end - max(count, _BLOCK), end)
        given, self._numbers = self._numbers[:count], self._numbers[count:]
        return given

    def with_keys(self, keys: Sequence[str]) -> list[KnownRow]:
        """See :meth:`.Storage.with_keys`."""
        return self._known("r.key = ANY (%s) AND r.repeat_of IS NULL", list(keys))

    def with_contents(self, contents: Sequence[tuple[bytes, int]]) -> list[KnownRow]:
        """See :meth:`.Storage.with_contents`."""
        digests = [digest for digest, _ in contents]
        wanted = set(contents)
        found = self._known("r.key IS NULL AND r.digest = ANY (%s)", digests)
        return [known for known in found if (known.digest, known.occurrence) in wanted]

    def with_numbers(self, rows: Sequence[int]) -> list[KnownRow]:
        """See :meth:`.Storage.with_numbers`. Inside a transaction nothing is said of them by
        others until it ends."""
        if self._inside:
            self._execute(_LOCK, [self._number, list(rows)])
        return self._known("r.row = ANY (%s::bigint[])", list(rows))

    def with_key_and_content(self, digest: bytes) -> list[KnownRow]:
        """See :meth:`.Storage.with_key_and_content`."""
        if not self._has_index:
            self._try(_BY_KEYED_CONTENT)
            self._has_index = True
        return self._known(
            "r.key IS NOT NULL AND r.digest = %s AND r.occurrence >= 0 ORDER BY r.row", digest
        )

    def repeats_of(self, row: int) -> list[KnownRow]:
        """See :meth:`.Storage.repeats_of`."""
        return self._known("r.repeat_of = %s ORDER BY r.row", row)

    def with_spelling_of(self, key: str) -> list[KnownRow]:
        """See :meth:`.Storage.with_spelling_of`: of the rows there were when this run began."""
        if self._spellings is None:
            self._spellings = {}
            question = (
                "SELECT key, row FROM {s}.rows WHERE job = %s AND key IS NOT NULL "
                "AND repeat_of IS NULL AND row < %s ORDER BY row"
            )
            for other, row in self._try(question, [self._number, self._first_row]):
                self._spellings.setdefault(hash(fold(other)), []).append(row)
        folded = fold(key)
        rows = self._spellings.get(hash(folded), ())[:_MOST_SPELLINGS]
        return [
            known
            for known in (sorted(self.with_numbers(rows)) if rows else ())
            if known.key is not None and known.key != key and fold(known.key) == folded
        ]

    def _known(self, condition: str, value: Any) -> list[KnownRow]:
        found = []
        for *said, fact in self._try(f"{_KNOWN}{condition}", [self._number, value]):
            known = KnownRow(*said)
            self._seen[known.row] = fact
            found.append(known)
        return found

    # --- writing --------------------------------------------------------------------------------

    def write(self, batch: WriteBatch) -> Collection[int]:
        """See :meth:`.Storage.write`.

        Raises:
            _RunOver: the run is over. Its results are written, and nothing else of the batch.
            JournalError: it could not be made durable.
        """
        said, contents = self._said(batch)
        if self._inside:
            lost, late = self._insert(_WRITE, said, contents, batch.at)
        else:
            if self.broken is not None:
                raise same_again(self.broken)
            if not self.lease.over:
                self._batch += 1
                found = self._until_written(said, contents, batch.at)
            else:
                found = None
            if found is None:
                self._write_results(batch)
                raise self._is_over()
            lost, late = found
        self._seen.clear()
        self._note_open(batch, lost)
        if late:
            self._write_results(batch, set(late))
        return lost

    def _note_open(self, batch: WriteBatch, lost: Collection[int]) -> None:
        going = self._open
        going.update(batch.rows[:: WriteBatch.ROW])
        going.update(one.row for one in batch.new_rows if one.is_sent)
        going.difference_update(batch.accepted[:: WriteBatch.ACCEPTED])
        width = WriteBatch.EVENT
        for row, kind in zip(batch.events[::width], batch.events[1::width], strict=True):
            if kind == "intent":
                going.add(row)
            else:
                going.discard(row)
        going.difference_update(lost)

    def _until_written(
        self, said: bytes, contents: bytes, at: float
    ) -> tuple[list[int], list[int]] | None:
        """Write a batch, however often the connection is lost; ``None`` if the run is over."""
        while True:
            try:
                return self._insert(_COMMIT, said, contents, at, self._batch)
            except psycopg.Error as error:
                kind = kind_of(error)
                if kind == "over":
                    self.lease.over = True
                    return None
                problem = self._after(error)
            if problem is not None:
                raise problem

    def _insert(
        self, statement: str, said: bytes, contents: bytes, at: float, *number: int
    ) -> tuple[list[int], list[int]]:
        values = [self._number, self._run, *number, at, said.decode(), contents]
        ((lost, late),) = self._execute(statement, values)
        return lost, late

    def _said(self, batch: WriteBatch) -> tuple[bytes, bytes]:
        """A batch as one JSON value, and the bytes that it points into."""
        one = EncodedBatch.of(batch)
        accepted, events = one.accepted, one.events
        said: dict[str, Any] = {
            name: found
            for name in ("rows", "accepted", "events", "revised", "payloads", "forgotten")
            if (found := getattr(one, name))
        }
        if batch.contradictions:
            said["findings"] = batch.contradictions
        if batch.lookups:
            said["looks"] = batch.lookups
        again = [row for row, attempt, *_ in accepted if attempt > 1]
        if self._seen or again or events:
            fresh = {new[0] for new in one.rows}
            touched = {event[0] for event in events} | set(batch.revised) | set(batch.payloads)
            seen = [(row, self._seen[row]) for row in touched - fresh if row in self._seen]
            if seen and not self._inside:
                said["seen"] = seen
            again += [event[0] for event in events if event[1] in OUTCOMES and event[2] > 1]
            if again:
                said["again"] = again
        return orjson.dumps(said), one.contents

    def _write_results(self, batch: WriteBatch, rows: Collection[int] | None = None) -> None:
        """Write results that may come too late to decide; see :mod:`.late`.

        Args:
            batch: the results among its events are written, nothing else of it.
            rows: only those of these rows.
        """
        results: list[Any] = []
        for at in range(0, len(batch.accepted), WriteBatch.ACCEPTED):
            row, attempt, ticket_id, _ = batch.accepted[at : at + WriteBatch.ACCEPTED]
            results.append(
                (row, "accepted", attempt, None, None, None, ticket_id, None, None, None)
            )
        for at in range(0, len(batch.events), WriteBatch.EVENT):
            event = batch.events[at : at + WriteBatch.EVENT - 1]
            if event[1] in OUTCOMES and event[2] > 0:
                results.append(tuple(event))
        if rows is not None:
            results = [one for one in results if one[0] in rows]
        if not results:
            return
        if self._inside:
            self._place(results, batch.at)
            return
        while True:
            try:
                with self._connection.transaction():
                    self._execute(_SAFE)
                    self._place(results, batch.at)
                return
            except psycopg.Error as error:
                problem = self._after(error)
            if problem is not None:
                raise problem

    def _place(self, results: Sequence[Any], at: float) -> None:
        numbers = [one[0] for one in results]
        self._execute(_LOCK, [self._number, numbers])
        past: dict[int, list[Past]] = {}
        own: set[tuple[int, int]] = set()
        for row, fact, kind, attempt, ticket_id, run in self._execute(
            "SELECT row, fact, kind, attempt, ticket_id, run FROM {s}.facts "
            "WHERE job = %s AND row = ANY (%s::bigint[])",
            [self._number, numbers],
        ):
            past.setdefault(row, []).append(Past(fact, kind, attempt, ticket_id))
            if kind == "intent" and run == self._run:
                own.add((row, attempt))
        for row, kind, attempt, when, phase, status, ticket_id, error, words, evidence in results:
            if (row, attempt) not in own:
                continue  # what was decided about a row, and never begun
            placed = place(past[row], kind, attempt, ticket_id)
            values = [kind, attempt, when or at, phase, status, ticket_id, error, words, evidence]
            self._add(row, placed.decides, values)
            if placed.then == "accepted":
                other = next(p for p in past[row] if p.kind == "accepted" and p.attempt != attempt)
                self._add(
                    row, True, ["accepted", other.attempt, at, None, None, other.ticket_id,
                                None, None, None]
                )  # fmt: skip
            elif placed.then == "ambiguous":
                last = max(p.attempt for p in past[row])
                words = _TWICE if placed.tickets else _MAYBE_TWICE
                self._add(row, True, ["ambiguous", last, at, None, None, None, None, words, None])
                self._execute(
                    "INSERT INTO {s}.findings (job, row, kind, ticket_ids, at) "
                    "VALUES (%s, %s, 'twice', %s, %s) ON CONFLICT DO NOTHING",
                    [self._number, row, json.dumps(list(placed.tickets)), at],
                )
                logger.error("row %d of the journal %s: %s", row, self.path, words)

    def _add(self, row: int, decides: bool, values: Sequence[Any]) -> None:
        sign = "" if decides else "-"
        self._execute(
            "INSERT INTO {s}.facts (job, row, fact, run, kind, attempt, at, phase, status, "
            f"ticket_id, error, words, evidence) SELECT %s, %s, {sign}nextval(%s), %s, "
            "%s, %s, %s, %s, %s, %s, %s, %s, %s",
            [self._number, row, self._events, self._run, *values],
        )

    @property
    def _events(self) -> str:
        """The name of the sequence that numbers the events."""
        return f"{composed(self._address, '{s}').as_string(None)}.events"

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See :meth:`.Storage.transaction`."""
        if self.broken is not None:
            raise same_again(self.broken)
        if self.lease.over:
            raise self._is_over()
        self._batch += 1
        problem: Exception | None = None
        committing = False
        try:
            with self._connection.transaction():
                self._execute(
                    "SELECT {s}.begin_batch(%s, %s, %s)", [self._number, self._run, self._batch]
                )
                self._inside = True
                self._seen.clear()
                try:
                    yield
                finally:
                    self._inside = False
                    self._seen.clear()
                committing = True
        except psycopg.Error as error:
            if kind_of(error) == "over":
                self.lease.over = True
                problem = self._is_over()
            else:
                problem = self._after(error)
                if problem is None and not (committing and self._has_landed()):
                    self._batch -= 1
                    problem = _Interrupted("the connection was lost; nothing was written")
        except BaseException:
            self._batch -= 1
            raise
        if problem is not None:
            raise problem

    def _has_landed(self) -> bool:
        """Whether the last transaction did, now that the database is back. An old connection may
        still be at it: its lock is waited for."""
        found = self._try("SELECT batch FROM {s}.runs WHERE run = %s FOR UPDATE", [self._run])
        return bool(found) and found[0][0] == self._batch

    # --- the lease ------------------------------------------------------------------------------

    def claim_reconciler(self) -> None:
        """See :meth:`.Storage.claim_reconciler`: by a row, as locks of a session do not survive a
        pooler."""
        found = self._try(
            "UPDATE {s}.job AS j SET reconciler = %(run)s WHERE j.job = %(job)s AND NOT EXISTS ("
            "SELECT 1 FROM {s}.runs AS r WHERE r.run = j.reconciler AND r.run <> %(run)s "
            "AND r.ended IS NULL AND NOT r.over "
            "AND r.lease_until >= extract(epoch FROM clock_timestamp())) RETURNING 1",
            {"run": self._run, "job": self._number},
        )
        if not found:
            raise trouble(
                self.path,
                "another process is reconciling or verifying it just now",
                "Wait until that is done.",
            )

    def change_pace(self, change: PaceChange) -> Any:
        """See :meth:`.Storage.change_pace`: read, changed, and written if nobody was faster."""
        target = f"{self.job.service} {self.job.target}"
        while True:
            ((found, at),) = self._try(_PACE, [target])
            version, state = 0, None
            if found is not None:
                version = int(found[0])
                state = PaceState(found[1], *map(float, found[2:]))
            state, value = change(state, at)
            values = [target, version, state.rate, state.next_at, state.paused_until]
            ((written,),) = self._try(
                "SELECT {s}.put_pace(%s, %s, %s, %s, %s, %s)", [*values, state.drawn_at]
            )
            if written:
                return value

    def tick(self, kinds: Mapping[str, int]) -> None:
        """See :meth:`.Storage.tick`: renews the lease, and sees which others are over.

        Raises:
            _RunOver: this run is over.
        """
        if self.broken is not None or not (self.lease.over or self.lease.is_due):
            return
        if not self._renew(self._try):
            raise self._is_over()
        self._try("SELECT {s}.end_leases(%s, %s, %s)", [self._number, self.now(), DEAD])

    def _renew(self, execute: Callable[[str, Any], list[Any]]) -> bool:
        """Renew the lease. False if others have seen it end."""
        if self._run and not self.lease.over:
            asked = self.lease.ask()
            found = execute(_RENEW, [self.lease.seconds, self._run])
            if found:
                self.lease.renewed(asked, float(found[0][0]) - self.lease.seconds)
            else:
                self.lease.over = True
        return not self.lease.over

    def _is_over(self) -> _RunOver:
        return _RunOver(
            trouble(
                self.path,
                "the lease of this run is over: it was stopped, or cut off from the database, for "
                "too long, so that others had to take what it had under way for doubtful",
                "Push again: this run sends nothing more, and it writes down what becomes of what "
                "it has under way.",
            )
        )

    # --- failures -------------------------------------------------------------------------------

    def _execute(self, statement: str, values: Any = None) -> list[Any]:
        cursor = self._connection.execute(composed(self._address, statement), values)
        return cursor.fetchall() if cursor.description else []

    def _try(self, statement: str, values: Any = None) -> list[Any]:
        """A statement that may be made again; waits for a database that is away."""
        while True:
            try:
                return self._execute(statement, values)
            except psycopg.Error as error:
                if self._inside:
                    raise
                problem = self._after(error)
            if problem is not None:
                raise problem

    def _all(self, question: str, values: Any) -> list[Any]:
        if self._inside:
            return self._execute(question, values)
        return self._try(question, values)

    def _after(self, error: psycopg.Error) -> JournalError | None:
        """After a failure: ``None`` once the same can be tried again, else what to raise."""
        kind = kind_of(error)
        if kind == "again":
            time.sleep(_FIRST_WAIT)
            return None
        if kind != "away":
            self.broken = trouble_of(self._address, error)
            return self.broken
        problem = self._reconnect(trouble_of(self._address, error))
        if problem is not None:
            self.broken = problem
        return problem

    def _reconnect(self, problem: JournalError) -> JournalError | None:
        """Wait for the database. ``None`` once it is back."""
        wait, since, said_at = _FIRST_WAIT, time.monotonic(), None
        give_up_at: float | None = None
        while True:
            with suppress(psycopg.Error):
                self._connection.close()
            try:
                self._connection = connect(self._address)
                prepare(self._connection, self._address, create=False)
                self._renew(self._execute)  # what comes next may be sent at once
                if said_at is not None:
                    self.tell(
                        f"the journal's database is back after {time.monotonic() - since:.0f} s; "
                        "the push continues"
                    )
                return None
            except psycopg.Error as error:
                problem = trouble_of(self._address, error)
            except JournalError as error:
                return error
            now = time.monotonic()
            if self._hurry.is_set():
                give_up_at = give_up_at or now + _AT_THE_END
                if now >= give_up_at:
                    return problem
            if said_at is None or now - said_at >= _SAY_EVERY:
                said_at = now
                self.tell(
                    "the journal's database cannot be reached: nothing is sent until it is back"
                )
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    # --- the end --------------------------------------------------------------------------------

    def end(self, kinds: Mapping[str, int]) -> None:
        """See :meth:`.Storage.end`."""
        self.hurry()
        try:
            self._try(_END, [self._number, self._run, self.now(), list(self._open), LEFT])
        finally:
            self.close()

    def close(self) -> None:
        """Close it as it is. May be called again."""
        self.lease.over = True
        self._connection.close()


def put_source(where: str, source: str, *, at: float) -> None:
    """See :func:`.address.put_source`."""
    address = Address.of(where)
    problem: JournalError | None = None
    connection: psycopg.Connection[Any] | None = None
    try:
        connection = connect(address)
        prepare(connection, address, create=False)
        found = find_job(connection, address)
        if found is None:
            raise no_job(connection, address)
        connection.execute(
            composed(address, "UPDATE {s}.job SET source = %s WHERE job = %s"), [source, found[0]]
        )
    except psycopg.Error as error:
        problem = trouble_of(address, error)
    except JournalError as error:
        problem = error
    finally:
        if connection is not None:
            connection.close()
    if problem is not None:
        raise problem
