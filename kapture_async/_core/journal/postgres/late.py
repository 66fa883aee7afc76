"""What becomes of a result that comes late: after its run was taken for over. Pure.

It is an event like any other. Whether it *decides* what is known of its row depends on what others
have said meanwhile: a result of an earlier attempt must never make a row look unsent whose later
attempt is under way, or hide that both were accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_IN_DOUBT = frozenset({"intent", "unknown", "missing"})
_THERE = frozenset({"accepted", "present"})


class Past(NamedTuple):
    """An event of the row, as far as it matters."""

    fact: int
    kind: str
    attempt: int
    ticket_id: str | None


class Placed(NamedTuple):
    """How a late result is written."""

    decides: bool
    """It is the row's last event. Else it is kept, and decides nothing."""
    then: str | None = None
    """What is written behind it: ``ambiguous``, or ``accepted`` once more."""
    tickets: tuple[str, ...] = ()
    """The tickets of attempts that were both accepted."""


def place(past: Sequence[Past], kind: str, attempt: int, ticket_id: str | None) -> Placed:
    """Where a result stands among what was said of its row.

    Args:
        past: all events of the row, in any order.
        kind: the result: ``accepted``, ``rejected``, ``not_sent`` or ``unknown``.
        attempt: whose it is.
        ticket_id: the ticket that came of it.
    """
    last = max(past, key=lambda one: one.fact)
    later = any(one.attempt > attempt for one in past)
    others = [
        one
        for one in past
        if (one.kind == "accepted" and one.attempt != attempt)
        or (one.kind == "present" and (one.attempt != attempt or one.ticket_id != ticket_id))
    ]
    if kind == "accepted":
        if others:
            ids = {one.ticket_id for one in others} | {ticket_id}
            if ids == {ticket_id} and ticket_id is not None:  # found there by a lookup: the same
                return Placed(last.kind not in _THERE and last.kind != "ambiguous")
            return Placed(True, "ambiguous", tuple(sorted(one for one in ids if one)))
        if last.kind == "ambiguous" or (later and last.kind in (*_IN_DOUBT, "probable")):
            return Placed(False)
        return Placed(True)
    if kind == "unknown":
        if later and last.kind in _THERE:
            return Placed(False, "ambiguous")  # it may be there twice
        settled = last.kind in (*_THERE, "ambiguous", "probable")
        return Placed(not settled and not (later and last.kind in _IN_DOUBT))
    if later:
        return Placed(False)
    if others and last.kind in _IN_DOUBT:
        return Placed(False, "accepted")  # this attempt left nothing, an earlier one did
    return Placed(last.kind in _IN_DOUBT and not others)
