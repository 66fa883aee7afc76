"""All that only Kapture does: addresses, keys per API, its rule of success, its dates.

The facts are in the fact sheet ``kapture.md``; each is named with its section.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

from ._core.errors import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    HelpdeskError,
    InvalidInputError,
    NotFoundError,
    RejectedError,
    ServerError,
    ValidationError,
)
from ._core.replies import NOT_JSON, Judgement, json_of
from ._core.secret import Secret
from ._core.transport.auth import AuthHeaders, KeyPerApi, authorization, basic_authorization
from ._core.transport.hosts import BaseUrl, check_subdomain, parse_base_url
from ._core.transport.message import MEBI, Operation

SERVICE: Final = "kapture"
INDIA: Final = timezone(timedelta(hours=5, minutes=30), "UTC+05:30")
"""The zone of the service's text dates, found from one sample (section 0)."""

# --- operations (sections 1 to 4) --------------------------------------------------------------

ADD_TICKET = Operation(
    name="tickets.add",
    path="/add-ticket-from-other-source.html/v.2.0",
    effect="write",
    api="add_ticket",
    wrap="array",
)
UPDATE_TICKET = Operation(
    name="tickets.update",
    path="/update-ticket-from-other-source.html/v.2.0",
    effect="write",
    api="update_ticket",
    wrap="array",
)
GET_TICKET = Operation(
    name="tickets.get",
    path="/search-ticket-by-ticket-id.html/v.2.0",
    effect="read",
    api="get_ticket",
    wrap="object",  # an array is the documented cause of "Invalid Json." (section 3)
    reply_cap=64 * MEBI,
)
PULL_TICKETS = Operation(
    name="tickets.pull",
    path="/select-ticket-between-start-and-end-dates.html/v.2.0",
    effect="read",
    api="pull_tickets",
    wrap="array",  # the error text demands an object, every sample shows an array (section 4)
    reply_cap=256 * MEBI,
)
APIS: Final = ("add_ticket", "update_ticket", "get_ticket", "pull_tickets", "request")
"""The names of the single keys in ``credentials=``. Kapture issues one key per API (section 0)."""

GET_BATCH: Final = 50
"""Ids per Get Ticket call; the largest number seen to work (section "Batching")."""


Credential = str | Secret | tuple[str, str] | tuple[Secret, Secret]
"""A ready-made token, or a user name and a password."""

# --- where and who -----------------------------------------------------------------------------


def base_url_of(
    subdomain: str | None, base_url: str | None, *, allow_http: bool = False
) -> BaseUrl:
    """The tenant's address from exactly one of its two forms.

    Raises:
        ConfigurationError: none or both are given, or the one given is not valid.
    """
    if (subdomain is None) == (base_url is None):
        raise ConfigurationError(
            "give either the subdomain or the base_url"
            + (", not both" if subdomain is not None else ""),
            next_step="KaptureClient('mytenant', token=...) means https://mytenant.kapturecrm.com.",
        )
    if base_url is not None:
        return parse_base_url(base_url, allow_http=allow_http)
    assert subdomain is not None
    return parse_base_url(f"https://{check_subdomain(subdomain)}.kapturecrm.com")


def auth_of(
    token: Secret | None,
    username: Secret | None,
    password: Secret | None,
    credentials: Mapping[str, Credential] | None,
) -> KeyPerApi:
    """The keys per API.

    Raises:
        ConfigurationError: there are none, they contradict each other, or an API is unknown.
    """
    if token is not None and (username is not None or password is not None):
        raise ConfigurationError("give either a token or a user name and password, not both")
    if (username is None) != (password is None):
        raise ConfigurationError("a user name and a password belong together")
    default: AuthHeaders | None = None
    if token is not None:
        default = {"Authorization": authorization(token)}
    elif username is not None and password is not None:
        default = {"Authorization": basic_authorization(username, password)}
    by_api: dict[str, AuthHeaders] = {}
    for api, value in (credentials or {}).items():
        if api not in APIS:
            raise ConfigurationError(f"there is no API {api!r}; the names are {', '.join(APIS)}")
        value = basic_authorization(*value) if isinstance(value, tuple) else authorization(value)
        by_api[api] = {"Authorization": value}
    if default is None and not by_api:
        raise ConfigurationError(
            "there are no credentials",
            next_step="Pass token= (pasted as the console shows it), or username= and password=.",
        )
    return KeyPerApi(default, by_api)


