"""The bodies of calls: made and checked before anything is sent. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from typing import Any

from ._api import format_moment, parse_moment
from ._core.arguments import check_mapping, check_text
from ._core.errors import InvalidInputError
from ._core.requestor import Payload
from .models import NewTicket

_SENDABLE = (str, int, float, date, list, tuple, Mapping)


def ticket_body(row: Any) -> dict[str, Any]:
    """A row of a push as a body.

    Raises:
        InvalidInputError: it is no ticket and no mapping, or what a ticket would raise.
    """
    if isinstance(row, NewTicket):
        return row.to_wire()
    if not isinstance(row, Mapping):
        raise InvalidInputError(f"a row must be a NewTicket or a mapping, not {type(row).__name__}")
    try:
        return NewTicket.wire_of(row)
    except InvalidInputError:
        raise
    except Exception as error:  # whatever a mapping of somebody else's may raise
        raise InvalidInputError(f"the row cannot be read ({type(error).__name__})") from None


def checked_id(value: str, *, what: str = "ticket") -> str:
    """An id that can be sent: text, not blank, only one."""
    if not isinstance(value, str):
        raise InvalidInputError(
            f"a {what} id is text, not {type(value).__name__}: as a number it may lose digits"
        )
    if not value.strip() or "," in value:
        raise InvalidInputError(f"{value[:40]!r} is not a {what} id")
    return value.strip()


def checked_text(name: str, value: str) -> str:
    """A text that must not be blank."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{name} must be text that is not blank")
    return value


def merge_given(body: Payload, **given: Any) -> None:
    """Add the fields that were given; ``None`` is none."""
    for name, value in given.items():
        if value is None:
            continue
        if not isinstance(value, _SENDABLE):
            raise InvalidInputError(f"{name} must be text, not {type(value).__name__}")
        body[name] = value


def merge_extra(body: dict[str, Any], extra: Mapping[str, Any] | None) -> None:
    """Add fields by their wire names; none of them may be there already."""
    check_mapping("extra", extra)
    for name, value in (extra or {}).items():
        if name in body:
            raise InvalidInputError(f"{name} is given twice: as itself and in extra")
        body[name] = value


def hidden(extra: Mapping[str, Any] | None) -> Payload:
    """Further fields, in a mapping whose repr shows no value.

    Raises:
        InvalidInputError: they are no mapping.
    """
    if extra is not None and not isinstance(extra, Mapping):
        raise InvalidInputError(f"extra must be a mapping, not {type(extra).__name__}")
    return Payload(extra or {})


def get_switches(
    conversation_type: str | None, history_type: str | None, extra: Mapping[str, Any] | None
) -> Payload:
    """The fields of Get Ticket beside the ids (SERVICE.md, section 3)."""
    check_text("conversation_type", conversation_type)
    check_text("history_type", history_type)
    switches = Payload()
    merge_given(switches, conversation_type=conversation_type, history_type=history_type)
    merge_extra(switches, extra)
    if "ticket_ids" in switches:
        raise InvalidInputError("ticket_ids is given twice: as itself and in extra")
    return switches


def callback_text(value: datetime | str, zone: tzinfo) -> str:
    """A call-back time as the service reads it.

    Raises:
        InvalidInputError: a text of another form.
    """
    if isinstance(value, datetime):
        return format_moment(value, zone)
    if value == "":  # "no call-back", as the vendor's own sample writes it (section 2)
        return ""
    try:
        # Read and written again: what the service would read otherwise never gets there.
        moment = parse_moment(value, zone) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or format_moment(moment, zone) != value.strip():
        raise InvalidInputError(
            "callback_time must be a datetime or text as YYYY-MM-DD HH:MM:SS",
            fields={"callback_time": ("has another form",)},
        )
    return value.strip()
