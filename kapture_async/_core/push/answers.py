"""Whether the answers of a push belong to their rows.

A server or proxy that is one answer behind gives a row the answer of another. Such an answer says
"success", and the row may never have been executed. Two things contradict it: it fits another row
and not its own, or it gives an id that another row has.

What is kept of the rows before has a fixed size: the fields of the last ``RECENT`` rows, and about
a quarter of a million ids, each as the 64 bits of its hash. In a push of a million rows the chance
that one id is taken for another is below one in a billion; one that was given longer ago is not
noticed.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import frozen

from ..errors import AnswerMismatchError
from .echoes import SAME, AnswerRule, Texts, explains_better, fits, fold
from .in_flight import InFlightRow
from .rows import Row

RECENT = 256
"""Rows whose fields are compared with an answer that does not fit its own row."""
ALIKE = 20
"""So many answers in a row that fit no row in a field are the service's habit: worth a word, and
from then on the field is not compared, until one fits again."""
_BITS = 18
_MASK = (1 << _BITS) - 1


@frozen
class Contradiction:
    """An answer that cannot be the one of its row.

    Attributes:
        error: why, for the row it came for.
        earlier: another row that has its id, by its number, and is no surer than this one.
        index: its place in the source, if it is one of the last rows of this push.
        key: its key, likewise.
        ticket_id: that id.
        words: why that row is in doubt, too.
    """

    error: AnswerMismatchError
    earlier: int | None = None
    index: int | None = None
    key: str | None = None
    ticket_id: str = ""
    words: str = ""


class Ids:
    """Which row has which id, of about the last quarter of a million. Fixed in size: 4 MiB."""

    def __init__(self) -> None:
        self._hashes = array("q", bytes(8 << _BITS))
        self._rows = array("q", bytes(8 << _BITS))

    def claim(self, given: str, row: int) -> int | None:
        """A row has an id. Returns the row that had it before, if another is known to."""
        number = hash(given)
        hashes, rows, place = self._hashes, self._rows, number & _MASK
        beside = place ^ 1
        if hashes[place] == number:
            known = rows[place]
            return known if known != row else None
        if hashes[beside] == number:
            known = rows[beside]
            return known if known != row else None
        if hashes[place]:  # the older of the two makes room
            hashes[beside], rows[beside] = hashes[place], rows[place]
        hashes[place], rows[place] = number, row
        return None

    def give(self, given: str, row: int) -> None:
        """An id that was claimed belongs to another row."""
        number = hash(given)
        for place in (number & _MASK, number & _MASK ^ 1):
            if self._hashes[place] == number:
                self._rows[place] = row

    def row_of(self, given: str) -> int | None:
        """The row that has an id, if one is known to."""
        number = hash(given)
        for place in (number & _MASK, number & _MASK ^ 1):
            if self._hashes[place] == number:
                return self._rows[place]
        return None


class _Sent:
    """A row that was sent."""

    __slots__ = ("_folded", "given", "index", "key", "line", "number", "texts")

    def __init__(self, number: int, live: InFlightRow[Any], texts: Texts) -> None:
        self.number = number
        self.index = live.index
        self.key = live.key
        row = live.row
        self.line = row.line if row.__class__ is Row else None
        self.texts = texts
        self.given: str | None = None
        """The id it was accepted with, or nothing, if its answer gave none."""
        self._folded: Texts | None = None

    @property
    def folded(self) -> Texts:
        """Its fields as :func:`fold` makes them."""
        if self._folded is None:
            self._folded = tuple(
                fold(text) if text.__class__ is str else None for text in self.texts
            )
        return self._folded

    def may_match(self, wanted: list[tuple[int, Any]]) -> bool:
        """Whether one of these fields, by their places, is its own."""
        texts = self.folded
        return any(
            texts[place] == text if text.__class__ is str else self.texts[place] is not None
            for place, text in wanted
        )

    def __str__(self) -> str:
        """A name by which a person finds it again."""
        name = f"row {self.index}" if self.line is None else f"line {self.line}"
        return name if self.key is None else f"{name}, key {self.key!r}"


class Answers:
    """Compares the answers of a push with its rows.

    Args:
        rule: what the answers repeat.
        us: what errors of our own carry: service, operation, effect.
        most: rows that may be out at a time.
        on_habit: told once that so many answers alike fit no row in this field.
    """

    def __init__(
        self,
        rule: AnswerRule,
        us: dict[str, Any],
        *,
        most: int,
        on_habit: Callable[[str, int], None],
    ) -> None:
        self._rule = rule
        self._sent_of, self._told_of, self._id_of = rule.sent, rule.told, rule.id_of
        self._by_id = rule.by_id
        self.gives_ids = not rule.by_id
        """The answers give each row an id of its own."""
        self._us = us
        self._on_habit = on_habit
        self._recent: deque[_Sent] = deque(maxlen=max(RECENT, 2 * most))
        self._ids = Ids()
        self._nothing: Texts = (None,) * len(rule.names)
        self._odd = [0] * len(rule.names)
        self._odd_one = False
        self._told_habits: set[int] = set()

    def know(self, given: str, row: int) -> None:
        """A row of an earlier run has this id."""
        self._ids.claim(given, row)

    def note(self, live: InFlightRow[Any]) -> None:
        """A row is about to be sent for the first time."""
        number = live.index if live.entry is None else live.entry
        try:
            texts = self._sent_of(live.value)
        except Exception:  # a row that cannot be sent; the call says why
            texts = self._nothing
        live.sent = sent = _Sent(number, live, texts)
        self._recent.append(sent)
        if self._by_id and sent.texts[0]:
            self._ids.claim(sent.texts[0], number)

    def check(self, live: InFlightRow[Any]) -> Contradiction | None:
        """An answer says "success"; does anything speak against its being this row's?"""
        sent, result = live.sent, live.result
        told, strange = self._told_of(result), False
        for text, mine in zip(told, sent.texts):  # noqa: B905 - both follow the rule's names
            if text and mine:
                if text == mine:
                    live.checked = True
                else:
                    strange = True
        given = self._id_of(result)
        if given:
            earlier = self._ids.claim(given, sent.number)
            if earlier is not None:
                return self._same_id(sent, given, earlier, told)
        if not strange:
            if self._odd_one:
                self._odd, self._odd_one = [0] * len(self._odd), False
        elif (other := self._other(live, sent, given, told)) is not None:
            if given:
                self._ids.give(given, other.number)
            words = (
                "the answer says success and carries the content of another row "
                f"({other}), not of this one"
            )
            return Contradiction(
                self._error(f"{words}; it gives the id {given}" if given else words)
            )
        sent.given = given or ""
        return None

    def counts(self, error: AnswerMismatchError) -> bool:
        """Whether an answer that contradicts itself, or names another thing than was asked for,
        is the answer of another row. (Of two tickets that were merged, one may answer so, too.)"""
        return error.named is None or self._ids.row_of(error.named) is not None

    def _same_id(self, sent: _Sent, given: str, earlier: int, told: Texts) -> Contradiction | None:
        before = next((one for one in reversed(self._recent) if one.number == earlier), None)
        same = self._rule.same
        if same is not None and (before is None or same(before.texts, sent.texts)):
            sent.given = given
            return None
        name = f"the row with number {earlier}" if before is None else str(before)
        words = f"the answer says success and gives the id {given}, which another row has ({name})"
        if before is not None and explains_better(before.texts, sent.texts, told):
            # It is that row's own answer, given twice: nothing speaks against that row.
            return Contradiction(self._error(f"{words}; it carries the content of that row"))
        return Contradiction(
            self._error(f"{words}: both are in doubt until they are looked up"),
            earlier,
            None if before is None else before.index,
            None if before is None else before.key,
            given,
            f"the id {given} was given to another row, too ({sent}): both are in doubt until they "
            "are looked up",
        )

    def _other(
        self, live: InFlightRow[Any], sent: _Sent, given: str | None, told: Texts
    ) -> _Sent | None:
        """The row whose answer this seems to be. If there is none, the service has changed what
        it repeats."""
        levels = [
            fits(mine, text) if text and mine else SAME
            for text, mine in zip(told, sent.texts, strict=True)
        ]
        wanted = [
            (place, fold(text) if text.__class__ is str else text)
            for place, (text, level) in enumerate(zip(told, levels, strict=True))
            if text and level < SAME and self._odd[place] < ALIKE
        ]
        if wanted:
            for one in reversed(self._recent):
                if one is sent or (one.given is not None and one.given != given):
                    continue  # it has had an answer of its own
                if one.may_match(wanted) and explains_better(one.texts, sent.texts, told):
                    return one
        for place, (text, mine) in enumerate(zip(told, sent.texts, strict=True)):
            if not text or not mine:
                continue
            if levels[place]:
                live.checked = True
                self._odd[place] = 0
                continue
            self._odd[place] += 1
            self._odd_one = True
            if self._odd[place] == ALIKE and place not in self._told_habits:
                self._told_habits.add(place)
                self._on_habit(self._rule.names[place], ALIKE)
        return None

    def _error(self, words: str) -> AnswerMismatchError:
        return AnswerMismatchError(words, status=200, **self._us)