# --- the rule of success (sections 0 and "What this means for a client") -----------------------

_FAILED = frozenset({"failed", "failure", "fail", "error"})
_MISSING = re.compile(r"^(?P<field>[a-z_]+)s? (?:is|are) missing\.?$", re.IGNORECASE)
_NOTHING_FOUND = re.compile(r"\bno\b.*\b(data|records?|tickets?)\b|not found", re.IGNORECASE)

# Matched against the message without case. The documented texts, and the error names of the
# older pages (section 0). What matches nothing stays a plain refusal.
_MEANINGS: tuple[tuple[re.Pattern[str], type[HelpdeskError], str], ...] = (
    (
        re.compile(r"invalid auth|authkeyinvalid|apiexpired"),
        AuthenticationError,
        "the key is missing, wrong, expired or disabled",
    ),
    (re.compile(r"no data found|does not exist"), NotFoundError, "the service knows no such id"),
    (re.compile(r"already exists|duplicate"), ConflictError, "the service has it already"),
    (
        re.compile(r"missing|required|null or blank|reqfieldmissing"),
        ValidationError,
        "the service misses data",
    ),
    (re.compile(r"invalid (format|json)"), ValidationError, "the service refused the data"),
    (re.compile(r"serverfailure"), ServerError, "the service failed"),
)


def judge(judgement: Judgement) -> Any:
    """Kapture's rule of success: the body first, then the HTTP status, then "not readable".

    A failure may come with HTTP 200, and the status of a failed body is documented nowhere. An
    unknown shape is never success.

    Returns:
        The decoded body of a confirmed call.

    Raises:
        HelpdeskError: anything else.
    """
    body = json_of(judgement.reply)
    ok = 200 <= judgement.reply.status < 300
    if body is NOT_JSON:
        raise judgement.unreadable() if ok else judgement.by_status()
    if isinstance(body, dict):
        marker = _status_of(body)
        if marker == "success":
            if ok:
                return body
            raise judgement.unreadable("the body says success, the HTTP status says failure")
        if marker in _FAILED:
            raise _failed(judgement, body)
        if marker is None and ok and not judgement.operation.marks_success:
            return body
    elif isinstance(body, list) and ok and judgement.operation.name in _LIST_REPLIES:
        return body
    if not ok:
        raise judgement.by_status(_message_of(body) if isinstance(body, dict) else None)
    raise judgement.unreadable(f"the answer is {_shape_of(body)}, which is not documented")


def _shape_of(body: Any) -> str:
    """A JSON value described without its content."""
    if isinstance(body, dict):
        keys = ", ".join(repr(key[:40]) for key in list(body)[:8])
        return f"an object with the keys {keys}" if keys else "an empty object"
    return "a list" if isinstance(body, list) else f"a bare {type(body).__name__}"


_LIST_REPLIES = frozenset({GET_TICKET.name, "request"})
"""Get Ticket answers a bare list (section 3); older siblings do too (section 9)."""


def _status_of(body: Mapping[str, Any]) -> str | None:
    """The value of ``status``; older endpoints write ``Status`` and ``Success`` (section 0)."""
    value = body.get("status", body.get("Status"))
    if not isinstance(value, str):
        texts = (v for key, v in body.items() if key.lower() == "status" and isinstance(v, str))
        value = next(texts, None)
    return value.strip().lower() if value is not None else None


def _message_of(body: Mapping[str, Any]) -> str | None:
    """The service's words: ``message``, ``Message``, or a text under ``Customer Details``."""
    for wanted in ("message", "customer details"):
        for key, value in body.items():
            if key.lower() == wanted and isinstance(value, str):
                return value.strip()
    return None


