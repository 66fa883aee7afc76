"""What a list must have shown for a row that it did not show to be absent.

A row is absent only if the list could not have missed it:

- *It was whole.* Its own count is the number of rows it gave; or it was read up to a page without
  rows, and has no number of rows that limits have. Else it may end too early, so the row must lie
  between what it showed: in a list that rises by its ids, a ticket newer than the row has to be in
  it; in one that falls, an older one; in one without order, both. A list of another day that is
  longer says the same: no limit is as low as this list is long.
- *It was fresh.* It shows a ticket newer than the row; or the newest that it shows is older by so
  little that the second look, which comes later by more, would have shown the row, too.
- *It showed the row's kind.* A row of the journal came back by its reference that has the same
  traits: see :mod:`.journal.reference`.
- *It showed the row's day*: another row of the journal, sent on the same one.

"Newer than the row" is newer than its last call ended, be it by an answer, a time-out or a broken
connection. What the service does even later is what the settle time is for. A count that the list
bears out is taken for a proof that the newest are in it: else a row at the end of a push would
stay open on a quiet helpdesk. A list without a count proves nothing of what came last, until a
ticket of anybody's comes after it, or a trial ticket.

A list tells times in minutes of the service's clock. How far that is ahead of ours is known from
the rows that came back: each was made after its intent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from heapq import heappush, heappushpop
from math import inf
from typing import Generic, TypeVar

from attrs import define, field, frozen

from ..journal.records import Doubt, Kind, RowView
from ..journal.reference import OBJECTS, covers, lacking, strongest


@frozen
class ListedTicket:
    """A ticket as a list shows it."""

    ticket_id: str | None
    """``None`` if it has none that can be read: then it is there, but cannot be named."""
    references: frozenset[str] = frozenset()
    content: str | None = field(default=None, repr=False)
    """What can be compared with a row's content; only where no reference is sent."""
    beginning: tuple[str, str] | None = field(default=None, repr=False)
    """Title and text, of a ticket that may have lost a reference at the end of its text."""
    merged_into: str | None = None
    """The ticket that agents merged it into."""
    created_at: float | None = None
    """The minute it was made in, by the service's clock."""
    made_by: object = None
    """Who created it, and from where, as far as the list shows it."""
    clues: Callable[[], frozenset[str]] | None = field(default=None, repr=False)
    """Gives what it may share with a row in doubt: addresses, numbers, words."""


@frozen
class ListEnd:
    """A list, or the part of it that is a day, has ended.

    Attributes:
        day: which day's it was; ``None`` for all there is.
        rows: how many tickets it gave, with those that were dropped as repeats.
        total: how many there are, as it says.
        ended: it was read page by page, up to one without rows.
    """

    day: object = None
    rows: int | None = None
    total: int | None = None
    ended: bool = False


ListTickets = Callable[[float, float], AsyncIterator[ListedTicket | ListEnd]]
"""Gives every ticket created between two moments, in seconds since the epoch, and
perhaps more; and says where each of its lists ends."""


@frozen
class Gap:
    """Why a row that was not found is not absent for that.

    Attributes:
        why: a message.
        against: there is more against it than that a proof is missing: the look saw too little.
        trial: a trial ticket that a look shows may be the proof.
    """

    why: str
    against: bool = False
    trial: bool = False


MARGIN = 26 * 3600.0
"""Seconds by which the clocks of two machines may differ: one of them may take its local time for
that of another zone."""


MINUTE = 60.0
NEWEST = 20
"""Rows of those that were sent last by which a list is judged,"""
SPREAD = 500
"""and rows that are spread evenly over all."""
T = TypeVar("T")
_PAGES = {25, 250} | {n * 10**power for n in (1, 2, 5) for power in range(1, 5)}
"""Numbers of rows that are as likely a page's as a list's."""


_ORDERED = 5
"""Rows that a list must have to be in order by more than chance."""


@frozen
class ConfirmedRow:
    """A row whose reference may come back, and what that would say."""

    since: float
    """It was made after this moment,"""
    by: float
    """and before this one."""
    traits: int
    day: object

    @classmethod
    def of_row(cls, row: RowView, day_of: Callable[[float], object]) -> ConfirmedRow:
        """A row that is in the helpdesk for sure."""
        assert row.sent_at is not None
        by = row.at if row.kind is Kind.ACCEPTED else inf
        return cls(row.sent_at, by, row.traits, day_of(row.sent_at))

    @classmethod
    def of_doubt(cls, doubt: Doubt, day_of: Callable[[float], object]) -> ConfirmedRow:
        """A row in doubt that may turn up."""
        return cls(doubt.first_intent_at, inf, doubt.traits, day_of(doubt.sent_at))


