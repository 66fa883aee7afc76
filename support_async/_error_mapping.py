"""Which error a refusal of the service becomes.

The facts are in ``SERVICE.md``; each is named with its section. No error body of
the service is documented, so the status, the operation and the field decide, and texts are only a
hint (section 6.3): a service in another language ends in the more general class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from kapture_async._core.errors import (
    AttachmentTooLargeError,
    AuthenticationError,
    ConflictError,
    HelpdeskError,
    NotFoundError,
    OpenTicketLimitError,
    PermissionDeniedError,
    ValidationError,
)
from kapture_async._core.lazy import lazy_pattern
from kapture_async._core.response import meaning_of, says_limit
from kapture_async._core.transport.request import Operation

from ._error_parsing import Refusal

CREATE: Final = "tickets.create"
SET_STATUS: Final = "tickets.set_status"
DOWNLOAD: Final = "attachments.download"
LOGIN: Final = "login"
REQUEST: Final = "request"
_OF_ONE_TICKET = frozenset({"tickets.get", "tickets.update", "tickets.reply", SET_STATUS})
_WITH_FILE = frozenset({CREATE, "tickets.reply"})


@frozen
class Meaning:
    """The error for a refusal, and the safe next step."""

    cls: type[HelpdeskError]
    message: str
    next_step: str | None = None

    def is_about_data(self, refusal: Refusal | None) -> bool:
        """Whether it is a documented refusal of the data that was sent: of its fields, mostly."""
        if self in _ABOUT_DATA:
            return True
        return self.cls is ValidationError and refusal is not None and bool(refusal.named)


_CHECK_ADDRESS = (
    "Check the base URL; if this installation serves other paths, name them with paths=."
)
_NEXT_STEPS = {
    403: "Check the apikey, for a wrong one may be answered like this; else use an account that "
    "may do this.",
    404: _CHECK_ADDRESS,
    405: _CHECK_ADDRESS,
    409: "See what is there now, then decide whether to send it again.",
}

_PAGE_INSTEAD = Meaning(
    ValidationError,
    "the service refused the request without saying why",
    "Check the host name in the base URL and the length of the texts: a stock server answers "
    "both a host it does not know and a form that is too long like this.",
)
_NOT_THE_OWNER = Meaning(
    PermissionDeniedError,
    "the ticket belongs to another user",
    "Use the account that owns the ticket.",
)
_NO_SUCH_TICKET = Meaning(
    NotFoundError,
    "the service does not know this ticket",
    "Check the ticket id; tickets.history() lists those of this account.",
)
_NO_SUCH_ATTACHMENT = Meaning(
    NotFoundError,
    "the service does not know this attachment",
    "Check the attachment id; tickets.get() lists those of a ticket.",
)
_ALREADY_SO = Meaning(ConflictError, "the ticket is in that state already")
_FILE_TOO_LARGE = Meaning(
    AttachmentTooLargeError,
    "the attachment is too large for the service",
    "Make the attachment smaller, then send it again.",
)
_UPLOAD_TOO_LARGE = Meaning(
    AttachmentTooLargeError,
    "the request is too large for the service or a proxy before it, which often takes no more "
    "than 1 MiB",
    "Make the attachment smaller, or have the limit of the proxy raised; then send it again.",
)
_ABOUT_DATA = (
    *(_NOT_THE_OWNER, _NO_SUCH_TICKET, _NO_SUCH_ATTACHMENT, _ALREADY_SO),
    *(_FILE_TOO_LARGE, _UPLOAD_TOO_LARGE),
)
_TOO_MANY_OPEN = Meaning(OpenTicketLimitError, "the user has too many open tickets")
_TOKEN_REFUSED = Meaning(
    AuthenticationError,
    "the service refused the access token",
    "It may have expired: give a new access_token, or a token_provider that fetches one. The "
    "apikey is another thing and does not expire with it.",
)
_SOMETHING_REFUSED = Meaning(
    AuthenticationError,
    "the service says that the call is not authorized",
    "Check the access token and the apikey; where its words speak of something else, neither "
    "is the cause.",
)
_APIKEY_REFUSED = Meaning(
    AuthenticationError,
    "the service refused the apikey",
    "Check the apikey; another access token does not help.",
)
_LOGIN_REFUSED = Meaning(
    AuthenticationError,
    "the service refused the user name or the password",
    "Check both, the apikey, and whether the account is active.",
)

_AUTH_CODES = frozenset(
    {
        # Section 6.4, then further ones of the same frameworks.
        *("token_not_valid", "user_inactive", "user_not_found", "bad_authorization_header"),
        *("not_authenticated", "authentication_failed", "password_changed", "no_active_account"),
    }
)
_LIMIT = lazy_pattern(r"\blimits?\b")
_MAY_MEAN_LIMIT = frozenset({400, 402, 403})
"""Statuses that gateways use for a limit, which only the words tell then. (401 has its own.)"""
_CLEAR_LIMIT = lazy_pattern(r"\blimit|exceed|maximum|too many")
_OF_CREDENTIALS = lazy_pattern(r"\btoken|credential|authenticat")
_APIKEY = lazy_pattern(r"\bapi[ _-]?key\b")
_TOO_BIG = lazy_pattern(
    r"too (big|large)|\bmax(imum)?\W+((allowed|upload|file|attachment)\W*)*size"
    r"|(larger|bigger) than|size limit|exceed[^.]{0,40}\b(size|bytes|[km]i?b)\b"
)
_FOREIGN = lazy_pattern(r"not the owner|open or close this ticket")
_UNKNOWN = lazy_pattern(r"\bnot valid\b|object does not exist|incorrect type")
_ALREADY = lazy_pattern(r"\balready\b")


def status_of(status: int, refusal: Refusal | None) -> int:
    """The status that counts, of the HTTP one and the body's own (section 5, B9).

    Where either speaks of a breakdown, the outcome is not known. Else HTTP decides, except where
    it says nothing in particular: 2xx in front of a refusal, and 400.
    """
    own = refusal.status_code if refusal is not None else None
    if own is not None and own >= 400 and (own >= 500 or status <= 400):
        return own
    return status if status >= 400 else 400


def meaning_for(
    operation: Operation,
    status: int,
    headers: Mapping[str, str],
    refusal: Refusal | None,
    *,
    with_file: bool,
) -> Meaning:
    """Which error a refusal is.

    Args:
        operation: what was called.
        status: the status that counts; see :func:`status_of`.
        headers: of the answer, case-insensitive.
        refusal: what the body says; ``None`` for a page, or nothing at all, in place of JSON.
        with_file: the request carried a file.
    """
    meaning = _meaning_for(operation, status, headers, refusal, with_file=with_file)
    words = None if refusal is None or refusal.named else refusal.words
    if status in _MAY_MEAN_LIMIT and says_limit(words):
        return _by_http(429)
    return meaning


def _meaning_for(
    operation: Operation,
    status: int,
    headers: Mapping[str, str],
    refusal: Refusal | None,
    *,
    with_file: bool,
) -> Meaning:
    if status in (400, 422):
        return _invalid(operation, status, refusal)
    if status == 401:
        return unauthenticated(operation, headers, refusal)
    if status == 404:
        return _missing(operation, refusal)
    if status == 413 and with_file:
        return _UPLOAD_TOO_LARGE
    return _by_http(status)


def _by_http(status: int) -> Meaning:
    """What a status means for any service."""
    return Meaning(*meaning_of(status), _NEXT_STEPS.get(status))


def _invalid(operation: Operation, status: int, refusal: Refusal | None) -> Meaning:
    """Bad data, or one of the refusals that the service also answers with 400 (section 3)."""
    if refusal is None:
        return _PAGE_INSTEAD if status == 400 else _by_http(status)
    if operation.name in _OF_ONE_TICKET:
        said = _said_of(refusal, "ticket_id", "ticket")
        if _FOREIGN.search(said):
            return _NOT_THE_OWNER
        if _UNKNOWN.search(said):
            return _NO_SUCH_TICKET
        # With another field at fault nothing shows that the state is the one asked for.
        alone = refusal.named <= {"ticket_id"}
        if operation.name == SET_STATUS and alone and _ALREADY.search(said):
            return _ALREADY_SO
    if operation.name == DOWNLOAD:
        # No error of it is documented, but all are of the one id it has (section 3.7).
        said = refusal.hints()
        if _FOREIGN.search(said):
            return _NOT_THE_OWNER
        if _UNKNOWN.search(said):
            return _NO_SUCH_ATTACHMENT
    if operation.name in _WITH_FILE:
        said = _said_of(refusal, "attachment", "file", "attachment")
        if _TOO_BIG.search(said):
            return _FILE_TOO_LARGE
    return _by_http(status)


def _said_of(refusal: Refusal, name: str, *words: str) -> str:
    """What is said about a field; also texts that name no field but mention it."""
    said = refusal.hint(name)
    general = refusal.hint("")
    return f"{said} {general}" if any(word in general for word in words) else said


def unauthenticated(
    operation: Operation, headers: Mapping[str, str], refusal: Refusal | None
) -> Meaning:
    """The meanings of 401 (section 6.4): a code says it, then the text, then the operation."""
    challenge = headers.get("WWW-Authenticate", "")
    scheme = challenge.partition(" ")[0].lower()
    said = refusal.hints() if refusal is not None else ""
    if refusal is None or refusal.code not in _AUTH_CODES:
        # Gateways with key plug-ins name a scheme of their own.
        if _APIKEY.search(said) or scheme in ("key", "apikey"):
            return _APIKEY_REFUSED
        if operation.name == CREATE and _is_open_ticket_limit(said, challenge):
            return _TOO_MANY_OPEN
        if operation.name != LOGIN and scheme != "bearer" and not _OF_CREDENTIALS.search(said):
            return _SOMETHING_REFUSED
    return _LOGIN_REFUSED if operation.name == LOGIN else _TOKEN_REFUSED


def may_renew(operation: Operation, headers: Mapping[str, str], refusal: Refusal | None) -> bool:
    """Whether another access token may help against a 401.

    A write is sent again only after a refusal that is clearly about the token: a view that refuses
    on its own (section 6.4) did run, and may have done something before. A read is harmless.
    """
    meaning = unauthenticated(operation, headers, refusal)
    if meaning is _SOMETHING_REFUSED:
        return operation.effect == "read" or bool(headers.get("WWW-Authenticate"))
    return meaning is _TOKEN_REFUSED


def _is_open_ticket_limit(said: str, challenge: str) -> bool:
    # A proxy may add a challenge to anything, so a clear text wins over one.
    if "ticket" in said and _CLEAR_LIMIT.search(said):
        return True
    return bool(not challenge and _LIMIT.search(said) and not _OF_CREDENTIALS.search(said))


def _missing(operation: Operation, refusal: Refusal | None) -> Meaning:
    """A missing thing is told in JSON; a missing address by a page or a gateway (6.1)."""
    if refusal is not None and (refusal.enveloped or refusal.detailed or refusal.hint("ticket_id")):
        if operation.name in _OF_ONE_TICKET:
            return _NO_SUCH_TICKET
        if operation.name == DOWNLOAD:
            return _NO_SUCH_ATTACHMENT
    return _by_http(404)
