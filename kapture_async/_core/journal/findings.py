"""What contradicts a journal: a lookup has shown what an outcome denies. Pure."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class Contradicts(StrEnum):
    """How a lookup contradicts the state of a row."""

    REJECTED_PRESENT = "rejected_present"
    """The service refused the row, and its reference is in the helpdesk. It counts as accepted
    from then on."""
    NOT_SENT_PRESENT = "not_sent_present"
    """The row was not sent, or proved absent, and its reference is in the helpdesk. It counts as
    accepted from then on."""
    TWICE = "twice"
    """The reference of an accepted row is there more than once: the row was made twice, or another
    ticket quotes its text."""
    OTHER_TICKET = "other_ticket"
    """The reference of an accepted row is on another ticket than the service named."""
    OTHER_ROW = "other_row"
    """The ticket that the service named for an accepted row carries only references of others."""


WORDS: dict[str, str] = {
    Contradicts.REJECTED_PRESENT.value: "rejected, but in the helpdesk",
    Contradicts.NOT_SENT_PRESENT.value: "not sent, but in the helpdesk",
    Contradicts.TWICE.value: "its reference is there twice",
    Contradicts.OTHER_TICKET.value: "on another ticket than the service named",
    Contradicts.OTHER_ROW.value: "its ticket is another row's",
}
"""Each kind in a few words."""


@frozen
class Contradiction:
    """A lookup has shown what the outcome of a row denies.

    Attributes:
        kind: ``rejected_present``, ``not_sent_present``, ``twice``, ``other_ticket`` or
            ``other_row``; see :class:`Contradicts`.
        key: the row's key, or ``None``.
        line: where it stood in its file, if it did.
        reference: what was looked up.
        ticket_ids: the tickets that were found, sorted.
        at: when that was seen first, in seconds since the epoch.
    """

    kind: str
    key: str | None
    line: int | None
    reference: str
    ticket_ids: tuple[str, ...]
    at: float

    @property
    def words(self) -> str:
        """The kind in a few words."""
        return WORDS.get(self.kind, self.kind)
