"""Whether the answers of a push belong to their rows.

A server or proxy that is one answer behind gives a row the answer of another. Such an answer says
"success", and the row may never have been executed. Two things contradict it: it fits another row
and not its own, or it gives an id that another row has.

Services change what they repeat: they trim it, change its case, escape it for HTML once or twice,
fold white space, leave out mark-up, and cut it at the end. None of that is a contradiction.

What is kept of the rows before has a fixed size: the fields of the last ``RECENT`` rows, and about
a quarter of a million ids, each as the 64 bits of its hash. In a push of a million rows the chance
that one id is taken for another is below one in a billion; one that was given longer ago is not
noticed.
"""

from __future__ import annotations

import html
import logging
import re
from collections import deque
from collections.abc import Callable
from mmap import mmap
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..errors import AnswerMismatchError, PushStoppedError
from .events import AnswersDiffer, RowDoubted
from .rows import NOTHING, InFlightRow

if TYPE_CHECKING:
    from .push import Push

logger = logging.getLogger("kapture_async.push")

RECENT = 256
"""Rows whose fields are compared with an answer that does not fit its own row."""
ALIKE = 20
"""So many answers in a row that fit no row in a field are the service's habit: it is reported, and
the field is not compared until one fits again."""
MISMATCHED = "two answers belong to other rows than those they came for"
_MOST_CONTRADICTIONS = 2
_BITS = 18
_MASK = (1 << _BITS) - 1


NONE, CUT, SAME = 0, 1, 2
"""How well a text that came back fits one that was sent; ``CUT``: it is the beginning of it."""

_HEAD, _TAIL = 200, 100
_WHOLE = _HEAD + _TAIL
_DEEP = 5
_TAG = re.compile(r"<[^<>]*>")
_DOTS = " .…"

Texts = tuple[Any, ...]
"""The fields of a row, or of an answer, in the order of a rule's names: texts, objects of further
fields, or ``None``."""


@frozen(kw_only=True)
class AnswerRule:
    """What the answers of one operation repeat.

    Attributes:
        names: the fields, as a person calls them; the title comes first.
        sent: the fields of what is sent; what is neither a text nor an object is not compared.
        answered: the fields of an answer, in the same order.
        id_of: the id an answer gives.
        by_id: the first field is the id of what is changed: it is there before, and several rows
            may change it.
        same: for services that answer with the id of a thing that is there already: whether two
            rows, by their fields, may well be one thing.
    """

    names: tuple[str, ...]
    sent: Callable[[Any], Texts]
    answered: Callable[[Any], Texts]
    id_of: Callable[[Any], str | None]
    by_id: bool = False
    same: Callable[[Texts, Texts], bool] | None = None


@frozen
class AnswerConflict:
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
        # Pages that the system fills with zeros once they are touched: most pushes are small.
        self._hashes = memoryview(mmap(-1, 8 << _BITS)).cast("q")
        self._rows = memoryview(mmap(-1, 8 << _BITS)).cast("q")

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