def _failed(judgement: Judgement, body: Mapping[str, Any]) -> HelpdeskError:
    words = _message_of(body)
    for pattern, cls, message in _MEANINGS:
        if words is not None and pattern.search(words.lower()):
            found = _MISSING.match(words)
            fields = {found["field"].lower(): (words,)} if found else None
            return judgement.error(cls, message, words=words, fields=fields)
    if judgement.reply.status >= 400:
        # Not one of the documented refusals. With a 5xx it may have been carried out.
        return judgement.by_status(words)
    return judgement.error(RejectedError, "the service refused it", words=words)


def rows_of(judged: Judgement) -> list[dict[str, Any]]:
    """The rows of a pull: ``message`` is a list, one object, or a text that says "none".

    Raises:
        UnreadableReplyError: it is anything else.
    """
    message = judged.body.get("message")
    if isinstance(message, str):
        return []
    rows = [message] if isinstance(message, dict) else message
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return rows
    raise judged.unreadable("the answer's 'message' is neither rows nor a text")


def is_nothing_found(error: RejectedError) -> bool:
    """Whether a failed pull only says that there are no tickets.

    No sample shows it; live clients read a text as an empty result ("Response shapes"). Only a
    body with HTTP 2xx counts: a 404 page also says "not found".
    """
    words = error.vendor_message
    in_body = error.status is not None and error.status < 300
    return bool(in_body and words and _NOTHING_FOUND.search(words))


# --- dates and time zone (section "Date styles to parse") --------------------------------------

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_ENGLISH = re.compile(
    r"([A-Za-z]{3})[a-z]* (\d{1,2}), (\d{4}),? (\d{1,2}):(\d{2}):(\d{2}) ([AaPp])\.?[Mm]\.?"
)


def parse_moment(value: Any, zone: tzinfo) -> datetime | None:
    """A moment from any of the service's styles; texts carry no zone and are read in ``zone``.

    Takes ``YYYY-MM-DD HH:MM:SS``, ``YYYY-MM-DD HH:MM``, ``DD-MM-YYYY HH:MM``, epoch
    milliseconds and ``May 2, 2024 4:15:42 PM``.

    Returns:
        An aware datetime; ``None`` for ``""`` and ``0``, which mean "no date".

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if len(text) >= 16 and text[2] == "-" and text[5] == "-":
            text = f"{text[6:10]}-{text[3:5]}-{text[:2]} {text[11:]}"
        elif text[:1].isalpha():
            return _parse_english(text, zone)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1000, zone) if value else None
    raise ValueError("not a date")


def _parse_english(text: str, zone: tzinfo) -> datetime:
    # A Java runtime may put a narrow no-break space before AM/PM, so white space is folded.
    found = _ENGLISH.fullmatch(" ".join(text.split()))
    if found is None or found[1].lower() not in _MONTHS:
        raise ValueError("not a date")
    hour = int(found[4]) % 12 + (12 if found[7] in "Pp" else 0)
    day, minute, second = int(found[2]), int(found[5]), int(found[6])
    return datetime(
        int(found[3]), _MONTHS[found[1].lower()], day, hour, minute, second, tzinfo=zone
    )


def format_moment(moment: datetime, zone: tzinfo) -> str:
    """``YYYY-MM-DD HH:MM:SS`` in the service's zone; a naive datetime counts as in that zone."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(zone)
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")


def format_day(day: date) -> str:
    """``YYYY-MM-DD``."""
    return day.isoformat()


def service_day(value: date | datetime | str, zone: tzinfo, *, name: str) -> date:
    """The day of the service's own calendar that a caller means.

    Raises:
        InvalidInputError: a text that is not ``YYYY-MM-DD``.
    """
    if isinstance(value, datetime):
        return (value.astimezone(zone) if value.tzinfo is not None else value).date()
    if isinstance(value, date):
        return value
    try:
        if len(value) == 10:
            return date.fromisoformat(value)
    except (TypeError, ValueError):
        pass
    raise InvalidInputError(f"{name} must be a date or text such as 2024-04-19")
