"""What an answer repeats of its request, and whether that fits what was sent.

Services change what they repeat: they trim it, change its case, escape it for HTML once or twice,
fold white space, leave out mark-up, and cut it at the end. None of that is a contradiction.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

from attrs import frozen

Texts = tuple[Any, ...]
"""The fields of a row, or of an answer, in the order of a rule's names: texts, objects of further
fields, or ``None``."""

NONE, CUT, SAME = 0, 1, 2
"""How well a text that came back fits one that was sent; ``CUT``: it is the beginning of it."""

_HEAD, _TAIL = 200, 100
_DEEP = 5
_TAG = re.compile(r"<[^<>]*>")
_DOTS = " .…"


@frozen(kw_only=True)
class AnswerRule:
    """What the answers of one operation repeat.

    Attributes:
        names: the fields, as a person calls them; the title comes first.
        sent: the fields of what is sent.
        told: the fields of an answer, in the same order.
        id_of: the id an answer gives.
        by_id: the first field is the id of what is changed: it is there before, and several rows
            may change it.
        same: for services that answer with the id of a thing that is there already: whether two
            rows, by their fields, may well be one thing.
    """

    names: tuple[str, ...]
    sent: Callable[[Any], Texts]
    told: Callable[[Any], Texts]
    id_of: Callable[[Any], str | None]
    by_id: bool = False
    same: Callable[[Texts, Texts], bool] | None = None


def short(text: Any) -> str | None:
    """What is kept of a text to compare it by: all of it, or beginning and end."""
    if text.__class__ is not str:
        return None
    return text if len(text) <= _HEAD + _TAIL else text[:_HEAD] + text[-_TAIL:]


def fold(text: str) -> str:
    """A text without what services change in it."""
    if "&" in text:
        text = html.unescape(html.unescape(text))
    if "<" in text:
        text = _TAG.sub(" ", text)
    return " ".join(text.split()).casefold()


def fits(sent: Any, told: Any) -> int:
    """How well a field that came back fits one that was sent: ``NONE``, ``CUT`` or ``SAME``."""
    if not sent:
        return NONE
    if sent == told:
        return SAME
    if sent.__class__ is dict or told.__class__ is dict:
        return _fits_fields(sent, told)
    sent, told = fold(sent), fold(told)
    if sent == told:
        return SAME
    beginning = told.rstrip(_DOTS)
    if beginning and sent.startswith(beginning):
        return CUT
    # Of a long text, the two ends are compared; if it was cut, only its beginning can be.
    shown = _HEAD // 2
    return CUT if len(told) > shown and told[:shown] == sent[:shown] else NONE


def _fits_fields(sent: Any, told: Any) -> int:
    """The same for further fields. Only those that are in both are compared, by their own names,
    whichever objects or lists they stand in."""
    mine, theirs = _flat(sent), _flat(told)
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


def explains_better(other: Texts, own: Texts, told: Texts) -> bool:
    """Whether an answer fits another row better than the one it came for: no field worse, and one
    that is the other's and not its own."""
    better = False
    for theirs, mine, text in zip(other, own, told, strict=True):
        if not text:
            continue
        by_other, by_own = fits(theirs, text), fits(mine, text)
        if by_other < by_own:
            return False
        better = better or (by_other == SAME and by_own < SAME)
    return better
