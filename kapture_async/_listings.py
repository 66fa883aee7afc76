"""Lists whose replies nobody documented: where their rows are, and where they end. No I/O here.

The replies to a pull of customers or orders were not seen (SERVICE.md, section 19). So the
rows are taken from wherever the reply has its one list of objects; a reply that leaves a choice
is an error, never an empty result.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from ._api import claims_success_in, count_in
from ._api import none_said as text_says_none
from ._core.codec import WireModel
from ._core.errors import InvalidInputError, UnreadableReplyError
from ._core.jsontext import dumps
from ._core.pull.arriving import Fetched
from ._core.response import ResponseContext

R = TypeVar("R", bound=WireModel)

PAGE = 100
"""Rows of a page where no limit is given (SERVICE.md, section 8)."""

Found = tuple[list[R], int]
"""Rows of one reply, and how many there are by its own count; 0 if it has none."""

_NO_ROWS = re.compile(r"error|warning|fail|problem", re.IGNORECASE)
_BAD = re.compile(r"error|exception|fail", re.IGNORECASE)
_ASIDE = re.compile(r"pag(e|ing|ination)|meta|links|filter|sort", re.IGNORECASE)
_IDS = frozenset({"id", "leadid", "customer_id", "customerid", "order_id", "orderid", "ticketid"})
_NOTHING: tuple[Any, ...] = (None, "", 0, [], {})  # ``False == 0``


def rows_in(judged: ResponseContext, *, skipped: int | None = 0) -> Found[Any]:
    """The rows of a reply of an unknown shape: the only list of objects in its two upper levels.

    A text under ``message`` that says "none", as the ticket pull has it, is no rows.

    Args:
        judged: the reply.
        skipped: rows that the request left out at the beginning; ``None`` where rows of the
            list came before, so that no rows are an end of it.

    Returns:
        The rows, still undecoded, and the reply's own count (``totalCount``).

    Raises:
        UnreadableReplyError: there is no such list, or more than one, were they empty; there is
            something beside it that might be the rows; the reply also speaks of a failure; or
            it has no rows and says that there are some.
    """
    body = judged.body
    if isinstance(body, list):
        rows, total = _objects(judged, [body]), 0
    else:
        rows, total = _rows_of_object(judged, body)
    if not rows and skipped is not None and total > skipped:
        raise judged.unreadable("the answer holds no rows and says that there are some")
    return rows, total


def _rows_of_object(judged: ResponseContext, body: dict[str, Any]) -> tuple[list[Any], int]:
    words = body.get("message", body.get("Message"))
    none_said = isinstance(words, str) and text_says_none(judged, words)
    parts = list(_lists_in(body))
    holders = [body, *(holder for holder, _ in parts if holder is not body)]
    marked = claims_success_in(body)
    if any(_fails(holder, marked=marked, none_said=none_said) for holder in holders):
        raise judged.unreadable("the answer holds rows or none, and also speaks of a failure")
    total = max(count_in(holder) or 0 for holder in holders)
    found = [part for _, part in parts]
    beside = {
        key: value
        for holder in holders
        for key, value in holder.items()
        if isinstance(value, dict) and value and not any(value is one for one in holders)
    }
    if none_said and not any(found) and not beside:
        return [], total
    vague = isinstance(words, str) and not (none_said or marked) and words.strip()
    if isinstance(words, str) and (not found or (vague and not any(found))):
        raise judged.error(
            UnreadableReplyError, "the answer has a text in place of the rows", words=words
        )
    rows = _objects(judged, found)
    # Beside an empty list, what is not plainly about the list may be the one row.
    doubtful = [
        part for key, part in beside.items() if _has_id(part) or not (rows or _ASIDE.search(key))
    ]
    if none_said or doubtful:
        raise judged.unreadable("the answer's rows cannot be told: more than one part may be them")
    return rows, total


def _objects(judged: ResponseContext, found: list[list[Any]]) -> list[dict[str, Any]]:
    if len(found) == 1 and all(isinstance(row, dict) for row in found[0]):
        if any(map(is_no_row, found[0])):
            raise judged.unreadable("in place of a row, the answer has an object that is none")
        return found[0]
    held = "more than one list" if len(found) > 1 else "no list of objects"
    raise judged.unreadable(f"the answer's rows cannot be told: it holds {held}")


def _lists_in(body: dict[str, Any], depth: int = 2) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    for key, value in body.items():
        if isinstance(value, list) and not _NO_ROWS.search(key):
            yield body, value
        elif isinstance(value, dict) and depth > 1:
            yield from _lists_in(value, depth - 1)


def _fails(part: dict[str, Any], *, marked: bool, none_said: bool) -> bool:
    """Whether an object speaks of a failure in a way that the mark of success does not know."""
    for key, value in part.items():
        if _BAD.search(key):
            if value not in _NOTHING:
                return True
            continue
        name, said = key.lower(), str(value).strip().lower()
        if name == "success" and said not in ("true", "success") and not none_said:
            return True
        # Which code but HTTP's own means success, nobody said.
        if name == "code" and said not in ("none", "", "200") and not (none_said or marked):
            return True
    return False


def is_no_row(row: dict[str, Any]) -> bool:
    """Whether an object in a list is no row of it: it is empty, or an error without an id."""
    speaks = any(_BAD.search(key) and value not in _NOTHING for key, value in row.items())
    return not row or (speaks and not _has_id(row))


def _has_id(part: dict[str, Any]) -> bool:
    return any(key.lower() in _IDS and value not in _NOTHING for key, value in part.items())


class Listed(Fetched[R]):
    """All rows of a list that was read in one or more calls, and how many there are said to be.

    Args:
        found: gives the rows, and how many the service says there are.
    """

    def __init__(self, found: Awaitable[Found[R]]) -> None:
        self._counted = 0
        super().__init__(self._take(found))

    @property
    def total(self) -> int | None:
        """See :class:`._core.pull.arriving.Source`."""
        return self._counted or None

    async def _take(self, found: Awaitable[Found[R]]) -> list[R]:
        rows, self._counted = await found
        return rows


async def one_page(found: Awaitable[Found[R]], limit: Any, offset: Any) -> Found[R]:
    """The rows of a call whose limit and offset the caller gave, and how many it should have."""
    rows, total = await found
    most = PAGE if limit is None else number_of(limit)
    skipped = 0 if offset is None else number_of(offset)
    if most is None or skipped is None:
        return rows, 0
    return rows, min(most, max(0, total - skipped))


def number_of(value: Any) -> int | None:
    """A limit or an offset as a number; ``None`` if it is something else."""
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


async def every_row(
    ask: Callable[[int], Awaitable[Found[R]]], *, not_moving: Callable[[], Exception]
) -> Found[R]:
    """All rows of a list that is read by offset, each once, and how many the service counts.

    The end is a page without rows, and not one that is shorter than another: a service may have
    a limit of its own, and then a short page is no end. A service that does not look at the
    offset gives the first page again: that is the end if the page was shorter than the
    documented one, and an error otherwise.

    Args:
        ask: gives the rows from an offset on.
        not_moving: makes the error for a list that gives the same rows at every offset.
    """
    found: dict[bytes, R] = {}
    offset = total = 0
    while True:
        rows, said = await ask(offset)
        total = max(total, said)
        if not rows:
            break
        before = len(found)
        for row in rows:
            found.setdefault(dumps(row.raw, sort_keys=True), row)
        if len(found) == before:
            if before < PAGE:
                break
            raise not_moving()
        offset += len(rows)
    # Equal rows are one here, and were two in the service's count.
    return list(found.values()), max(0, total - (offset - len(found)))


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
