"""Rows in doubt by how they begin: a ticket may have lost a reference at the end of its text."""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from ..journal.records import Doubt

_TAG = re.compile(r"<[^<>]*>")
_BEGINNING = 200
"""Characters of a text that are compared."""
_SURE = 30
"""Characters that a text which was cut must still have to be taken for the one that was sent."""


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
