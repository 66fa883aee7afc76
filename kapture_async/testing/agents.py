"""What agents do to tickets: they edit, retitle, merge and delete them.

No call of the API does this, so it stands in no ledger. How a merge looks in a list is not
documented beyond the name of its field (section 4, ``mergedTicketId``): two ways are emulated.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from .store import TicketStore
from .tickets import EmulatedTicket

Act: TypeAlias = Literal["edit", "retitle", "merge", "absorb", "delete"]
ACTS: Sequence[Act] = get_args(Act)


class Agents:
    """Changes tickets of a store behind the API's back."""

    def __init__(self, store: TicketStore) -> None:
        self._store = store

    def edit(self, ticket_id: str, *, title: str | None = None, text: str | None = None) -> None:
        """Write another title, another text, or both."""
        ticket = self._ticket(ticket_id)
        ticket.title = ticket.title if title is None else title
        ticket.detail = ticket.detail if text is None else text
        ticket.shown = None

    def merge(self, ticket_id: str, into: str, *, absorb: bool = False) -> None:
        """Merge a ticket into another.

        It stays in the lists and names the other in ``mergedTicketId``; with ``absorb`` it is
        gone, and its text stands at the end of the other's.
        """
        ticket, other = self._ticket(ticket_id), self._ticket(into)
        if ticket is other:
            raise ValueError("a ticket cannot be merged into itself")
        if absorb:
            self.edit(into, text=f"{other.detail}\n\n{ticket.detail}")
            self._store.remove(ticket)
            return
        ticket.merged_into, ticket.shown = into, None

    def delete(self, ticket_id: str) -> None:
        """Let a ticket be gone without a trace."""
        self._store.remove(self._ticket(ticket_id))

    def work(self, share: float, *, seed: int, acts: Sequence[Act]) -> dict[str, Act]:
        """Do one of these acts to a share of the tickets; what was done, by their ids.

        Depends on nothing but the seed and the order in which the tickets were made.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"the share of tickets lies between 0 and 1, not at {share}")
        if not acts or set(acts) - set(ACTS):
            raise ValueError(f"acts are some of {', '.join(ACTS)}, not {list(acts)}")
        dice = random.Random(seed)
        ids = list(self._store.tickets)
        touched = {one for one in ids if dice.random() < share}
        others = [one for one in ids if one not in touched]
        done: dict[str, Act] = {}
        for ticket_id in (one for one in ids if one in touched):
            act = dice.choice(acts)
            if act == "edit":
                self.edit(ticket_id, text="Rewritten by an agent.")
            elif act == "retitle":
                self.edit(ticket_id, title="Retitled by an agent")
            elif act == "delete":
                self.delete(ticket_id)
            elif others:
                self.merge(ticket_id, dice.choice(others), absorb=act == "absorb")
            else:
                continue
            done[ticket_id] = act
        return done

    def _ticket(self, ticket_id: str) -> EmulatedTicket:
        found = self._store.tickets.get(ticket_id)
        if found is None:
            raise ValueError(f"there is no ticket {ticket_id}")
        return found
