"""What a call without a usable answer ends in: by how far it got, not by exception type."""

from __future__ import annotations

from typing import Any

from ..errors import (
    ConnectError,
    HelpdeskError,
    NoReplyError,
    NotSentError,
    NotSentTimeoutError,
    OutcomeUnknownError,
    ReplyTimeoutError,
    ReplyTooLargeError,
    UnreadableReplyError,
)
from ..phase import Attempt, Phase
from .request import Request

_BEFORE_SENDING: dict[str, type[NotSentError]] = {
    "timeout": NotSentTimeoutError,
    "interrupted": NotSentError,
    "held": NotSentError,
}
_AFTER_SENDING: dict[str, type[OutcomeUnknownError]] = {
    "timeout": ReplyTimeoutError,
    "garbled": UnreadableReplyError,
    "too_large": ReplyTooLargeError,
}


_LARGE = 64 * 1024
"""Bytes of a body below which no proxy's limit lies."""


def error_for(
    service: str, request: Request, attempts: list[Attempt], words: str, kind: str, phase: Phase
) -> HelpdeskError:
    """The error for a call without a whole answer.

    Args:
        service: the name of the service.
        request: what was to be sent.
        attempts: every try.
        words: what happened.
        kind: a :data:`~.live.FailureKind`, or ``"interrupted"``.
        phase: the furthest point the last try reached.
    """
    cls: type[NotSentError] | type[OutcomeUnknownError]
    if phase < Phase.SENDING:
        cls = _BEFORE_SENDING.get(kind, ConnectError)
    else:
        cls = _AFTER_SENDING.get(kind, NoReplyError)
    body = request.body
    sending = phase in (Phase.SENDING, Phase.SENT)  # the kernel takes megabytes before they leave
    if kind == "lost" and sending and body and body.has_file and body.size >= _LARGE:
        # What a proxy with a limit does to a large upload, where the network swallows its answer.
        words += " while a file was being sent, which is possibly too large"
    operation = request.operation
    return cls(
        words,
        service=service,
        operation=operation.name,
        effect=operation.effect,
        phase=phase,
        status=attempts[-1].status if attempts else None,
        attempts=tuple(attempts),
    )


def interrupted_by(error: BaseException | None) -> HelpdeskError | None:
    """What an interrupted call left behind, as an error that was not raised.

    ::

        try:
            async with asyncio.timeout(5):
                await client.tickets.add(title="Printer on fire")
        except TimeoutError as error:
            doubt = interrupted_by(error)   # NotSentError or OutcomeUnknownError

    Args:
        error: a ``CancelledError`` that came out of a call, or what was made of it: the chain
            of causes is searched. (``anyio.move_on_after`` swallows it without a trace.)

    Returns:
        A :class:`NotSentError` or an :class:`OutcomeUnknownError`; ``None`` if no call was
        interrupted.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        found: Any = getattr(error, "helpdesk_error", None)
        if isinstance(found, HelpdeskError):
            return found
        error = error.__cause__ or error.__context__
    return None
