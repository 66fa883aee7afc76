"""What is read from a journal in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import psycopg

from ...errors import HelpdeskError, JournalError
from ..address import Address
from ..marks import Mark
from ..records import STATE_AFTER, Contradiction, Job, Owner, PastLookup, Run
from ..reference import reference_of
from ..storage import StoredName, StoredReason, StoredRow
from .connection import connect, trouble_of
from .schema import are_there, composed, find_job, no_job, prepare

_LAST = """
CROSS JOIN LATERAL (
    SELECT * FROM {s}.facts AS g WHERE g.job = u.job AND g.row = u.row ORDER BY g.fact DESC LIMIT 1
) AS f
"""
KINDS = """
SELECT kind, count(*) FROM {s}.unaccepted WHERE job = %(job)s GROUP BY kind
UNION ALL
SELECT 'accepted', (SELECT count(*) FROM {s}.rows WHERE job = %(job)s)
    - (SELECT count(*) FROM {s}.unaccepted WHERE job = %(job)s)
"""
_PAGE = """
SELECT u.row, f.fact FROM {s}.rows AS u {last}
WHERE u.job = %(job)s AND u.row > %(after)s
    AND (%(kinds)s::text[] IS NULL OR f.kind = ANY (%(kinds)s::text[]))
ORDER BY u.row LIMIT %(most)s
"""
_PAGE_OF_OTHERS = """
SELECT u.row, f.fact FROM {s}.unaccepted AS u {last}
WHERE u.job = %(job)s AND u.row > %(after)s AND u.kind = ANY (%(kinds)s::text[])
ORDER BY u.row LIMIT %(most)s
"""
_ROWS = """
WITH page AS MATERIALIZED ({page})
SELECT r.row, r.key, r.digest, r.occurrence, r.line, r.traits, r.repeat_of, f.kind, f.attempt,
    f.at, f.ticket_id, f.status, f.error, f.words, f.evidence, s.attempts, s.first_intent_at,
    s.sent_at, s.last_at, m.missing, m.missing_at, u.error, u.words, {payload}
FROM page AS p
JOIN {s}.rows AS r ON r.job = %(job)s AND r.row = p.row
JOIN {s}.facts AS f ON f.job = %(job)s AND f.row = p.row AND f.fact = p.fact
CROSS JOIN LATERAL (
    SELECT max(g.attempt) AS attempts,
        max(g.fact) FILTER (WHERE g.kind = 'intent') AS intent,
        max(g.fact) FILTER (WHERE g.kind = 'unknown') AS unknown,
        min(g.at) FILTER (WHERE g.kind = 'intent') AS first_intent_at,
        max(g.at) FILTER (WHERE g.kind = 'intent') AS sent_at,
        max(g.at) FILTER (WHERE g.kind IN ('intent', 'unknown')) AS last_at
    FROM {s}.facts AS g WHERE g.job = %(job)s AND g.row = p.row
) AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS missing, max(g.at) AS missing_at FROM {s}.facts AS g
    WHERE g.job = %(job)s AND g.row = p.row AND g.fact > s.intent AND g.kind = 'missing'
) AS m
LEFT JOIN {s}.facts AS u ON u.job = %(job)s AND u.row = p.row AND u.fact = s.unknown
ORDER BY p.row
"""
_PAYLOAD = "(SELECT payload FROM {s}.payloads AS l WHERE l.job = %(job)s AND l.row = p.row)"
_NAMES = """
SELECT r.row, r.key, r.digest, r.occurrence, coalesce(u.kind, 'accepted')
FROM {s}.rows AS r LEFT JOIN {s}.unaccepted AS u ON u.job = r.job AND u.row = r.row
WHERE r.job = %s AND r.row > %s ORDER BY r.row LIMIT %s
"""
_REASONS = """
SELECT f.kind, f.error, f.status, f.words, f.attempt = 0, count(*) FROM {s}.unaccepted AS u {last}
WHERE u.job = %s AND u.kind = ANY (%s) GROUP BY f.kind, f.error, f.status, f.words, f.attempt = 0
"""
_CHANGED = """
SELECT count(*) FROM {s}.rows AS r LEFT JOIN {s}.unaccepted AS u ON u.job = r.job AND u.row = r.row
WHERE r.job = %s AND r.changed <> 0 AND coalesce(u.kind, 'accepted') IN ('accepted', 'present')
"""
_SENT = "SELECT DISTINCT floor(at / 3600)::bigint FROM {s}.facts WHERE job = %s AND kind = 'intent'"
_FOUND_BY_COPIES = """
SELECT min(i.at), max(f.at) FROM {s}.facts AS f
JOIN {s}.facts AS i
    ON i.job = f.job AND i.row = f.row AND i.attempt = f.attempt AND i.kind = 'intent'
