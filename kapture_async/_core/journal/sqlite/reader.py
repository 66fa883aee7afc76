"""Reading a journal's file."""

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
from ..records import STATE_AFTER, Contradiction, Job, Owner, PastLookup, Run
from ..reference import DIGEST, reference_of
from ..run_state import fold
from ..storage import KnownRow, StoredName, StoredReason, StoredRow
from .errors import damage_of, path_text
from .schema import disconnect, examine

_KINDS = """
SELECT kind, count(*) FROM unaccepted GROUP BY kind
UNION ALL
SELECT 'accepted', (SELECT count(*) FROM rows) - (SELECT count(*) FROM unaccepted)
"""
_PAGE = "SELECT row FROM rows WHERE row > ? ORDER BY row LIMIT ?"
_PAGE_OF_KINDS = """
SELECT row FROM unaccepted
WHERE row > ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY row LIMIT ?
"""
_PAGE_OF_ACCEPTED = """
SELECT row FROM rows LEFT JOIN unaccepted USING (row)
WHERE row > ? AND coalesce(kind, 'accepted') IN (SELECT value FROM json_each(?))
ORDER BY row LIMIT ?
"""
_ROWS = """
WITH page AS MATERIALIZED ({page}),
said AS (
    SELECT g.row, max(g.event) AS event, max(g.attempt) AS attempts,
        max(g.event) FILTER (WHERE g.kind = 'intent') AS intent,
        max(g.event) FILTER (WHERE g.kind = 'unknown') AS unknown,
        min(g.at) FILTER (WHERE g.kind = 'intent') AS first_intent_at,
        max(g.at) FILTER (WHERE g.kind = 'intent') AS sent_at,
        max(g.at) FILTER (WHERE g.kind IN ('intent', 'unknown')) AS last_at
    FROM page AS p CROSS JOIN events AS g ON g.row = p.row GROUP BY g.row
)
SELECT r.row, r.key, r.digest, r.occurrence, r.line, r.traits, r.repeat_of, f.kind, f.attempt,
    f.at, f.ticket_id, f.status, f.error, f.words, f.evidence, s.attempts, s.first_intent_at,
    s.sent_at, s.last_at,
    (SELECT count(*) FROM events AS g
        WHERE g.row = s.row AND g.event > s.intent AND g.kind = 'missing'),
    (SELECT max(g.at) FROM events AS g
        WHERE g.row = s.row AND g.event > s.intent AND g.kind = 'missing'),
    u.error, u.words, {payload}
FROM said AS s
CROSS JOIN rows AS r ON r.row = s.row
CROSS JOIN events AS f ON f.row = s.row AND f.event = s.event
LEFT JOIN events AS u ON u.row = s.row AND u.event = s.unknown
ORDER BY s.row
"""
_PAYLOAD = "(SELECT payload FROM payloads AS p WHERE p.row = s.row)"
_NAMES = """
SELECT r.row, r.key, r.digest, r.occurrence, coalesce(u.kind, 'accepted')
FROM rows AS r LEFT JOIN unaccepted AS u ON u.row = r.row
WHERE r.row > ? ORDER BY r.row LIMIT ?
"""
_REASONS = """
SELECT u.kind, f.error, f.status, f.words, f.attempt = 0, count(*)
FROM unaccepted AS u CROSS JOIN events AS f
    ON f.row = u.row AND f.event = (SELECT max(g.event) FROM events AS g WHERE g.row = u.row)
WHERE u.kind IN (SELECT value FROM json_each(?))
GROUP BY u.kind, f.error, f.status, f.words, f.attempt = 0
"""
_CHANGED = """
SELECT count(*) FROM rows AS r LEFT JOIN unaccepted AS u ON u.row = r.row
WHERE r.changed AND coalesce(u.kind, 'accepted') IN ('accepted', 'present')
"""
_ACCEPTED_AMONG = """
SELECT DISTINCT f.ticket_id FROM events AS f LEFT JOIN unaccepted AS u ON u.row = f.row
WHERE f.ticket_id IN (SELECT value FROM json_each(?))
    AND coalesce(u.kind, 'accepted') IN ('accepted', 'present')
    AND f.event = (SELECT max(g.event) FROM events AS g WHERE g.row = f.row)
"""
_SENT = "SELECT DISTINCT CAST(at / 3600 AS INTEGER) FROM events WHERE kind = 'intent'"
_FOUND_BY_COPIES = """
SELECT min(i.at), max(f.at) FROM events AS f
JOIN events AS i ON i.row = f.row AND i.attempt = f.attempt AND i.kind = 'intent'
WHERE f.evidence LIKE '%"older_copy"%'
"""
_CONTRADICTIONS = """
SELECT r.key, r.digest, r.occurrence, r.line, c.kind, c.ticket_ids, c.at
FROM contradictions AS c JOIN rows AS r ON r.row = c.row ORDER BY c.contradiction
"""
_WITH_IDS = "SELECT row, ticket_id FROM events WHERE ticket_id IN (SELECT value FROM json_each(?))"
_LAST_IDS = (
    "SELECT row, ticket_id FROM events WHERE ticket_id IS NOT NULL AND row < ? "
    "ORDER BY row DESC LIMIT ?"
)
_KNOWN = """
SELECT r.row, r.key, r.digest, r.occurrence, f.kind, f.attempt, f.ticket_id, f.status, f.error,
    f.words, (SELECT max(g.attempt) FROM events AS g WHERE g.row = r.row), r.repeat_of, r.former,
    r.line, r.changed, r.traits
FROM {source}
CROSS JOIN events AS f
    ON f.row = r.row AND f.event = (SELECT max(g.event) FROM events AS g WHERE g.row = r.row)
{where}
"""
_WITH_KEYS = _KNOWN.format(
    source="json_each(?) AS w CROSS JOIN rows AS r ON r.key = w.value",
    where="WHERE r.repeat_of IS NULL",
)
_WITH_CONTENTS = _KNOWN.format(
    source="json_each(?1) AS w CROSS JOIN rows AS r ON r.key IS NULL "
    f"AND r.digest = substr(?2, 1 + {DIGEST} * w.key, {DIGEST}) AND r.occurrence = w.value",
    where="",
)
_WITH_NUMBERS = _KNOWN.format(
    source="json_each(?) AS w CROSS JOIN rows AS r ON r.row = w.value", where=""
)
_WITH_KEY_AND_CONTENT = _KNOWN.format(
    source="rows AS r",
    where="WHERE r.key IS NOT NULL AND r.digest = ? AND r.occurrence >= 0 ORDER BY r.row",
)
_REPEATS_OF = _KNOWN.format(source="rows AS r", where="WHERE r.repeat_of = ? ORDER BY r.row")
_WITH_SPELLING = _KNOWN.format(
    source="temp.spellings AS s CROSS JOIN rows AS r ON r.row = s.row",
    where="WHERE s.folded = ? ORDER BY r.row",
)

