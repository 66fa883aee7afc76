"""What is read from a journal's file."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from ...filelock import owner_of
from .. import marks
from ..marks import Mark
from ..records import STATE_AFTER, Contradiction, Job, Look, Owner, Run
from ..reference import reference_of
from ..storage import StoredName, StoredReason, StoredRow
from .errors import damage_of, path_text
from .schema import disconnect, examine

KINDS = "SELECT kind, count(*), max(fact) FROM last_facts GROUP BY kind"

_OF_KINDS = "f.kind IN (SELECT value FROM json_each(?))"
_PAGE = """
SELECT r.row, f.fact FROM rows AS r
CROSS JOIN facts AS f
    ON f.row = r.row AND f.fact = (SELECT max(g.fact) FROM facts AS g WHERE g.row = r.row)
WHERE r.row > ? AND {of_kinds}
ORDER BY r.row LIMIT ?
"""
_ROWS = """
WITH page AS MATERIALIZED ({page}),
said AS (
    SELECT g.row, p.fact, max(g.attempt) AS attempts,
        max(g.fact) FILTER (WHERE g.kind = 'intent') AS intent,
        max(g.fact) FILTER (WHERE g.kind = 'unknown') AS unknown,
        min(g.at) FILTER (WHERE g.kind = 'intent') AS first_intent_at,
        max(g.at) FILTER (WHERE g.kind = 'intent') AS sent_at,
        max(g.at) FILTER (WHERE g.kind IN ('intent', 'unknown')) AS last_at
    FROM page AS p CROSS JOIN facts AS g ON g.row = p.row GROUP BY g.row, p.fact
)
SELECT r.row, r.key, r.digest, r.occurrence, r.line, r.traits, r.repeat_of, f.kind, f.attempt,
    f.at, f.ticket_id, f.status, f.error, f.words, f.evidence, s.attempts, s.first_intent_at,
    s.sent_at, s.last_at,
    (SELECT count(*) FROM facts AS g
        WHERE g.row = s.row AND g.fact > s.intent AND g.kind = 'missing'),
    (SELECT max(g.at) FROM facts AS g
        WHERE g.row = s.row AND g.fact > s.intent AND g.kind = 'missing'),
    u.error, u.words, {payload}
FROM said AS s
CROSS JOIN rows AS r ON r.row = s.row
CROSS JOIN facts AS f ON f.row = s.row AND f.fact = s.fact
LEFT JOIN facts AS u ON u.row = s.row AND u.fact = s.unknown
ORDER BY s.row
"""
_PAYLOAD = "(SELECT payload FROM payloads AS p WHERE p.row = s.row)"
_NAMES = """
SELECT r.row, r.key, r.digest, r.occurrence, f.kind FROM rows AS r
CROSS JOIN facts AS f
    ON f.row = r.row AND f.fact = (SELECT max(g.fact) FROM facts AS g WHERE g.row = r.row)