class Answers:
    """Compares the answers of a push with its rows.

    Args:
        push: whose rows they are; it reports what answers contradict.
        rule: what the answers repeat.
        most: rows that may be out at a time.

    Attributes:
        contradictions: answers that belong to other rows than those they came for.
        doubted: accepted rows that are in doubt since.
    """

    def __init__(self, push: Push[Any], rule: AnswerRule, *, most: int) -> None:
        self._push = push
        self._rule = rule
        self._sent_of, self._answered_of, self._id_of = rule.sent, rule.answered, rule.id_of
        self._by_id = rule.by_id
        self.gives_ids = not rule.by_id
        """The answers give each row an id of its own."""
        self.contradictions = self.doubted = 0
        self._recent: deque[InFlightRow[Any]] = deque(maxlen=max(RECENT, 2 * most))
        self._ids = Ids()
        self._nothing: Texts = (None,) * len(rule.names)
        self._odd = [0] * len(rule.names)
        self._odd_one = False
        self._reported_habits: set[int] = set()

    def know(self, given: str, row: int) -> None:
        """A row of an earlier run has this id."""
        self._ids.claim(given, row)

    def note(self, row: InFlightRow[Any]) -> None:
        """A row is about to be sent for the first time."""
        row.number = row.index if row.entry is None else row.entry
        try:
            row.sent = texts = _shortened(self._sent_of(row.value))
        except Exception:  # a row that cannot be sent; the call says why
            row.sent = texts = self._nothing
        self._recent.append(row)
        if self._by_id and texts[0]:
            self._ids.claim(texts[0], row.number)

    def check(self, row: InFlightRow[Any]) -> AnswerConflict | None:
        """An answer says "success"; does anything speak against its being this row's?"""
        result = row.result
        answered, strange = self._answered_of(result), False
        for text, mine in zip(answered, row.sent):  # noqa: B905 - both follow the rule's names
            if text and mine:
                if text == mine:
                    row.checked = True
                else:
                    strange = True
        if strange:
            answered = _shortened(answered)
            strange = False
            for text, mine in zip(answered, row.sent):  # noqa: B905
                if text and mine:
                    if text == mine:
                        row.checked = True
                    else:
                        strange = True
        given = self._id_of(result)
        if given:
            earlier = self._ids.claim(given, row.number)
            if earlier is not None:
                return self._same_id(row, given, earlier, _shortened(answered))
        if not strange:
            if self._odd_one:
                self._odd, self._odd_one = [0] * len(self._odd), False
        elif (other := self._other(row, given, answered)) is not None:
            if given:
                self._ids.give(given, other.number)
            words = (
                "the answer says success and carries the content of another row "
                f"({_name_of(other)}), not of this one"
            )
            return AnswerConflict(
                self._error(f"{words}; it gives the id {given}" if given else words)
            )
        row.given = given or ""
        return None

    def contradicted(self, row: InFlightRow[Any], found: AnswerConflict) -> None:
        """Take back what a row was accepted for, and doubt the other row, if there is one.

        One answer of another row may be an accident; after two, nothing that the service says can
        be relied upon, and the push stops.
        """
        push, error = self._push, found.error
        row.result, row.last = NOTHING, error
        if found.earlier is not None:
            self.doubted += 1
            logger.warning(
                "an accepted row is in doubt: another row was given its id, %s", found.ticket_id
            )
            if push._bridge is not None:
                push._bridge.doubt(found.earlier, found.ticket_id, found.words)
            push._tell(RowDoubted(found.index, found.key, found.ticket_id, found.words))
        # An answer that contradicts itself, or names another thing than was asked for, need not be
        # that of another row: of two tickets that were merged, one may answer so, too.
        if error.named is None or self._ids.row_of(error.named) is not None:
            self.contradictions += 1
            if self.contradictions == _MOST_CONTRADICTIONS:
                push._fail(PushStoppedError(MISMATCHED, **push._us), MISMATCHED)

    def _report_habit(self, field: str) -> None:
        words = "%d answers repeat a %s that fits no row; it cannot show that they are right"
        logger.warning(words, ALIKE, field)
        self._push._tell(AnswersDiffer(field, ALIKE))

    def _same_id(
        self, row: InFlightRow[Any], given: str, earlier: int, answered: Texts
    ) -> AnswerConflict | None:
        before = next((one for one in reversed(self._recent) if one.number == earlier), None)
        same = self._rule.same
        if same is not None and (before is None or same(before.sent, row.sent)):
            row.given = given
            return None
        name = f"the row with number {earlier}" if before is None else _name_of(before)
        words = f"the answer says success and gives the id {given}, which another row has ({name})"
        if before is not None and explains_better(before.sent, row.sent, answered):
            # It is that row's own answer, given twice: nothing speaks against that row.
            return AnswerConflict(self._error(f"{words}; it carries the content of that row"))
        return AnswerConflict(
            self._error(f"{words}: both are in doubt until they are looked up"),
            earlier,
            None if before is None else before.index,
            None if before is None else before.key,
            given,
            f"the id {given} was given to another row, too ({_name_of(row)}): both are in doubt "
            "until they are looked up",
        )

    def _other(
        self, row: InFlightRow[Any], given: str | None, answered: Texts
    ) -> InFlightRow[Any] | None:
        """The row whose answer this seems to be. If there is none, the service has changed what
        it repeats."""
        levels = [
            fits(mine, text) if text and mine else SAME
            for text, mine in zip(answered, row.sent, strict=True)
        ]
        wanted = [
            (place, fold(text) if text.__class__ is str else text)
            for place, (text, level) in enumerate(zip(answered, levels, strict=True))
            if text and level < SAME and self._odd[place] < ALIKE
        ]
        if wanted:
            one: InFlightRow[Any]
            for one in reversed(self._recent):
                if one is row or (one.given is not None and one.given != given):
                    continue  # it has had an answer of its own
                if _may_match(one, wanted) and explains_better(one.sent, row.sent, answered):
                    return one
        for place, (text, mine) in enumerate(zip(answered, row.sent, strict=True)):
            if not text or not mine:
                continue
            if levels[place]:
                row.checked = True
                self._odd[place] = 0
                continue
            self._odd[place] += 1
            self._odd_one = True
            if self._odd[place] == ALIKE and place not in self._reported_habits:
                self._reported_habits.add(place)
                self._report_habit(self._rule.names[place])
        return None

    def _error(self, words: str) -> AnswerMismatchError:
        return AnswerMismatchError(words, status=200, effect="write", **self._push._us)


