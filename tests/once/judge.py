"""The judge: what the journal believes, held against what the emulator truly executed.

References are read from the ledger by a pattern of the judge's own, and contents are compared
beside them, so that a mistake in the product's references cannot hide itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import frozen

from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Counts, RowView, State
from kapture_async._core.testing.ledger import Ledger

_MARKER = re.compile(r"\n?\[ref:([a-z2-7]{20})\]\Z")
_CREATES = ("tickets.add", "tickets.create")

NOT_THERE = frozenset({State.REJECTED, State.NOT_SENT})


@frozen
class Ticket:
    """A ticket as it was executed."""

    ticket_id: str
    title: str
    text: str
    """Without the marker."""
    reference: str | None


def tickets_in(ledger: Ledger) -> list[Ticket]:
    """Every ticket that was made, in order."""
    found = []
    for entry in ledger.entries:
        assert entry.operation in _CREATES, entry
        payload: dict[str, Any] = entry.payload
        text = payload.get("ticket_details") or payload.get("comment") or ""
        title = payload.get("title") or payload.get("subject") or ""
        marker = _MARKER.search(text)
        reference = marker[1] if marker else None
        found.append(Ticket(entry.ticket_id, title, _MARKER.sub("", text), reference))
    return found


def rows_in(journal: Path | str) -> list[RowView]:
    """Every row of a journal."""
    with ReadJournal.open_to_read(journal) as reader:
        return list(reader.rows_in(*State))


def judge(journal: Path | str, ledger: Ledger) -> Counts:
    """See that the journal says nothing false. Gives its counts.

    Accepted rows are in the ledger, once; rejected and unsent ones are not; what is in the ledger
    stands in the journal; and nothing is there twice.
    """
    tickets, rows = tickets_in(ledger), rows_in(journal)
    by_reference = {ticket.reference: ticket for ticket in tickets}
    twice = [name for name, n in Counter(ticket.reference for ticket in tickets).items() if n > 1]
    assert not twice, f"twice in the helpdesk: {twice}"
    assert set(by_reference) <= {row.reference for row in rows}, "sent and not in the journal"
    for row in rows:
        ticket = by_reference.get(row.reference)
        if row.state is State.ACCEPTED:
            assert ticket is not None, f"not in the helpdesk: {row}"
            assert row.ticket_id in {None, ticket.ticket_id}
        elif row.state in NOT_THERE:
            assert ticket is None, f"in the helpdesk after all: {row}"
    with ReadJournal.open_to_read(journal) as reader:
        return reader.counts()


def each_once(ledger: Ledger, wanted: Iterable[str]) -> None:
    """See that the tickets are these, by title, as often as they are wanted."""
    made = Counter(ticket.title for ticket in tickets_in(ledger))
    expected = Counter(wanted)
    assert made - expected == Counter(), "twice"
    assert expected - made == Counter(), "lost"