class Sample(Generic[T]):
    """Some of many rows: spread evenly, the first of each group, and those that were sent last,
    which say how new a list is.

    Args:
        spread: how many are spread evenly, at least; twice as many at most.
        of_a_group: how many of each group.
    """

    def __init__(self, spread: int, of_a_group: int) -> None:
        self._most = spread
        self._of_a_group = of_a_group
        self._spread: list[tuple[int, T]] = []
        self._groups: dict[object, int] = {}
        self._first: list[tuple[int, T]] = []
        self._newest: list[tuple[float, int, T]] = []
        self._every, self._count = 1, 0

    def add(self, row: T, number: int, sent_at: float, group: object) -> None:
        """Take a row, with its number in the journal."""
        keep = heappush if len(self._newest) < NEWEST else heappushpop
        keep(self._newest, (sent_at, number, row))
        so_far = self._groups.get(group, 0)
        if so_far < self._of_a_group:
            self._groups[group] = so_far + 1
            self._first.append((number, row))
        if self._count % self._every == 0:
            self._spread.append((number, row))
        self._count += 1
        if len(self._spread) == 2 * self._most:
            self._spread, self._every = self._spread[::2], self._every * 2

    def rows(self) -> list[T]:
        """Each row once."""
        newest = ((number, row) for _, number, row in self._newest)
        return list(dict([*self._spread, *self._first, *newest]).values())


@define
class _Part:
    """A list as it came: of a day, or of all there is."""

    day: object = None
    rows: int = 0
    total: int | None = None
    ended: bool = False
    rises: bool = False
    falls: bool = False
    last: int | None = None
    lowest: float = inf
    highest: float = -inf
    since: float = -inf
    """The newest of ours that it shows was made after this moment."""
    by: float = inf
    """The oldest of ours was made before this one."""
    first_minute: float = inf
    last_minute: float = -inf

    @property
    def order(self) -> str:
        """``"rises"`` or ``"falls"`` by its ids; empty if it does neither, or has too few."""
        if self.rows < _ORDERED or self.rises == self.falls:
            return ""
        return "rises" if self.rises else "falls"

    def add(self, ticket_id: str | None) -> None:
        self.rows += 1
        number = _number(ticket_id)
        if number is None:
            self.rises = self.falls = True
            return
        self.lowest, self.highest = min(self.lowest, number), max(self.highest, number)
        if self.last is not None:
            self.rises |= number > self.last
            self.falls |= number < self.last
        self.last = number

    @property
    def counted(self) -> bool:
        """Whether its own count, or its own end, says that it is whole."""
        if self.total is not None:
            return self.total == self.rows
        return self.ended and self.rows not in _PAGES

    @property
    def incomplete(self) -> bool:
        """Whether its own count says that it is not."""
        return self.rows > 0 and self.total is not None and self.total > self.rows