WHERE r.row > ? ORDER BY r.row LIMIT ?
"""
_REASONS = """
SELECT kind, error, status, words, attempt = 0, count(*) FROM last_facts
WHERE kind IN (SELECT value FROM json_each(?)) GROUP BY kind, error, status, words, attempt = 0
"""
_CHANGED = """
SELECT count(*) FROM rows AS r JOIN last_facts AS f ON f.row = r.row
WHERE r.changed AND f.kind IN ('accepted', 'present')
"""
_SENT = "SELECT DISTINCT CAST(at / 3600 AS INTEGER) FROM facts WHERE kind = 'intent'"
_FOUND_BY_COPIES = """
SELECT min(i.at), max(f.at) FROM facts AS f
JOIN facts AS i ON i.row = f.row AND i.attempt = f.attempt AND i.kind = 'intent'
WHERE f.evidence LIKE '%"older_copy"%'
"""
_FINDINGS = """
SELECT r.key, r.digest, r.occurrence, r.line, c.kind, c.ticket_ids, c.at
FROM findings AS c JOIN rows AS r ON r.row = c.row ORDER BY c.finding
"""
_IDS = "SELECT row, ticket_id FROM facts WHERE ticket_id IS NOT NULL"
_AT_ONCE = 500


class SQLiteReader:
    """A journal's file, open for reading: see :class:`.ReadStorage`."""

    def __init__(self, path: str, connection: sqlite3.Connection, job: Job) -> None:
        self.path = path
        self.job = job
        self._connection = connection
        self._closed = False

    @classmethod
    def open_to_read(cls, path: str | os.PathLike[str], *, restored: bool = False) -> SQLiteReader:
        """Open a journal for reading. Changes nothing in it.

        Args:
            path: its file.
            restored: it is an older copy: without its ``-wal`` file it is read all the same.

        Raises:
            JournalError: it is not there, is not a journal, or a part of it is lost.
        """
        text = path_text(path)
        connection, job, _ = examine(text, restored=restored)
        return SQLiteReader(text, connection, job)

    def kinds(self) -> Mapping[str, int]:
        """See :meth:`.ReadStorage.kinds`."""
        found = self._all(KINDS)
        with self._our_errors():
            return {_kind(kind): count for kind, count, _ in found}

    def rows(
        self,
        after: int,
        most: int,
        *,
        kinds: Collection[str] | None = None,
        payloads: bool = False,
    ) -> list[StoredRow]:
        """See :meth:`.ReadStorage.rows`."""
        page = _PAGE.format(of_kinds="true" if kinds is None else _OF_KINDS)
        values = [after, most] if kinds is None else [after, as_json(list(kinds)), most]
        question = _ROWS.format(page=page, payload=_PAYLOAD if payloads else "NULL")
        with self._our_errors():
            found = [StoredRow(*one) for one in self._connection.execute(question, values)]
            for one in found:
                _check(one)
        return found

    def names(self, after: int, most: int) -> list[StoredName]:
        """See :meth:`.ReadStorage.names`."""
        with self._our_errors():
            found = [StoredName(*one) for one in self._connection.execute(_NAMES, (after, most))]
            for one in found:
                _kind(one.kind)
        return found

    def payloads(self, first: int, last: int) -> dict[int, bytes]:
        """See :meth:`.ReadStorage.payloads`."""
        question = "SELECT row, payload FROM payloads WHERE row BETWEEN ? AND ?"
        return dict(self._all(question, (first, last)))

    def reasons(self, kinds: Collection[str]) -> list[StoredReason]:
        """See :meth:`.ReadStorage.reasons`."""
        return [StoredReason(*one) for one in self._all(_REASONS, (as_json(list(kinds)),))]

    def changed(self) -> int:
        """See :meth:`.ReadStorage.changed`."""
        ((found,),) = self._all(_CHANGED)
        return int(found)

    def sent_hours(self) -> set[int]:
        """See :meth:`.ReadStorage.sent_hours`."""
        hours = {hour for (hour,) in self._all(_SENT)}
        ((first, last),) = self._all(_FOUND_BY_COPIES)
        if first is not None:
            with self._our_errors():
                hours |= set(range(int(first // 3600), int(last // 3600) + 1))
        return hours

    def accepted_among(self, ticket_ids: Collection[str]) -> set[str]:
        """See :meth:`.ReadStorage.accepted_among`."""
        question = "SELECT ticket_id FROM last_facts WHERE kind IN ('accepted', 'present')"
        return {ticket for (ticket,) in self._each(question) if ticket in ticket_ids}

    def rows_with_ids(self, ticket_ids: Collection[str]) -> list[tuple[int, str]]:
        """See :meth:`.ReadStorage.rows_with_ids`."""
        return [(row, ticket) for row, ticket in self._each(_IDS) if ticket in ticket_ids]

    def last_ids(self, most: int) -> list[tuple[int, str]]:
        """See :meth:`.ReadStorage.last_ids`."""
        return self._all(f"{_IDS} ORDER BY row DESC LIMIT ?", (most,))

    def runs(self) -> list[Run]:
        """See :meth:`.ReadStorage.runs`."""
        question = "SELECT run, began, ended, pid, host, longest_call FROM runs ORDER BY run"
        return [
            Run(run=run, began=began, ended=ended, pid=pid, host=host, longest_call=longest)
            for run, began, ended, pid, host, longest in self._all(question)
        ]

    def lookups(self) -> list[Look]:
        """See :meth:`.ReadStorage.lookups`."""
        found = self._all("SELECT look, at, evidence FROM looks ORDER BY look")
        return [Look(look=look, at=at, evidence=evidence) for look, at, evidence in found]

    def contradictions(self) -> list[Contradiction]:
        """See :meth:`.ReadStorage.contradictions`."""
        found = []
        for key, digest, occurrence, line, kind, ticket_ids, at in self._all(_FINDINGS):
            with self._our_errors():
                reference = reference_of(self.job.job_id, key, digest, occurrence)
                tickets = tuple(map(str, json.loads(ticket_ids)))
            found.append(Contradiction(kind, key, line, reference, tickets, at))
        return found

    def contradicted(self) -> Mapping[str, int]:
        """See :meth:`.ReadStorage.contradicted`."""
        return dict(self._all("SELECT kind, count(*) FROM findings GROUP BY kind"))

    def made(self) -> float:
        """See :meth:`.ReadStorage.made`."""
        ((found,),) = self._all("SELECT made FROM job")
        with self._our_errors():
            return float(found)

    def was_restored(self) -> bool:
        """See :meth:`.ReadStorage.was_restored`."""
        ((found,),) = self._all("SELECT restored FROM job")
        return found is not None

    def newer_copy(self) -> Mark | None:
        """See :meth:`.ReadStorage.newer_copy`, and :mod:`.marks`."""
        mark = marks.read(self.job)  # before what it is compared with, which may grow meanwhile
        if mark is None:
            return None
        tally = self._all(KINDS)
        rows = sum(number for _, number, _ in tally)
        events = max((last for *_, last in tally), default=0)
        runs = self._all("SELECT nonce, rows, events FROM runs ORDER BY run")
        return mark if marks.is_ahead(mark, runs, rows, events) else None

    def writers(self) -> list[Owner]:
        """See :meth:`.ReadStorage.writers`."""
        owner = owner_of(self.path)
        return [] if owner is None else [owner]

    def explain(self, error: BaseException) -> BaseException:
        """See :meth:`.ReadStorage.explain`."""
        return damage_of(self.path, error)

    def close(self) -> None:
        """See :meth:`.ReadStorage.close`."""
        if not self._closed:
            self._closed = True
            disconnect(self._connection, self.path)

    def _all(self, question: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._our_errors():
            return self._connection.execute(question, values).fetchall()

    def _each(self, question: str) -> Iterator[Any]:
        with self._our_errors():
            cursor = self._connection.execute(question)
        try:
            while True:
                with self._our_errors():
                    found = cursor.fetchmany(_AT_ONCE)
                if not found:
                    return
                yield from found
        finally:
            cursor.close()

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            made = self.explain(error)
            if made is not error:
                raise made from error
            raise


def as_json(values: Any) -> str:
    """Values for ``json_each``."""
    return orjson.dumps(values).decode()


def _kind(kind: str) -> str:
    if kind not in STATE_AFTER:
        raise ValueError("an event of a kind there is not")
    return kind


def _check(row: StoredRow) -> None:
    """Refuse what no journal holds; SQLite takes any value in any column."""
    _kind(row.kind)
    for at in (row.at, row.first_intent_at, row.sent_at, row.last_at):
        if at is not None:
            float(at)
