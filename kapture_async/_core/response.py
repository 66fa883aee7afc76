"""What a response means: by the tenant's words, by HTTP alone, while it is still arriving.

A service first reads the body by its own rule of success. What that rule does not know ends
here: by the HTTP status, and last as "not readable". An unknown shape is never success.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from html import unescape
from types import MappingProxyType
from typing import Any, TypeVar

from attrs import define, field, frozen

from .errors import (
    AnswerMismatchError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    EndpointNotFoundError,
    HelpdeskError,
    NoReplyError,
    NotSentError,
    PermissionDeniedError,
    RateLimitedError,
    RedirectedError,
    RejectedError,
    ReplyTimeoutError,
    ReplyTooLargeError,
    RequestTooLargeError,
    ServerError,
    UnreadableReplyError,
    ValidationError,
)
from .jsontext import charset_in, loads
from .lazy import lazy_pattern
from .phase import Phase
from .received import ReceivedResponse
from .secret import Secret
from .transport.request import Operation, RawReply
from .transport.retry import parse_retry_after
from .transport.streaming import OpenReply
from .transport.transport import Transport
from .transport.urls import origin_of

Says = str | Iterable[str] | Callable[[str, str], bool]
"""Texts that say it, compared whole and without case, outer blanks and closing points; or a
function of the words and the status of an answer, both texts, empty where there is none."""


def folded(text: str) -> str:
    """A text as it is compared."""
    return " ".join(text.casefold().split()).strip(" .!")


def _rule(name: str, says: Any) -> Any:
    if says is None or callable(says):
        return says
    texts = (says,) if isinstance(says, str) else says
    if not isinstance(texts, Iterable):
        raise ConfigurationError(f"{name} must be texts or a function, not {type(says).__name__}")
    found = list(texts)
    if not all(isinstance(text, str) and folded(text) for text in found):
        raise ConfigurationError(f"{name} must hold texts that are not blank")
    return frozenset(folded(text) for text in found)


@frozen(kw_only=True)
class VendorWords:
    """What a tenant's answers say with, beside the documented words.

    Attributes:
        none: what says "there are no rows", in place of them; texts are compared with the words.
        success, failed: what says so; texts are compared with the status.
    """

    none: Any = field(default=None, repr=False)
    success: Any = field(default=None, repr=False)
    failed: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, none: Says | None, success: Says | None, failed: Says | None) -> VendorWords:
        """The words from the settings of a client.

        Raises:
            ConfigurationError: a setting is neither texts nor a function.
        """
        if none is None and success is None and failed is None:
            return DOCUMENTED
        return cls(
            none=_rule("says_none", none),
            success=_rule("says_success", success),
            failed=_rule("says_failed", failed),
        )

    @property
    def decide(self) -> bool:
        """Whether the mark of an answer is not only what is documented."""
        return self.success is not None or self.failed is not None

    def says_none(self, words: str, status: str = "") -> bool:
        """Whether these words of an answer say that there are no rows."""
        return _says(self.none, words, words, status)

    def says_success(self, words: str, status: str) -> bool:
        """Whether an answer with this status says success."""
        return _says(self.success, status, words, status)

    def says_failed(self, words: str, status: str) -> bool:
        """Whether an answer with this status says that it failed."""
        return _says(self.failed, status, words, status)


def _says(rule: Any, text: str, words: str, status: str) -> bool:
    if rule is None:
        return False
    if isinstance(rule, frozenset):
        return folded(text) in rule
    return bool(rule(words, status))


DOCUMENTED = VendorWords()
"""No words but the documented ones."""


E = TypeVar("E", bound=HelpdeskError)

Advice = Mapping[type[HelpdeskError], str]
"""Class of error to the safe next step, as a service has it."""
_NO_ADVICE: Advice = MappingProxyType({})

NOT_JSON: Any = object()
"""What :func:`json_of` gives for a body that is not JSON."""

WORDS_CAP = 500
"""The most characters of a service's own words that an error carries."""