class Evidence:
    """What one look has shown, apart from the rows it was made for.

    Args:
        confirmed: by their references.
        day_of: the day of the service's calendar that a moment falls on.
        now: when it looks.
    """

    def __init__(
        self, confirmed: Mapping[str, ConfirmedRow], day_of: Callable[[float], object], now: float
    ) -> None:
        self._confirmed = confirmed
        self._day_of = day_of
        self._today = day_of(now)
        self._parts: list[_Part] = []
        self._part = _Part()
        self._days: set[object] = set()
        self._traits: set[int] = set()
        self.ahead = inf
        """Seconds that the service's clock is ahead of ours at most, with the rest of a minute."""
        self.behind = -inf
        """The same at least."""
        self._sure = False
        self.shown = 0
        """References of the journal that came back."""
        self.makers: set[object] = set()
        """Who created the tickets of this journal, according to the list."""

    def _add(self, seen: ListedTicket) -> None:
        part, at = self._part, seen.created_at
        part.add(seen.ticket_id)
        if at is not None:
            part.first_minute = min(part.first_minute, at)
            part.last_minute = max(part.last_minute, at)
        for known in self.note(seen):
            part.since = max(part.since, known.since)
            part.by = min(part.by, known.by)

    def note(self, seen: ListedTicket) -> list[ConfirmedRow]:
        """Take in what a ticket says by being there, wherever it stood; returns the rows that it
        shows."""
        found = [self._confirmed[one] for one in seen.references if one in self._confirmed]
        for known in found:
            self.shown += 1
            self._days.add(known.day)
            self._traits.add(known.traits)
            self.makers.add(seen.made_by)
            if seen.created_at is not None:
                self._compare_clocks(seen.created_at, known)
        return found

    def _compare_clocks(self, at: float, known: ConfirmedRow) -> None:
        most, least = at + MINUTE - known.since, at - known.since - MINUTE
        sure = known.by < inf  # when a row in doubt was made is not known
        if self.ahead == inf or (sure and not self._sure):
            self.ahead, self.behind, self._sure = most, least, sure
        elif sure or not self._sure:
            self.ahead, self.behind = max(self.ahead, most), min(self.behind, least)

    async def read(
        self, look: ListTickets, since: float, until: float
    ) -> AsyncIterator[ListedTicket]:
        """The tickets of lists, taken in as they come."""
        async for shown in look(since, until):
            if isinstance(shown, ListEnd):
                self._end(shown)
            else:
                self._add(shown)
                yield shown
        if self._part.rows:  # a list that did not say where it ends
            self._end(ListEnd())

    def _end(self, end: ListEnd) -> None:
        part, self._part = self._part, _Part()
        part.day, part.total, part.ended = end.day, end.total, end.ended
        part.rows = max(part.rows, end.rows or 0)
        self._parts.append(part)

    @property
    def lists(self) -> list[ListEnd]:
        """The lists that were read."""
        return [ListEnd(part.day, part.rows, part.total, part.ended) for part in self._parts]

    def gap(self, doubt: Doubt, up_to: float, *, ticket_id: str | None = None) -> Gap | None:
        """Why a row that was not shown is not absent for that; ``None`` if it is.

        Args:
            doubt: the row.
            up_to: whatever was made before this moment is listed by now, by what the look before
                has shown.
            ticket_id: the id that the service gave for it. It was looked for by that, too, which
                no text can lose; and by ids it is known what was made earlier and later.
        """
        number = _number(ticket_id)
        parts = self._parts_of(doubt) or [_Part()]
        for part in parts:
            if part.incomplete:
                words = f"the list gave {part.rows:,} of {part.total:,} tickets by its own count"
                return Gap(words, against=True)
        day = self._day_of(doubt.sent_at)
        today = day == self._today
        if day not in self._days:
            words = "no other row of the journal sent on the same day was found"
            return Gap(words, trial=today)
        if number is None and not any(covers(shown, doubt.traits) for shown in self._traits):
            words = no_comparable_row(self._traits, doubt)
            return Gap(words, trial=not doubt.traits & OBJECTS)
        most = max((part.rows for part in self._parts), default=0)
        for part in parts:
            if part.counted or most > part.rows:
                continue
            newer, older = self._newer(part, doubt), self._older(part, doubt)
            if number is not None:
                newer, older = newer or part.highest > number, older or part.lowest < number
            if not newer and part.order != "falls":
                return Gap(
                    "the list has no total and no later ticket, so it may stop short of this row",
                    trial=today,
                )
            if not older and part.order != "rises":
                return Gap(
                    "the list has no total and no earlier ticket, so it may start after this row"
                )
        if doubt.last_at > max(up_to, self.freshest):
            words = "the list has no ticket as new as this row, so it may be out of date"
            return Gap(words, trial=True)
        return None

    @property
    def freshest(self) -> float:
        """Since when the newest ticket that was shown was made, at least, by our clock."""
        return max((self._since(part) for part in self._parts), default=-inf)

    def _since(self, part: _Part) -> float:
        return max(part.since, part.last_minute - self.ahead)

    def _newer(self, part: _Part, doubt: Doubt) -> bool:
        # Equal where one commit noted both: what had ended, ended before the next was sent.
        return self._since(part) >= doubt.last_at

    def _older(self, part: _Part, doubt: Doubt) -> bool:
        return min(part.by, part.first_minute + MINUTE - self.behind) <= doubt.first_intent_at

    def _parts_of(self, doubt: Doubt) -> Sequence[_Part]:
        """The lists in which it would be."""
        ahead, behind = (0.0, 0.0) if self.ahead == inf else (self.ahead, self.behind)
        days = {self._day_of(doubt.first_intent_at + behind), self._day_of(doubt.sent_at)}
        days.add(self._day_of(doubt.last_at + ahead))
        found = [part for part in self._parts if part.day in days]
        if not found or any(part.day is None for part in self._parts):
            found = self._parts
        # A day without a ticket has no end that could be missing: it is the others' that is.
        return [part for part in found if part.rows or part.total] or found


def no_comparable_row(shown: set[int], doubt: Doubt) -> str:
    """That no row was found with the traits of a doubt, in words."""
    lacks = lacking(strongest(iter(shown)), doubt.traits) or "all of its features"
    return f"no comparable row (with {lacks}) was found by its reference"


def _number(ticket_id: str | None) -> int | None:
    if ticket_id is None or not (ticket_id.isascii() and ticket_id.isdecimal()):
        return None
    return int(ticket_id)
