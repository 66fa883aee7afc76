"""Tickets that nothing explains: one of them may be a row in doubt, even if its text was changed.

An agent may have edited a ticket's text or title, its marker may be gone, another ticket may have
been merged into it: then no reference finds the row, and no content does. What stays is when it
was made, and by whom. So a ticket without any reference, made by who makes the tickets of this
journal while the row may have been executed, is a candidate for it.

Where the same user also makes tickets while no run of the journal sends, this says nothing of one
ticket: then a candidate must also share an address, a phone number, or some words with the row.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from math import inf

from ..journal.records import Doubt
from .evidence import MINUTE, ListedTicket

CluesOf = Callable[[bytes], frozenset[str]]
MayBe = Callable[[int, str | None], bool]
"""Whether a ticket, by its id, may be that of a row."""
_MOST = 20
"""How many candidates of a row are reported."""
_WORDS = 3
"""Words in common that make a ticket like a row, where it has so many."""


class Candidates:
    """Collects unexplained tickets in one look, as the look before has made it possible.

    Args:
        until: seconds after a row's last sign in which it may still be executed.
        runs: when the journal's runs sent, each from and to.
        may_be: rules out what the caller knows; ``None`` rules nothing out.
    """

    def __init__(
        self,
        until: float,
        runs: Sequence[tuple[float, float]],
        may_be: MayBe | None = None,
    ) -> None:
        self._may_be = may_be
        self._until = until
        self._runs = runs
        self._minutes: dict[object, set[float]] = {}
        self._makers: frozenset[object] = frozenset()
        self._shared: frozenset[object] = frozenset()
        self._ahead, self._behind = inf, -inf
        self._windows: list[tuple[float, float, Doubt]] = []
        self._found: list[tuple[ListedTicket, frozenset[str]]] = []

    def begin(self, doubts: Sequence[Doubt]) -> None:
        """A look for these rows begins."""
        self._found.clear()
        self._minutes.clear()
        self._windows = [
            (
                (doubt.first_intent_at + self._behind - MINUTE),
                doubt.last_at + self._until + self._ahead,
                doubt,
            )
            for doubt in doubts
        ]

    def add(self, seen: ListedTicket) -> None:
        """A ticket without a reference was shown."""
        at = seen.created_at
        if at is not None:
            self._minutes.setdefault(seen.made_by, set()).add(at)
        if seen.made_by not in self._makers:
            return
        if at is None or any(first <= at <= last for first, last, _ in self._windows):
            shared = seen.made_by in self._shared
            clues = seen.clues() if shared and seen.clues is not None else frozenset[str]()
            self._found.append((seen, clues))

    def learn(self, makers: set[object], ahead: float, behind: float) -> None:
        """Before the next look: who makes the tickets, and how the clocks differ.

        Args:
            makers: according to the list, for the rows that came back.
            ahead, behind: seconds that the service's clock is ahead of ours, at most and least.
        """
        self._makers = frozenset(makers)
        self._ahead, self._behind = ahead, behind
        if ahead == inf:  # without times, who made a ticket says nothing of when
            self._shared = self._makers
            return
        runs = [(first + behind - MINUTE, last + self._until + ahead) for first, last in self._runs]
        self._shared = frozenset(
            maker
            for maker in makers
            for at in self._minutes.get(maker, ())
            if not any(first <= at <= last for first, last in runs)
        )

    @property
    def ticket_ids(self) -> set[str]:
        """Of all that were collected, those that have an id."""
        return {seen.ticket_id for seen, _ in self._found if seen.ticket_id}

    @property
    def need_clues(self) -> bool:
        """Whether a ticket of these makers says nothing by itself."""
        return bool(self._shared)

    def of(
        self,
        doubts: Sequence[Doubt],
        explained: set[str | None],
        clues: Mapping[int, frozenset[str]],
    ) -> dict[int, tuple[str, ...]]:
        """The candidates of rows that were not found: by row, the tickets' ids.

        Args:
            doubts: the rows.
            explained: tickets that are other rows', by their id.
            clues: of rows, where they are needed and known. A row whose content is not kept may
                be any of its time.
        """
        left = [(seen, own) for seen, own in self._found if seen.ticket_id not in explained]
        if not left:
            return {}
        wanted = {doubt.row for doubt in doubts}
        found: dict[int, tuple[str, ...]] = {}
        for first, last, doubt in self._windows:
            if doubt.row not in wanted:
                continue
            ids = [
                seen.ticket_id or "?"
                for seen, own in left
                if (seen.created_at is None or first <= seen.created_at <= last)
                and (
                    seen.made_by not in self._shared
                    or doubt.row not in clues
                    or alike(clues[doubt.row], own)
                )
                and (self._may_be is None or self._may_be(doubt.row, seen.ticket_id))
            ]
            if ids:
                found[doubt.row] = tuple(sorted(set(ids))[:_MOST])
        return found


def clues_in(*texts: str | None, marks: Sequence[str | None] = ()) -> frozenset[str]:
    """What a ticket may share with a row.

    Args:
        texts: words of four letters and more count.
        marks: an address or a number, each of which is enough by itself.
    """
    words = {word for text in texts for word in (text or "").casefold().split() if len(word) >= 4}
    return frozenset(words | {f"={folded_mark(mark)}" for mark in marks if folded_mark(mark)})


def addresses_in(clues: frozenset[str]) -> frozenset[str]:
    """Of what a ticket may share with a row, the e-mail addresses."""
    return frozenset(one for one in clues if one[0] == "=" and "@" in one and " " not in one)


def folded_mark(mark: str | None) -> str:
    """An address or a phone number, in the one form for all its spellings."""
    text = (mark or "").strip().casefold()
    if "@" in text:
        return text
    digits = "".join(sign for sign in text if sign.isdecimal())
    return digits[-10:] if len(digits) >= 6 else ""


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether a row and a ticket share a mark, or some words."""
    common = one & other
    if any(clue.startswith("=") for clue in common):
        return True
    words = sum(not clue.startswith("=") for clue in one)
    return len(common) >= min(_WORDS, words) > 0


