"""The service's status call-back: what it tells your receiver when a ticket changes.

The vendor does not document it; what is known comes from public receivers
(SERVICE.md, section 16).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import orjson
from attrs import define

from ._api import INDIA, SERVICE, codec_of
from ._core.codec import WireModel, wire
from ._core.errors import NotSentError

MAX_CALLBACK_BYTES: Final = 64 * 1024
"""The most that :func:`parse_callback` reads unless it is told otherwise; known ones have 100."""
_MAX_ID = 100
_BOM = b"\xef\xbb\xbf"
_CODEC: Final = codec_of(INDIA)  # a call-back holds no date, so the zone does not matter


class InvalidCallbackError(NotSentError, ValueError):
    """The body is not a call-back. It belongs to no call of yours, and nothing was sent."""

    _next_step: ClassVar[str] = "Answer it with HTTP 400, and do nothing else."

    def _consequence(self) -> str:
        return ""  # "nothing was sent" would be beside the point


@define(eq=False, repr=False)
class StatusCallback(WireModel):
    """What a call-back says about a ticket. Anyone may have sent it: see :func:`parse_callback`.

    Whether ``sub_status`` and ``queue`` are the tenant's keys or the texts that it displays was
    not seen; the ticket itself tells.

    Attributes:
        raw: the object as it came, every key. Do not change it.
        problems: fields that are missing, have an unexpected type, or contradict themselves; in
            the view they are ``None``.
    """

    _wire_id: str | None = wire("ticketId", "ident")
    status: str | None = wire("status", "words")
    """The status as the service displays it; ``Pending`` and ``Complete`` were seen."""
    _sub_status: str | None = wire("subStatus", "words")
    _sub_status_snake: str | None = wire("sub_status", "words")
    _sub_status_dashed: str | None = wire("sub-status", "words")
    queue: str | None = wire("queue", "words")

    @property
    def ticket_id(self) -> str:
        """The id of the ticket: opaque text, never empty, without a comma or a blank in it."""
        return (self._wire_id or "").strip()

    @property
    def sub_status(self) -> str | None:
        """The sub-status, under whichever of its three keys it came.

        ``None`` if there is none, and where the keys contradict each other; then ``problems``
        says so.
        """
        said = self._said()
        return said.pop() if len(said) == 1 else None

    @property
    def is_contradictory(self) -> bool:
        """Whether the keys for the sub-status say different things."""
        return len(self._said()) > 1

    def _said(self) -> set[str]:
        spellings = (self._sub_status, self._sub_status_snake, self._sub_status_dashed)
        return {text for text in spellings if text}

    def __repr__(self) -> str:
        return f"<StatusCallback ticket_id={self.ticket_id!r}>"


def parse_callback(
    body: bytes | bytearray | memoryview | str | Mapping[str, Any],
    *,
    max_bytes: int = MAX_CALLBACK_BYTES,
) -> StatusCallback:
    """A status call-back of the service, from the body of the request that it came by.

    **Nothing proves that the service sent it.** No signature was seen on these call-backs, so
    anyone who knows the address can send one. Protect the route yourself: a long secret in its
    path, compared in constant time and kept out of access logs, or a list of the addresses that
    may call. And treat a call-back as what it is, a hint: read the ticket with
    :meth:`Tickets.get`, and believe that. They may also come twice, late, or in another order.

    It works in any web framework, and makes no request.

    Args:
        body: the body as received, in UTF-8; or the decoded object, from a framework.
        max_bytes: the most bytes of a body to accept. What a framework has read into memory
            before, only the framework can limit.

    Returns:
        The call-back, with a ticket id; everything else may be missing, and unknown keys are kept.

    Raises:
        InvalidCallbackError: it is too large, not a JSON object, or names no ticket. The error
            holds nothing of the body.

    Source: SERVICE.md, section 16.
    """
    callback = _read(body, max_bytes)
    if isinstance(callback, str):
        raise InvalidCallbackError(callback, service=SERVICE, operation="callback")
    return callback


def _read(body: Any, max_bytes: int) -> StatusCallback | str:
    """The call-back in a body, or what is wrong with it, in words that repeat nothing of it."""
    found = _object_in(body, max_bytes)
    if isinstance(found, str):
        return found
    callback = _CODEC.decode(found, StatusCallback)
    if not _is_id(callback.ticket_id):
        return "it does not name a ticket: ticketId is missing, empty or not an id"
    if found.get("status") is None:
        callback.problems += ("status: is missing",)
    if callback.is_contradictory:
        callback.problems += ("subStatus: contradicts itself under another spelling of its key",)
    return callback


def _object_in(body: Any, max_bytes: int) -> dict[str, Any] | str:
    if isinstance(body, Mapping):
        if not all(type(key) is str for key in body):
            return "the body has keys that are not text"
        return dict(body)
    if isinstance(body, str):
        if len(body) > max_bytes:  # it has no fewer bytes than characters
            return _too_large(max_bytes)
        try:
            body = body.encode()
        except UnicodeEncodeError:
            return "the body is not readable as JSON"
    if not isinstance(body, (bytes, bytearray, memoryview)):
        return f"the body is {type(body).__name__}, neither bytes nor text nor a mapping"
    if memoryview(body).nbytes > max_bytes:
        return _too_large(max_bytes)
    try:  # strictly: anyone may have sent it
        found = orjson.loads(bytes(body).removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return "the body is not readable as JSON"
    return found if isinstance(found, dict) else "the body is not a JSON object"


def _too_large(max_bytes: int) -> str:
    return f"the body has more than {max_bytes:,} bytes"


def _is_id(ticket_id: str) -> bool:
    """Whether it is one id, and fit to be looked up; the service joins several by commas."""
    plain = ticket_id.isprintable() and not {",", " "} & set(ticket_id)
    return plain and 0 < len(ticket_id) <= _MAX_ID
