"""Every error this library raises: one tree, whose second level is the outcome.

::

    HelpdeskError
    ├── NotSentError                  nothing left this machine: safe to send again
    │   ├── ConfigurationError            (also ValueError) a setting is wrong
    │   ├── InvalidInputError             (also ValueError) the data cannot be sent as it is
    │   ├── ClientStateError              (also RuntimeError) closed, other event loop, forked
    │   ├── ConnectError                  (also ConnectionError) DNS, refused, TLS, proxy
    │   ├── NotSentTimeoutError           (also TimeoutError) time ran out before sending
    │   ├── InvalidCallbackError          (also ValueError) what came in is not a call-back
    │   ├── JournalError                  the journal of a push cannot be opened, read or written
    │   ├── StateError                    the state of an export cannot be used, read or written
    │   └── PushStoppedError              a push stopped; the rest of its source was not read
    │       └── ConfirmationNeededError       something looks wrong, and you say whether it is
    ├── RejectedError                 the service refused it: it has no effect
    │   ├── AuthenticationError           wrong, expired or missing credentials
    │   ├── PermissionDeniedError         the credentials may not do this
    │   ├── ValidationError               the service names bad or missing fields
    │   ├── NotFoundError                 the service has no such thing
    │   │   └── EndpointNotFoundError         nothing answers at this address: a wrong base URL
    │   ├── ConflictError                 already in the requested state
    │   ├── RateLimitedError              told to wait; see ``retry_after``
    │   ├── OpenTicketLimitError          too many open tickets
    │   ├── RequestTooLargeError
    │   │   └── AttachmentTooLargeError
    │   └── RedirectedError               a read was answered with a redirect, never followed
    └── OutcomeUnknownError           it may or may not have happened: never send again blindly
        ├── NoReplyError                  the connection was lost before a whole answer came
        ├── ReplyTimeoutError             no whole answer in time
        ├── ServerError                   HTTP 5xx without a clear word from the service
        ├── AnswerMismatchError           an answer that belongs to another request
        └── UnreadableReplyError          an answer that is not the documented kind
            └── ReplyTooLargeError

The ones below ``NotSentError`` also inherit the builtin a caller would expect. Those below
``OutcomeUnknownError`` do not, on purpose: retry helpers that repeat on ``TimeoutError`` or
``ConnectionError`` would otherwise create tickets twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .lazy import lazy_pattern, say_home
from .phase import Attempt, Effect, Phase

if TYPE_CHECKING:
    from .received import ReceivedResponse

__all__ = [
    "AnswerMismatchError",
    "AttachmentTooLargeError",
    "AuthenticationError",
    "ClientStateError",
    "ConfigurationError",
    "ConfirmationNeededError",
    "ConflictError",
    "ConnectError",
    "EndpointNotFoundError",
    "HelpdeskError",
    "InvalidInputError",
    "JournalError",
    "NoReplyError",
    "NotFoundError",
    "NotSentError",
    "NotSentTimeoutError",
    "OpenTicketLimitError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "PushStoppedError",
    "RateLimitedError",
    "RedirectedError",
    "RejectedError",
    "ReplyTimeoutError",
    "ReplyTooLargeError",
    "RequestTooLargeError",
    "ServerError",
    "StateError",
    "UnreadableReplyError",
    "ValidationError",
]

OutcomeName = Literal["not_sent", "rejected", "unknown"]

_UNSEEN = lazy_pattern(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NO_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class HelpdeskError(Exception):
    """Base of every error this library raises.

    ``str()`` gives the whole story for a person: what was tried, what happened, whether
    anything was sent, and the safe next step. No error holds a secret or a payload.

    Attributes:
        message: what happened, in one clause.
        service: the name of the service; empty for errors outside a call.
        operation: the operation's name, such as ``"tickets.add"``.
        effect: ``"read"`` or ``"write"``; ``None`` where no operation is concerned.
        phase: the furthest :class:`Phase` the last attempt reached.
        status: the HTTP status of the last answer, if one came.
        attempts: every try, with its times, oldest first.
        retry_after: seconds the service asks to wait, if it said so.
        vendor_message: the service's own words, cut to 500 characters, secrets masked.
        fields: what the service says of single fields: name to texts.
        next_step: the safe next step, in one sentence.
        about_data: the service documents this refusal, as one of the very data that was sent.
        response: the answer that the error is about, if one came whole: its status, its headers,
            and the first 64 KiB of its body. No text of the error shows it, and it is not pickled.
    """

    outcome: ClassVar[OutcomeName] = "not_sent"
    """Which outcome this error stands for; decided by its class."""
    _next_step: ClassVar[str] = "See the message."
    about_data: bool = False
    response: ReceivedResponse | None = None

    message: str
    service: str
    operation: str
    effect: Effect | None
    phase: Phase | None
    status: int | None
    attempts: tuple[Attempt, ...]
    retry_after: float | None
    vendor_message: str | None
    fields: Mapping[str, tuple[str, ...]]

    def __init__(
        self,
        message: str,
        *,
        service: str = "",
        operation: str = "",
        effect: Effect | None = None,
        phase: Phase | None = None,
        status: int | None = None,
        attempts: tuple[Attempt, ...] = (),
        retry_after: float | None = None,
        vendor_message: str | None = None,
        fields: Mapping[str, tuple[str, ...]] = _NO_FIELDS,
        next_step: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.service = service
        self.operation = operation
        self.effect = effect
        self.phase = phase
        self.status = status
        self.attempts = attempts
        self.retry_after = retry_after
        self.vendor_message = vendor_message
        self.fields = fields
        self._given_next_step = next_step

    @property
    def next_step(self) -> str:
        """The safe next step, in one sentence."""
        return self._given_next_step or self._default_next_step()

    @property
    def has_own_next_step(self) -> bool:
        """Whether :attr:`next_step` is of this very error, and not of its whole class."""
        return self._given_next_step is not None

    @property
    def may_have_been_applied(self) -> bool:
        """True if the server may have carried out a write. Reads never change anything."""
        return self.outcome == "unknown" and self.effect != "read"

    def _default_next_step(self) -> str:
        return self._next_step

    def _consequence(self) -> str:
        return ""

    def __str__(self) -> str:
        where = " ".join(part for part in (self.service, self.operation) if part)
        text = f"{where}: {self.message}" if where else self.message
        facts = []
        if self.status is not None:
            facts.append(f"HTTP {self.status}")
        if self.phase is not None and self.status is None:
            facts.append(f"phase {self.phase.label}")
        if len(self.attempts) > 1:
            facts.append(f"{len(self.attempts)} attempts")
        if self.retry_after is not None:
            facts.append(f"asked to wait {self.retry_after:g} s")
        if facts:
            text += f" ({', '.join(facts)})"
        if self.vendor_message:
            text += f". The service said: {self.vendor_message!r}"
        elif self.outcome != "not_sent":  # else the message names the fields itself
            for name, words in self.fields.items():
                text += f"; {name or 'request'}: {' '.join(words)}"
        text = text.rstrip(".") + "."
        for sentence in (self._consequence(), self.next_step):
            if sentence:
                text += " " + sentence
        return _visible(text)

    def __repr__(self) -> str:
        return _visible(f"<{type(self).__name__}: {self.message}>")

    def __reduce__(self) -> Any:
        state = dict(self.__dict__)
        state["fields"] = dict(self.fields)  # a mapping proxy does not pickle
        state.pop("response", None)  # it may hold what customers wrote: not for a queue's database
        return _rebuild, (type(self), self.message, state)


def _visible(text: str) -> str:
    """One line, whatever it quotes: what would break it, or turn it around, is escaped."""
    return _UNSEEN.sub(lambda found: repr(found[0])[1:-1], text)


def _rebuild(cls: type[HelpdeskError], message: str, state: dict[str, Any]) -> HelpdeskError:
    error = cls(message)
    error.__dict__.update(state)
    return error


# --- nothing left this machine -----------------------------------------------------------------


class NotSentError(HelpdeskError):
    """It never left this machine, so sending it again is safe."""

    outcome: ClassVar[OutcomeName] = "not_sent"
    _next_step: ClassVar[str] = "It is safe to send it again."

    def _consequence(self) -> str:
        return "Nothing was sent." if self.status is None else "It has no effect there."


class ConfigurationError(NotSentError, ValueError):
    """A setting of the client is wrong. Never holds the value of a secret."""

    _next_step: ClassVar[str] = "Correct the setting."


class InvalidInputError(NotSentError, ValueError):
    """The data cannot be sent as it is; ``fields`` names the places."""

    _next_step: ClassVar[str] = "Correct the data, then send it."


class ClientStateError(NotSentError, RuntimeError):
    """The client is closed, belongs to another event loop, or was used before a fork."""

    _next_step: ClassVar[str] = "Make a new client here and use that one."


class ConnectError(NotSentError, ConnectionError):
    """Could not connect: name look-up, refused, TLS handshake or proxy."""

    _next_step: ClassVar[str] = (
        "Check the address, the network and whether the service is up; then it is safe to "
        "send it again."
    )


class NotSentTimeoutError(NotSentError, TimeoutError):
    """Time ran out while waiting for a connection, before the first byte was sent."""


class JournalError(NotSentError):
    """The journal of a push cannot be opened, read or written; nothing is sent without it."""

    _next_step: ClassVar[str] = "Fix the cause, then run the same push again: it resumes."


class StateError(NotSentError):
    """The state of an incremental export cannot be used, read or written."""

    _next_step: ClassVar[str] = "Fix the cause, then run the same export again: it resumes."

    def _consequence(self) -> str:
        return "Nothing was changed: an export only reads."


class PushStoppedError(NotSentError):
    """A push stopped early: the rest of its source was neither read nor sent. Every row that it
    had read has an outcome.

    Attributes:
        wrong_address: it stopped since the base URL does not seem to be the service's.
        temporary: what stopped it may pass by itself: the service did not work, or asked to wait.
            With a journal the same push can be resumed later as it is.
        outcomes: the outcomes that :meth:`.Push.all` or :meth:`.Push.run` had kept when it
            stopped; empty where they were iterated.
    """

    wrong_address: bool = False
    temporary: bool = False
    outcomes: Sequence[Any] = ()
    _next_step: ClassVar[str] = (
        "Fix the cause; then push the rows without an outcome, and those that were not sent."
    )

    def _consequence(self) -> str:
        return "No further row of the source was read or sent."


class ConfirmationNeededError(PushStoppedError):
    """A push stopped because something looks wrong, and only you can say whether it is.

    Nothing of what looks wrong was sent. The next step names the setting to go ahead with.

    Attributes:
        journal: the path of the journal that the same rows were sent with before, if it is there.
    """

    journal: str | None = None


# --- the service refused it --------------------------------------------------------------------


class RejectedError(HelpdeskError):
    """The service refused it; it has no effect."""

    outcome: ClassVar[OutcomeName] = "rejected"
    _next_step: ClassVar[str] = "Fix what the service complains about, then send it again."

    def _consequence(self) -> str:
        return "The service refused it; nothing was changed."


class AuthenticationError(RejectedError):
    """The credentials are wrong, expired, disabled or missing."""

    _next_step: ClassVar[str] = "Check the credentials, and whether they have expired."


class PermissionDeniedError(RejectedError):
    """The credentials are known but may not do this."""

    _next_step: ClassVar[str] = "Use credentials that may do this, or have it permitted."


class ValidationError(RejectedError):
    """The service names bad or missing data; see ``fields`` where it names fields."""


class NotFoundError(RejectedError):
    """The service has no such thing."""

    _next_step: ClassVar[str] = "Check the id and the base URL."


class EndpointNotFoundError(NotFoundError):
    """HTTP 404 for the address itself: a wrong base URL or path. It says nothing of any id."""

    _next_step: ClassVar[str] = "Check the base URL, and the path where one was given."


class ConflictError(RejectedError):
    """It is already in the requested state."""

    _next_step: ClassVar[str] = "Read the ticket back; most likely there is nothing left to do."


class RateLimitedError(RejectedError):
    """Told to wait. ``retry_after`` holds the seconds, if the service named them."""

    _next_step: ClassVar[str] = "Wait, then it is safe to send it again."


class OpenTicketLimitError(RejectedError):
    """The user has too many open tickets. A new token does not help."""

    _next_step: ClassVar[str] = "Close some tickets, then send it again."


class RequestTooLargeError(RejectedError):
    """The service or a proxy before it finds the request too large."""

    _next_step: ClassVar[str] = "Make the request smaller, then send it again."


class AttachmentTooLargeError(RequestTooLargeError):
    """The attachment is larger than the service takes."""


class RedirectedError(RejectedError):
    """A read was answered with a redirect; it names only the other origin, and is not followed.

    Following it would hand the credentials to another address. A *write* that is answered with
    one is an :class:`UnreadableReplyError`: a redirect may follow what was carried out.
    """

    _next_step: ClassVar[str] = "Set the base URL to the address that really serves the API."


# --- it may or may not have happened -----------------------------------------------------------


class OutcomeUnknownError(HelpdeskError):
    """It may or may not have happened. For a read that is harmless; for a write it is a doubt."""

    outcome: ClassVar[OutcomeName] = "unknown"

    def _consequence(self) -> str:
        if self.effect == "read":
            return "It was a read: nothing was changed."
        return "It may or may not have happened."

    def _default_next_step(self) -> str:
        if self.effect == "read":
            return "It is safe to ask again."
        return "Look it up in the helpdesk first; do not send it again blindly."


class NoReplyError(OutcomeUnknownError):
    """The connection was lost after sending began and before a whole answer came."""


class ReplyTimeoutError(OutcomeUnknownError):
    """No whole answer came in time. The server may still be working on it."""


class ServerError(OutcomeUnknownError):
    """HTTP 5xx without a clear word from the service itself."""


class AnswerMismatchError(OutcomeUnknownError):
    """An answer says "success" and contradicts its request: it belongs to another one.

    It carries the content of another row, an id that another row has, two ids that differ, or the
    name of another thing than the one that was to be changed. A proxy or server that is one answer
    behind gives such answers. The connections that were open are not used again.

    Attributes:
        named: the id of that other thing, where one was to be changed.
    """

    named: str | None = None


class UnreadableReplyError(OutcomeUnknownError):
    """An answer came, but it is not of the documented kind (a login page, broken JSON, ...).

    Attributes:
        is_page: it is a page for a person, and no data.
    """

    is_page: bool = False


class ReplyTooLargeError(UnreadableReplyError):
    """The answer unpacks to more bytes than the client accepts."""


say_home(__name__, "kapture_async")