WHERE f.job = %s AND f.evidence LIKE %s
"""
_FINDINGS = """
SELECT r.key, r.digest, r.occurrence, r.line, c.kind, c.ticket_ids, c.at
FROM {s}.findings AS c JOIN {s}.rows AS r ON r.job = c.job AND r.row = c.row
WHERE c.job = %s ORDER BY c.finding
"""
_ACCEPTED = """
SELECT f.ticket_id FROM {s}.last_facts AS f
WHERE f.job = %s AND f.kind IN ('accepted', 'present') AND f.ticket_id = ANY (%s)
"""
_IDS = "SELECT row, ticket_id FROM {s}.facts WHERE job = %s AND ticket_id IS NOT NULL"
_RUNS = """
SELECT run, began, ended, pid, host, longest_call FROM {s}.runs WHERE job = %s ORDER BY run
"""
_WRITERS = """
SELECT pid, host, began FROM {s}.runs
WHERE job = %s AND ended IS NULL AND NOT over
    AND lease_until >= extract(epoch FROM clock_timestamp())
ORDER BY run
"""


class PostgresReader:
    """A journal in PostgreSQL, open for reading: see :class:`.ReadStorage`."""

    def __init__(
        self, address: Address, connection: psycopg.Connection[Any], number: int, job: Job
    ) -> None:
        self.path = address.text
        self.job = job
        self._address = address
        self._connection = connection
        self._number = number
        """Of the job."""

    @classmethod
    def open_to_read(cls, where: str, *, restored: bool = False) -> Self:
        """Open a journal for reading. Changes nothing in it.

        Args:
            where: its address.
            restored: it is an older copy; that makes no difference here.

        Raises:
            JournalError: it is not there, or cannot be read.
        """
        address = Address.of(where)
        connection: psycopg.Connection[Any] | None = None
        problem: JournalError | None = None
        try:
            connection = connect(address, read_only=True)
            prepare(connection, address, create=False)
            found = find_job(connection, address)
            if found is None:
                raise no_job(connection, address)
            return cls(address, connection, *found)
        except psycopg.Error as error:
            problem = trouble_of(address, error)
        except JournalError as error:
            problem = error
        if connection is not None:
            connection.close()
        raise problem

    @classmethod
    def exists(cls, where: str) -> bool:
        """Whether there is a journal; see :func:`.address.exists`."""
        address = Address.of(where)
        problem: JournalError | None = None
        try:
            with connect(address, read_only=True) as connection:
                if not are_there(connection, address):
                    return False
                prepare(connection, address, create=False)
                return find_job(connection, address) is not None
        except psycopg.Error as error:
            problem = trouble_of(address, error)
        raise problem

    def kinds(self) -> Mapping[str, int]:
        """See :meth:`.ReadStorage.kinds`."""
        return {_kind(kind): count for kind, count in self._all(KINDS, {"job": self._number})}

    def rows(
        self,
        after: int,
        most: int,
        *,
        kinds: Collection[str] | None = None,
        payloads: bool = False,
    ) -> list[StoredRow]:
        """See :meth:`.ReadStorage.rows`."""
        page = _PAGE if kinds is None or "accepted" in kinds else _PAGE_OF_OTHERS
        question = _ROWS.replace("{page}", page.replace("{last}", _LAST))
        question = question.replace("{payload}", _PAYLOAD if payloads else "NULL")
        of_kinds = None if kinds is None else list(kinds)
        values = {"job": self._number, "after": after, "most": most, "kinds": of_kinds}
        return [StoredRow(*one) for one in self._all(question, values)]

    def names(self, after: int, most: int) -> list[StoredName]:
        """See :meth:`.ReadStorage.names`."""
        return [StoredName(*one) for one in self._all(_NAMES, [self._number, after, most])]

    def payloads(self, first: int, last: int) -> dict[int, bytes]:
        """See :meth:`.ReadStorage.payloads`."""
        question = "SELECT row, payload FROM {s}.payloads WHERE job = %s AND row BETWEEN %s AND %s"
        return dict(self._all(question, [self._number, first, last]))

    def reasons(self, kinds: Collection[str]) -> list[StoredReason]:
        """See :meth:`.ReadStorage.reasons`."""
        question = _REASONS.replace("{last}", _LAST)
        return [StoredReason(*one) for one in self._all(question, [self._number, list(kinds)])]

    def changed(self) -> int:
        """See :meth:`.ReadStorage.changed`."""
        ((found,),) = self._all(_CHANGED, [self._number])
        return int(found)

    def sent_hours(self) -> set[int]:
        """See :meth:`.ReadStorage.sent_hours`."""
        hours = {hour for (hour,) in self._all(_SENT, [self._number])}
        ((first, last),) = self._all(_FOUND_BY_COPIES, [self._number, '%"older_copy"%'])
        if first is not None:
            hours |= set(range(int(first // 3600), int(last // 3600) + 1))
        return hours

    def accepted_among(self, ticket_ids: Collection[str]) -> set[str]:
        """See :meth:`.ReadStorage.accepted_among`."""
        return {ticket for (ticket,) in self._all(_ACCEPTED, [self._number, list(ticket_ids)])}

    def rows_with_ids(self, ticket_ids: Collection[str]) -> list[tuple[int, str]]:
        """See :meth:`.ReadStorage.rows_with_ids`."""
        return self._all(f"{_IDS} AND ticket_id = ANY (%s)", [self._number, list(ticket_ids)])

    def last_ids(self, most: int, before: int | None = None) -> list[tuple[int, str]]:
        """See :meth:`.ReadStorage.last_ids`."""
        if before is None:
            return self._all(f"{_IDS} ORDER BY row DESC LIMIT %s", [self._number, most])
        question = f"{_IDS} AND row < %s ORDER BY row DESC LIMIT %s"
        return self._all(question, [self._number, before, most])

    def runs(self) -> list[Run]:
        """See :meth:`.ReadStorage.runs`."""
        return [
            Run(run=run, began=began, ended=ended, pid=pid, host=host, longest_call=longest)
            for run, began, ended, pid, host, longest in self._all(_RUNS, [self._number])
        ]

    def lookups(self) -> list[PastLookup]:
        """See :meth:`.ReadStorage.lookups`."""
        question = "SELECT look, at, evidence FROM {s}.looks WHERE job = %s ORDER BY look"
        return [
            PastLookup(lookup=look, at=at, evidence=evidence)
            for look, at, evidence in self._all(question, [self._number])
        ]

    def contradictions(self) -> list[Contradiction]:
        """See :meth:`.ReadStorage.contradictions`."""
        found = []
        for key, digest, occurrence, line, kind, ids, at in self._all(_FINDINGS, [self._number]):
            reference = reference_of(self.job.job_id, key, digest, occurrence)
            tickets = tuple(map(str, json.loads(ids)))
            found.append(Contradiction(kind, key, line, reference, tickets, at))
        return found

    def contradicted(self) -> Mapping[str, int]:
        """See :meth:`.ReadStorage.contradicted`."""
        question = "SELECT kind, count(*) FROM {s}.findings WHERE job = %s GROUP BY kind"
        return dict(self._all(question, [self._number]))

    def made(self) -> float:
        """See :meth:`.ReadStorage.made`."""
        ((found,),) = self._all("SELECT made FROM {s}.job WHERE job = %s", [self._number])
        return float(found)

    def was_restored(self) -> bool:
        """See :meth:`.ReadStorage.was_restored`."""
        ((found,),) = self._all("SELECT restored FROM {s}.job WHERE job = %s", [self._number])
        return found is not None

    def newer_copy(self) -> Mark | None:
        """See :meth:`.ReadStorage.newer_copy`: who restores a database knows that it did."""
        return None

    def writers(self) -> list[Owner]:
        """See :meth:`.ReadStorage.writers`: the runs whose leases are not over."""
        return [Owner(*one) for one in self._all(_WRITERS, [self._number])]

    def explain(self, error: BaseException) -> BaseException:
        """See :meth:`.ReadStorage.explain`."""
        if isinstance(error, HelpdeskError) or not isinstance(error, (psycopg.Error, OSError)):
            return error
        return trouble_of(self._address, error)

    def close(self) -> None:
        """See :meth:`.ReadStorage.close`."""
        self._connection.close()

    def _all(self, question: str, values: Any) -> list[Any]:
        with self._our_errors():
            return self._connection.execute(composed(self._address, question), values).fetchall()

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        """Raise ours, and without psycopg's frames behind it: they hold the password."""
        problem: BaseException | None = None
        try:
            yield
        except psycopg.Error as error:
            problem = self.explain(error)
        if problem is not None:
            raise problem


def _kind(kind: str) -> str:
    if kind not in STATE_AFTER:
        raise ValueError("an event of a kind there is not")
    return kind
