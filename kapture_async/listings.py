"""Lists whose replies nobody documented: where their rows are, and where they end. No I/O here.

The replies to a pull of customers or orders were not seen (kapture.md, contradiction 19). So the
rows are taken from wherever the reply has its one list of objects; a reply that leaves a choice
is an error, never an empty result.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import orjson

from ._core.codec import WireModel
from ._core.errors import InvalidInputError, UnreadableReplyError
from ._core.replies import Judgement
from .service import says_none

R = TypeVar("R", bound=WireModel)

PAGE = 100
"""Rows of a page where no limit is given (kapture.md, section 8)."""

_NO_ROWS = re.compile(r"error|warning|fail|problem", re.IGNORECASE)


def rows_in(judged: Judgement) -> list[dict[str, Any]]:
    """The rows of a reply of an unknown shape: the only list of objects in its two upper levels.

    A text under ``message`` that says "none", as the ticket pull has it, is no rows.

    Raises:
        UnreadableReplyError: there is no such list, or more than one.
    """
    body = judged.body
    words: Any = None
    if isinstance(body, list):
        found = [body]
    else:
        words = body.get("message", body.get("Message"))
        if isinstance(words, str) and says_none(words):
            return []
        found = list(_lists_in(body))
    rows = [part for part in found if part]
    if len(rows) == 1 and all(isinstance(row, dict) for row in rows[0]):
        return rows[0]
    if not rows and len(found) == 1:
        return []
    if not found and isinstance(words, str):
        raise judged.error(
            UnreadableReplyError, "the answer has a text in place of the rows", words=words
        )
    held = "more than one list" if len(found) > 1 else "no list of objects"
    raise judged.unreadable(f"the answer's rows cannot be told: it holds {held}")


def _lists_in(body: dict[str, Any], depth: int = 2) -> Iterator[list[Any]]:
    for key, value in body.items():
        if isinstance(value, list) and not _NO_ROWS.search(key):
            yield value
        elif isinstance(value, dict) and depth > 1:
            yield from _lists_in(value, depth - 1)


async def every_row(
    ask: Callable[[int], Awaitable[list[R]]], *, not_moving: Callable[[], Exception]
) -> list[R]:
    """All rows of a list that is read by offset, each once.

    The end is a page without rows, and not one that is shorter than another: a service may have
    a limit of its own, and then a short page is no end. A service that does not look at the
    offset gives the first page again: that is the end if the page was shorter than the
    documented one, and an error otherwise.

    Args:
        ask: gives the rows from an offset on.
        not_moving: makes the error for a list that gives the same rows at every offset.
    """
    found: dict[bytes, R] = {}
    offset = 0
    while rows := await ask(offset):
        before = len(found)
        for row in rows:
            found.setdefault(orjson.dumps(row.raw, option=orjson.OPT_SORT_KEYS), row)
        if len(found) == before:
            if before < PAGE:
                break
            raise not_moving()
        offset += len(rows)
    return list(found.values())


def account_id(name: str, value: int | str) -> int | str:
    """A tenant's account id: a number above 0, or text that is not blank.

    Raises:
        InvalidInputError: it is neither.
    """
    if isinstance(value, str) and value.strip() and value.strip() != "0":
        return value.strip()
    if type(value) is int and value > 0:
        return value
    raise InvalidInputError(f"{name} must be the account's id, a number above 0")
