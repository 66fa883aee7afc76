"""Arguments: checked before anything is sent, in the form that the service reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from kapture_async._core.arguments import given, is_missing
from kapture_async._core.errors import InvalidInputError

SUBJECT_CHARACTERS: Final = 500
"""By code points, after outer blanks are trimmed (SERVICE.md, section 3.2)."""

PRIORITIES: Final[Mapping[str, str]] = {"low": "1", "medium": "2", "high": "3"}
"""The words for the documented codes (SERVICE.md, section 2.6); other codes have none."""

_LONGEST_ID: Final = 100
"""Digits. No database numbers its rows any further."""
_TOO_LARGE: Final = 10**_LONGEST_ID


def checked_id(name: str, value: Any) -> str:
    """An id as decimal digits (SERVICE.md, section 2.5: numbers on the wire, text in forms).

    Raises:
        InvalidInputError: it is neither a whole number of 0 or more nor text of its digits.
    """
    value = value if is_missing(value) else given(value)
    if isinstance(value, int) and value >= _TOO_LARGE:
        raise _wrong(name, "has too many digits")  # Python writes no number of thousands of them
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(int(value))  # a member of an enumeration has a text of its own
    text = value.strip() if isinstance(value, str) else ""
    if not text.isascii() or not text.isdigit():
        raise _wrong(name, f"must be an id such as 101, not {_shown(value)}")
    if len(text) > _LONGEST_ID:
        raise _wrong(name, "has too many digits")
    return text.lstrip("0") or "0"  # as the service writes it, so that ids can be compared


def checked_category(value: str | int) -> str:
    """A category's id; see :func:`checked_id`."""
    return checked_id("category", value)


def checked_ticket(value: str | int) -> str:
    """A ticket's id; see :func:`checked_id`."""
    return checked_id("ticket_id", value)


def checked_code(name: str, value: Any) -> str:
    """A code, such as a priority: digits. The service decides which codes exist.

    Raises:
        InvalidInputError: it is something else, such as a label.
    """
    try:
        return checked_id(name, value)
    except InvalidInputError:
        raise _wrong(name, f"must be a code such as '1', not {_shown(value)}") from None


def checked_priority(value: str | int) -> str:
    """A code of a priority, from the code itself or from the word for it, in any case.

    Raises:
        InvalidInputError: it is neither. The service decides which codes exist.
    """
    word = value.strip().lower() if isinstance(value, str) else ""
    try:
        return checked_code("priority", PRIORITIES.get(word, value))
    except InvalidInputError:
        words = f"must be {', '.join(PRIORITIES)} or a code such as '1', not {_shown(value)}"
        raise _wrong("priority", words) from None


def checked_comment(value: str) -> str:
    """A text that is not blank; it is sent as it stands.

    Raises:
        InvalidInputError: it is blank, or no text.
    """
    return _checked_text("comment", value)


def checked_subject(value: str) -> str:
    """A subject.

    Raises:
        InvalidInputError: it is blank, no text, or longer than the service takes.
    """
    text = _checked_text("subject", value)
    length = len(text.strip())
    if length > SUBJECT_CHARACTERS:
        raise _wrong("subject", f"has {length:,} characters, and {SUBJECT_CHARACTERS} are allowed")
    return text


def checked_tags(tags: Iterable[Any]) -> tuple[str, ...]:
    """Tag ids, each once (SERVICE.md, B2a).

    Raises:
        InvalidInputError: there is none, or one is no id. The service takes no empty list.
    """
    if isinstance(tags, (str, bytes)):
        raise _wrong("tags", "must be a list of tag ids, not a single text")
    if not isinstance(tags, Iterable):
        raise _wrong("tags", f"must be a list of tag ids, not {type(tags).__name__}")
    ids = tuple(dict.fromkeys(checked_id("tags", tag) for tag in tags))
    if not ids:
        raise InvalidInputError(
            "tags is empty, and the service changes a ticket only together with its tags",
            fields={"tags": ("is empty",)},
        )
    return ids


def checked_count(name: str, value: Any, *, least: int) -> int:
    """A whole number for paging; anything else could be an error 500 over there (B6).

    Raises:
        InvalidInputError: it is something else, or less than ``least``.
    """
    if type(value) is not int or value < least:
        raise _wrong(name, f"must be a whole number of {least} or more")
    return value


def _checked_text(name: str, value: Any) -> str:
    value = given(value)
    if not isinstance(value, str):
        raise _wrong(name, f"must be text, not {type(value).__name__}")
    if not value.strip():
        raise _wrong(name, "is blank")
    return value


def _shown(value: Any) -> str:
    # A misplaced value may be personal, so only its kind is shown.
    if isinstance(value, str):
        return "any other text" if value.strip() else "an empty text"
    if type(value) in (int, float):
        return "a number below 0" if value < 0 else "a fraction"
    return type(value).__name__


def _wrong(name: str, problem: str) -> InvalidInputError:
    return InvalidInputError(f"{name} {problem}", fields={name: (problem,)})