# Indexes created only when needed. In the index of contents every new row touches a page of its
# own, and costs a third less without it. The other is for journals whose rows first came with keys
# and then without.
_BY_CONTENT = (
    "CREATE UNIQUE INDEX IF NOT EXISTS rows_by_content ON rows (digest, occurrence) "
    "WHERE key IS NULL"
)
_BY_KEYED_CONTENT = (
    "CREATE INDEX IF NOT EXISTS rows_by_keyed_content ON rows (digest) WHERE key IS NOT NULL"
)
_LAST_ROW = (1 << 63) - 1
_MOST_SPELLINGS = 20


class SQLiteReader:
    """A journal's file, open for reading: see :class:`.ReadStorage`."""

    def __init__(self, path: str, connection: sqlite3.Connection, job: Job) -> None:
        self.path = path
        self.job = job
        self._connection = connection
        self._closed = False
        self._first_row = 1
        """The first row that is new in this run, if it is open for writing."""
        self._has_index: set[str] = set()

    @classmethod
    def open_to_read(cls, path: str | os.PathLike[str], *, restored: bool = False) -> SQLiteReader:
        """Open a journal for reading. Changes nothing in it.

        Args:
            path: its file.
            restored: it is an older copy: it is read even without its ``-wal`` file.

        Raises:
            JournalError: it does not exist, is not a journal, or a part of it is missing.
        """
        text = path_text(path)
        connection, job, _ = examine(text, restored=restored)
        return SQLiteReader(text, connection, job)

    def kinds(self) -> Mapping[str, int]:
        """See :meth:`.ReadStorage.kinds`."""
        found = self._all(_KINDS)
        with self._our_errors():
            return {check_kind(kind): count for kind, count in found if count}

    def last_event(self) -> int:
        """The number of the last event."""
        ((found,),) = self._all("SELECT events FROM job")
        with self._our_errors():
            return int(found)

    def rows(
        self,
        after: int,
        most: int,
        *,
        kinds: Collection[str] | None = None,
        payloads: bool = False,
    ) -> list[StoredRow]:
        """See :meth:`.ReadStorage.rows`."""
        page = _PAGE
        values: list[Any] = [after, most]
        if kinds is not None:
            page = _PAGE_OF_ACCEPTED if "accepted" in kinds else _PAGE_OF_KINDS
            values = [after, as_json(list(kinds)), most]
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
                check_kind(one.kind)
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
        return {found for (found,) in self._all(_ACCEPTED_AMONG, (as_json(list(ticket_ids)),))}

    def rows_with_ids(self, ticket_ids: Collection[str]) -> list[tuple[int, str]]:
        """See :meth:`.ReadStorage.rows_with_ids`."""
        return self._all(_WITH_IDS, (as_json(list(ticket_ids)),))

    def last_ids(self, most: int, before: int | None = None) -> list[tuple[int, str]]:
        """See :meth:`.ReadStorage.last_ids`."""
        return self._all(_LAST_IDS, (_LAST_ROW if before is None else before, most))

    def runs(self) -> list[Run]:
        """See :meth:`.ReadStorage.runs`."""
        question = "SELECT run, began, ended, pid, host, longest_call FROM runs ORDER BY run"
        return [
            Run(run=run, began=began, ended=ended, pid=pid, host=host, longest_call=longest)
            for run, began, ended, pid, host, longest in self._all(question)
        ]

    def lookups(self) -> list[PastLookup]:
        """See :meth:`.ReadStorage.lookups`."""
        found = self._all("SELECT lookup, at, evidence FROM lookups ORDER BY lookup")
        return [PastLookup(lookup=look, at=at, evidence=evidence) for look, at, evidence in found]

    def contradictions(self) -> list[Contradiction]:
        """See :meth:`.ReadStorage.contradictions`."""
        found = []
        for key, digest, occurrence, line, kind, ticket_ids, at in self._all(_CONTRADICTIONS):
            with self._our_errors():
                reference = reference_of(self.job.job_id, key, digest, occurrence)
                tickets = tuple(map(str, json.loads(ticket_ids)))
            found.append(Contradiction(kind, key, line, reference, tickets, at))
        return found

    def contradicted(self) -> Mapping[str, int]:
        """See :meth:`.ReadStorage.contradicted`."""
        return dict(self._all("SELECT kind, count(*) FROM contradictions GROUP BY kind"))

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
        ((rows,),) = self._all("SELECT count(*) FROM rows")
        runs = self._all("SELECT nonce, rows, events FROM runs ORDER BY run")
        return mark if marks.is_ahead(mark, runs, rows, self.last_event()) else None

    def writers(self) -> list[Owner]:
        """See :meth:`.ReadStorage.writers`."""
        owner = owner_of(self.path)
        return [] if owner is None else [owner]

    # --- looking rows up, for a run: see :class:`.Storage` -------------------------------------

    def with_keys(self, keys: Sequence[str]) -> list[KnownRow]:
        """See :meth:`.Storage.with_keys`."""
        return self._known(_WITH_KEYS, as_json(keys))

    def with_contents(self, contents: Sequence[tuple[bytes, int]]) -> list[KnownRow]:
        """See :meth:`.Storage.with_contents`."""
        self._index(_BY_CONTENT)
        digests = b"".join(digest for digest, _ in contents)
        return self._known(_WITH_CONTENTS, as_json([number for _, number in contents]), digests)

    def with_numbers(self, rows: Sequence[int]) -> list[KnownRow]:
        """See :meth:`.Storage.with_numbers`."""
        return self._known(_WITH_NUMBERS, as_json(rows))

    def with_key_and_content(self, digest: bytes) -> list[KnownRow]:
        """See :meth:`.Storage.with_key_and_content`."""
        self._index(_BY_KEYED_CONTENT)
        return self._known(_WITH_KEY_AND_CONTENT, digest)

    def repeats_of(self, row: int) -> list[KnownRow]:
        """See :meth:`.Storage.repeats_of`."""
        return self._known(_REPEATS_OF, row)

    def with_spelling_of(self, key: str) -> list[KnownRow]:
        """See :meth:`.Storage.with_spelling_of`."""
        if "spellings" not in self._has_index:
            self._list_spellings()
            self._has_index.add("spellings")
        folded = fold(key)
        found = self._known(_WITH_SPELLING, hash(folded))[:_MOST_SPELLINGS]
        return [
            known
            for known in found
            if known.key is not None and known.key != key and fold(known.key) == folded
        ]

    def _list_spellings(self) -> None:
        """Index the folded keys, for this connection only."""
        execute = self._connection.execute
        execute("DROP TABLE IF EXISTS temp.spellings")
        execute(
            "CREATE TEMP TABLE spellings (folded INTEGER, row INTEGER, "
            "PRIMARY KEY (folded, row)) WITHOUT ROWID"
        )
        keys = execute(
            "SELECT key, row FROM rows WHERE key IS NOT NULL AND repeat_of IS NULL AND row < ?",
            (self._first_row,),
        )
        self._connection.executemany(
            "INSERT INTO temp.spellings VALUES (?, ?)",
            ((hash(fold(key)), row) for key, row in keys),
        )

    def _index(self, statement: str) -> None:
        if statement not in self._has_index:
            self._all(statement)
            self._has_index.add(statement)

    def _known(self, question: str, *values: Any) -> list[KnownRow]:
        found = [KnownRow(*one) for one in self._all(question, values)]
        with self._our_errors():
            for one in found:
                check_kind(one.kind)
        return found

    # --- the rest -------------------------------------------------------------------------------

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


def check_kind(kind: str) -> str:
    """Refuse an event of an unknown kind; SQLite accepts any value in any column."""
    if kind not in STATE_AFTER:
        raise ValueError("an event of an unknown kind")
    return kind


def _check(row: StoredRow) -> None:
    """Refuse values that no journal has."""
    check_kind(row.kind)
    for at in (row.at, row.first_intent_at, row.sent_at, row.last_at):
        if at is not None:
            float(at)