def _shortened(texts: Texts) -> Texts:
    """What is kept of fields to compare them by: of a long text, its beginning and its end."""
    for text in texts:
        kind = text.__class__
        if kind is str:
            if len(text) > _WHOLE:
                break
        elif text is not None and kind is not dict:
            break
    else:
        return texts  # nearly always
    return tuple(
        [
            text
            if text is None or (text.__class__ is str and len(text) <= _WHOLE)
            else text[:_HEAD] + text[-_TAIL:]
            if text.__class__ is str
            else text
            if text.__class__ is dict
            else None
            for text in texts
        ]
    )


def _may_match(row: InFlightRow[Any], wanted: list[tuple[int, Any]]) -> bool:
    """Whether one of these fields, by their places, is a row's own."""
    if row.folded is None:
        row.folded = tuple(fold(text) if text.__class__ is str else None for text in row.sent)
    return any(
        row.folded[place] == text if text.__class__ is str else row.sent[place] is not None
        for place, text in wanted
    )


def _name_of(row: InFlightRow[Any]) -> str:
    """How a person finds a row again."""
    name = f"row {row.index}" if row.line is None else f"line {row.line}"
    return name if row.key is None else f"{name}, key {row.key!r}"


def fold(text: str) -> str:
    """A text without what services change in it."""
    if "&" in text:
        text = html.unescape(html.unescape(text))
    if "<" in text:
        text = _TAG.sub(" ", text)
    return " ".join(text.split()).casefold()


def fits(sent: Any, answered: Any) -> int:
    """How well a field that came back fits one that was sent: ``NONE``, ``CUT`` or ``SAME``."""
    if not sent:
        return NONE
    if sent == answered:
        return SAME
    if sent.__class__ is dict or answered.__class__ is dict:
        return _fits_fields(sent, answered)
    sent, answered = fold(sent), fold(answered)
    if sent == answered:
        return SAME
    beginning = answered.rstrip(_DOTS)
    if beginning and sent.startswith(beginning):
        return CUT
    # Of a long text, the two ends are compared; if it was cut, only its beginning can be.
    shown = _HEAD // 2
    return CUT if len(answered) > shown and answered[:shown] == sent[:shown] else NONE


def _fits_fields(sent: Any, answered: Any) -> int:
    """The same for further fields. Only those that are in both are compared, by their own names,
    whichever objects or lists they stand in."""
    mine, theirs = _flat(sent), _flat(answered)
    return SAME if all(mine[name] == theirs[name] for name in mine.keys() & theirs) else NONE


def _flat(value: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    _collect(value, "", found, 0)
    return {name: sorted(texts) for name, texts in found.items()}


def _collect(value: Any, name: str, found: dict[str, list[str]], depth: int) -> None:
    if isinstance(value, dict) and depth < _DEEP:
        for key in value:
            _collect(value[key], str(key), found, depth + 1)
    elif isinstance(value, (list, tuple)) and depth < _DEEP:
        for one in value:
            _collect(one, name, found, depth + 1)
    elif isinstance(value, str) and value:
        found.setdefault(name, []).append(fold(value))


def explains_better(other: Texts, own: Texts, answered: Texts) -> bool:
    """Whether an answer fits another row better than the one it came for: no field worse, and one
    that is the other's and not its own."""
    better = False
    for theirs, mine, text in zip(other, own, answered, strict=True):
        if not text:
            continue
        by_other, by_own = fits(theirs, text), fits(mine, text)
        if by_other < by_own:
            return False
        better = better or (by_other == SAME and by_own < SAME)
    return better