_TAG = re.compile(r"<[^<>]*>")


_BEGINNING = 200
"""Characters of a text that are compared."""


_SURE = 30
"""Characters that a truncated text must still have to be matched with what was sent."""


_PART = re.compile(r"\s*\\?\[(?:r(?:e(?:f(?::[a-z2-7]*)?)?)?)?\Z")


def beginning(title: str | None, text: str | None) -> tuple[str, str]:
    """Title and the beginning of a text, as they are compared: white space and mark-up do not
    survive every way."""
    return _folded(title), _folded((text or "")[: 20 * _BEGINNING])[:_BEGINNING]


def _folded(text: str | None) -> str:
    plain = html.unescape(html.unescape(text or ""))
    return " ".join(_TAG.sub(" ", plain).split()).casefold()


class Beginnings:
    """Rows in doubt by how they begin: title, and beginning of the text.

    Args:
        doubts: the rows.
        beginnings: of each how it begins.
    """

    def __init__(self, doubts: Sequence[Doubt], beginnings: Mapping[int, tuple[str, str]]) -> None:
        self.found: dict[int, set[str | None]] = {}
        self._rows: dict[str, dict[str, list[int]]] = {}
        self._own = beginnings
        for doubt in doubts:
            if doubt.row in beginnings:
                title, text = beginnings[doubt.row]
                self._rows.setdefault(title, {}).setdefault(text, []).append(doubt.row)
        self._texts = {title: sorted(texts) for title, texts in self._rows.items()}

    def compare(self, seen: tuple[str, str], ticket_id: str | None) -> None:
        """Note the rows that a ticket may be: it has the row's title, and the beginning of the
        text, perhaps cut short, or perhaps with a part of the reference."""
        title, text = seen
        texts = self._texts.get(title)
        if texts is None:
            return
        text = _PART.sub("", text)
        for place in range(bisect_left(texts, text), len(texts)):
            own = texts[place]
            if not own.startswith(text):
                break
            if len(text) >= min(len(own), _SURE):
                for row in self._rows[title][own]:
                    self.found.setdefault(row, set()).add(ticket_id)

    def alone(self, row: int) -> bool:
        """Whether no other row begins as this one."""
        title, text = self._own[row]
        return len(self._rows[title][text]) == 1