_KEPT = 64 * 1024
"""The most bytes of a body that an error keeps: a push may keep many errors."""

_AFTER_REDIRECT = (
    "Look it up in the helpdesk first: a redirect may follow what was carried out. Then set the "
    "base URL to the address that really serves the API."
)

_MARKUP = lazy_pattern(r"<(script|style|head)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_BLANKS = lazy_pattern(r"\s+")

_MEANINGS: dict[int, tuple[type[HelpdeskError], str]] = {
    400: (ValidationError, "the service refused the data"),
    401: (AuthenticationError, "the service refused the credentials"),
    402: (RejectedError, "the service asks for a payment first"),
    403: (PermissionDeniedError, "the service forbids this call"),
    404: (EndpointNotFoundError, "the service has no such address"),
    405: (RejectedError, "the service takes no such call at this address"),
    406: (RejectedError, "the service cannot answer in JSON"),
    407: (AuthenticationError, "a proxy in front of the service asks for credentials"),
    408: (ReplyTimeoutError, "the service timed out waiting for the request"),
    409: (ConflictError, "the service reports a conflict"),
    413: (RequestTooLargeError, "the request is too large for the service"),
    415: (RejectedError, "the service does not take this kind of body"),
    421: (RejectedError, "the request reached a server that does not serve this address"),
    422: (ValidationError, "the service refused the data"),
    425: (NotSentError, "the service would not take the request this early"),
    429: (RateLimitedError, "the service asks to slow down"),
    431: (RejectedError, "the headers of the request are too large for the service"),
    451: (RejectedError, "the call is forbidden for legal reasons"),
    # What proxies answer when the caller seems to have gone: the service may be at work on it.
    460: (NoReplyError, "a proxy stopped waiting for the answer"),
    499: (NoReplyError, "a proxy stopped waiting for the answer"),
}
"""What a 4xx proves by HTTP alone. All others are refusals, too: they are about the request."""

_MAY_MEAN_LIMIT = frozenset({400, 401, 402, 403, 409, 420})
"""Statuses of refusals that gateways use for a limit, which only the words tell then."""
# Words by which a service says "too many": it took none of it, and takes it later.
_SAYS_LIMIT = lazy_pattern(
    r"too many (requests|calls|hits|attempts|connections)|too fast|slow down|throttl"
    r"|\brate[ _-]?limit|\bquota\b"
    r"|\b(requests?|calls?|api|hits|usage|daily|hourly|monthly|minute|transactions?)\b"
    r"[^.]{0,40}\b(limits?|exceed\w*)\b"
    r"|^(the |your )?(\w+ ){0,2}limit (has been |is |was )?(exceeded|reached|exhausted|hit)\W*$"
    r"|^(you have |you've )?(exceeded|reached|exhausted|hit) (the |your )?(\w+ ){0,2}limit\W*$"
)
# Limits of a text, a file, an account: waiting does not help.
_OF_CONTENT = lazy_pattern(
    r"\b(char(acter)?s?|length|long|size|bytes?|[kmg]i?b|attachments?|files?|digits?|words?|text"
    r"|titles?|subjects?|comments?|details?|tags?|fields?|open tickets?|credit)\b"
)


def json_of(body: bytes) -> Any:
    """A body as JSON, whatever its content type says; :data:`NOT_JSON` if it is not JSON.

    What is odd in one text does not make the rest unreadable; see :mod:`.jsontext`.
    """
    try:
        return loads(body)
    except ValueError:
        return NOT_JSON


def says_limit(words: str | None) -> bool:
    """Whether a refusal in these words means "too many requests", and not "too much data"."""
    plain = (words or "")[:WORDS_CAP].casefold()
    return _SAYS_LIMIT.search(plain) is not None and _OF_CONTENT.search(plain) is None


def meaning_of(status: int) -> tuple[type[HelpdeskError], str]:
    """What a status of failure, 4xx or 5xx, means by HTTP alone: the class and the words."""
    if status >= 500:
        return ServerError, "the service failed"
    return _MEANINGS.get(status, (RejectedError, "the service refused the request"))


_PAGE = lazy_pattern(rb"(?:\xef\xbb\xbf)?\s*<(?:!--|[!?]?[a-z])", re.IGNORECASE)
"""How a page begins, or anything else in mark-up."""


@define
class ResponseContext:
    """A response, and what its errors need to tell its whole story.

    Attributes:
        transport, operation, reply: where it came from, and what came.
        secrets: of this call alone, besides those the transport knows.
        advice: the service's own next steps, where those of the errors' classes are too general.
        with_file: the request carried a file.
        words: the tenant's own words for "none", "success" and "failed".
        body: the decoded body, once it passed the rule of success.
    """

    transport: Transport
    operation: Operation
    reply: RawReply
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    advice: Advice = _NO_ADVICE
    with_file: bool = False
    words: VendorWords = DOCUMENTED
    body: Any = field(default=None, repr=False)

    def json(self) -> Any:
        """The body of the reply as JSON; :data:`NOT_JSON` if it is not JSON.

        It is read as UTF-8, and, only if that fails, in the charset that the content type declares.
        """
        reply = self.reply
        try:
            return loads(reply.body, headers=reply.headers)
        except ValueError:
            return NOT_JSON

    def error(
        self,
        cls: type[E],
        message: str,
        *,
        words: str | None = None,
        fields: Mapping[str, tuple[str, ...]] | None = None,
        next_step: str | None = None,
    ) -> E:
        """An error of class ``cls`` about this response.

        Args:
            cls: the class of the error.
            message: what happened, in one clause.
            words: the service's own words, as they came.
            fields: what it says of single fields.
            next_step: the safe next step, where the class's own does not fit.
        """
        reply = self.reply
        told = self._clean(words) if words else None
        error = cls(
            message,
            service=self.transport.settings.service,
            operation=self.operation.name,
            effect=self.operation.effect,
            phase=Phase.RECEIVING,
            status=reply.status,
            attempts=reply.attempts,
            retry_after=self._retry_after(),
            vendor_message=told or None,
            fields={
                self.mask(name): tuple(self._clean(text) for text in texts)
                for name, texts in (fields or {}).items()
            },
            next_step=next_step or self.advice.get(cls),
        )
        error.response = ReceivedResponse(reply.status, reply.headers, reply.body[:_KEPT])
        error.__cause__ = reply.cause
        return error

    def by_status(self, words: str | None = None) -> HelpdeskError:
        """The error for a reply that the service's own rule does not know."""
        status = self.reply.status
        if words is None:
            words = self.excerpt()
        if status >= 400:
            cls, message = meaning_of(status)
            if status in _MAY_MEAN_LIMIT and says_limit(words):
                cls, message = meaning_of(429)
            return self.error(cls, message, words=words)
        if status >= 300:
            return self._redirected()
        return self.unreadable()

    def unreadable(self, why: str | None = None) -> UnreadableReplyError:
        """The error for an answer that is not of the documented kind."""
        if why is None:
            kind = self.reply.content_type or "no content type"
            why = f"the answer is not readable as JSON ({kind}, {len(self.reply.body):,} bytes)"
        error = self.error(UnreadableReplyError, why, words=self.excerpt())
        error.is_page = bool(_PAGE.match(self.reply.body))
        return error

    def mismatch(self, why: str, named: str | None = None) -> AnswerMismatchError:
        """The error for an answer that belongs to another request. Closes what is open.

        Args:
            why: what contradicts it.
            named: the id of another thing than the one that was to be changed.
        """
        self.transport.drop_connections()
        error = self.error(AnswerMismatchError, why)
        error.named = named
        return error

    def no_file(self) -> UnreadableReplyError:
        """The error for a successful answer that is not the requested file.

        Only a page is quoted: anything else may be part of a file.
        """
        reply = self.reply
        kind = reply.content_type or "no content type"
        page = reply.content_type == "text/html" and "Content-Disposition" not in reply.headers
        return self.error(
            UnreadableReplyError,
            f"the answer is not the requested file ({kind})",
            words=self.excerpt() if page else None,
        )

    def _redirected(self) -> HelpdeskError:
        origin = origin_of(self.reply.headers.get("Location", ""))
        message = f"the service answered with a redirect to {origin}, which is not followed"
        if self.operation.effect == "read":
            return self.error(RedirectedError, message)
        # "Your answer is elsewhere" may well follow a form that *was* carried out (post,
        # redirect, get), and frameworks say it with any 3xx.
        return self.error(UnreadableReplyError, message, next_step=_AFTER_REDIRECT)

    def excerpt(self) -> str | None:
        """The beginning of a page, for a person to recognize it by; nothing of data.

        A login page or a gateway's error page is worth quoting. What looks like JSON, broken or
        of an unknown shape, may echo what a customer wrote.
        """
        beginning = self.reply.body[: 8 * WORDS_CAP].lstrip()
        if beginning[:1] in (b"{", b"[", b'"') or self.reply.content_type.endswith("json"):
            return None
        return beginning.decode("utf-8", "replace")

    def mask(self, text: str) -> str:
        """``text`` without any secret of the client or of this call."""
        return self.transport.mask(text, self.secrets)

    def _clean(self, words: str) -> str:
        """A service's words for a message: no markup, no secrets, one line, cut."""
        # Masked first: what markup and cutting leave of a secret would no longer be found.
        text = self.mask(words[: 16 * WORDS_CAP])
        text = unescape(_MARKUP.sub(" ", text[: 8 * WORDS_CAP]))
        text = _BLANKS.sub(" ", self.mask(text)).strip()
        return text if len(text) <= WORDS_CAP else text[: WORDS_CAP - 1] + "…"

    def _retry_after(self) -> float | None:
        text = self.reply.headers.get("Retry-After")
        if text is None:
            return None
        ended = self.reply.attempts[-1] if self.reply.attempts else None
        now = ended.started_at + ended.elapsed if ended is not None else 0.0
        return parse_retry_after(text, now)


class StreamedResponse:
    """A response whose body is still arriving; it is checked once all that matters is here.

    Args:
        reply: its head, and the body on the way.
        check_response: the service's rule of success.
        context: makes what that rule needs, from a whole reply.
        cap: the most decoded bytes of the body.
    """

    def __init__(
        self,
        reply: OpenReply,
        check_response: Callable[[ResponseContext], Any],
        context: Callable[[RawReply], ResponseContext],
        cap: int,
    ) -> None:
        self.reply = reply
        self._check_response = check_response
        self._context = context
        self._cap = cap

    @property
    def charset(self) -> str:
        """The charset that its head declares; empty if none."""
        return charset_in(self.reply.headers.get("Content-Type", ""))

    def check_size(self) -> None:
        """See whether its head already says that it is too large.

        Raises:
            ReplyTooLargeError: it does.
        """
        headers = self.reply.headers
        length = headers.get("Content-Length", "")
        if "Content-Encoding" in headers or not (length.isascii() and length.isdigit()):
            return
        if int(length) > self._cap:
            raise self.context().error(
                ReplyTooLargeError, f"the answer unpacks to more than {self._cap:,} bytes"
            )

    def context(self, body: bytes = b"") -> ResponseContext:
        """What makes errors about this response.

        Args:
            body: what of its body an error may quote.
        """
        reply = self.reply
        return self._context(
            RawReply(status=reply.status, headers=reply.headers, body=body, attempts=reply.attempts)
        )

    def check(self, body: bytes) -> ResponseContext:
        """Check the response by a body that stands for the one that came.

        Raises:
            HelpdeskError: what the rule of success says of it.
        """
        context = self.context(body)
        context.body = self._check_response(context)
        return context
