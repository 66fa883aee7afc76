"""Values that travel: an operation, a request made from it, the raw reply that came back.

Nothing changes them on the way. Those made anew for every call are not declared frozen all the
same: that costs half a microsecond per field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import define, field, frozen

from ..phase import Attempt, Effect
from ..secret import Secret
from .bodies import Body

Wrap = Literal["array", "object", "form", "none"]
"""How an operation's data travels in the body: a JSON array of one, a JSON object, a multipart
form, or not at all. A query string may stand beside any of them."""

MEBI = 1024 * 1024


@frozen(kw_only=True)
class Operation:
    """One documented call of a service, as data.

    Attributes:
        name: such as ``"tickets.add"``; used in errors, logs and events.
        path: path template below the base URL, such as ``"/x/{attachment_id}/"``.
        effect: ``read`` or ``write``; decides what may be repeated.
        api: which of the service's credentials it needs, where there are several.
        method: HTTP verb.
        wrap: how its data travels.
        reply_cap: the most decoded bytes its reply may have.
        marks_success: its good replies carry the service's mark of success; without that mark
            an answer counts as unreadable.
    """

    name: str
    path: str
    effect: Effect
    api: str = ""
    method: str = "POST"
    wrap: Wrap = "none"
    reply_cap: int = 8 * MEBI
    marks_success: bool = True


@define(kw_only=True)
class Request:
    """One request, ready to be sent any number of times. Its repr shows no payload."""

    operation: Operation
    path: str = field(repr=False)
    """The path with ids filled in; may hold ids, so only the template is shown."""
    body: Body | None = None
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: Mapping[str, Secret] = field(factory=dict)
    """Headers of this call alone."""


@define(kw_only=True)
class RawReply:
    """A whole answer, undecoded. Its repr shows no payload."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Case-insensitive."""
    body: bytes = field(repr=False)
    attempts: tuple[Attempt, ...] = ()
    cause: BaseException | None = field(default=None, repr=False)
    """What kept the call from going on, beside the answer: a new token could not be had."""

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower case; empty if there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
