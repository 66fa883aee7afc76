"""All that only Kapture does: addresses, its rule of success, its dates.

The facts are in the fact sheet ``kapture.md``; each is named with its section.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

from ._core.codec import Codec
from ._core.errors import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    HelpdeskError,
    InvalidInputError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    ServerError,
    UnreadableReplyError,
    ValidationError,
)
from ._core.jsontext import OddObject
from ._core.replies import NOT_JSON, Advice, Judgement, json_of, says_limit
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

TICKET_OPERATIONS: Final = (ADD_TICKET, UPDATE_TICKET, GET_TICKET, PULL_TICKETS)

ADVICE: Final[Advice] = {
    AuthenticationError: "Check the token and its expiry date; Kapture issues one key per API, so "
    "a key for one call may not fit another.",
}
"""The safe next step, where the one of the error's class is too general."""

GET_BATCH: Final = 50
"""Ids per Get Ticket call; the largest number seen to work (section "Batching")."""

# --- where -----------------------------------------------------------------------------


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


# --- the rule of success (sections 0 and "What this means for a client") -----------------------

_CLAIMS_SUCCESS = re.compile(rb'"status"\s*:\s*"\s*success\s*"', re.IGNORECASE)
_FAILED = frozenset({"failed", "failure", "fail"})
_MISSING = re.compile(r"(?P<field>[a-z_]+) (?:is|are) missing", re.IGNORECASE)

# Matched against the whole message, without case and closing points: the documented texts, and
# the error names of the older pages (section 0). What matches nothing stays a plain refusal.
_MEANINGS: tuple[tuple[re.Pattern[str], type[RejectedError], str], ...] = (
    (
        re.compile(r"invalid auth key|authkeyinvalid|apiexpired"),
        AuthenticationError,
        "the key is missing, wrong, expired or disabled",
    ),
    (
        re.compile(r"no data found/ticket_id is missing|information given by you does not exist.*"),
        NotFoundError,
        "the service knows no such id",
    ),
    (
        re.compile(r"lead already exists.*|duplicate enquiry.*"),
        ConflictError,
        "the service has it already",
    ),
    (
        re.compile(
            r"[a-z_]+ (is|are) missing|reqfieldmissing|either [a-z_]+ is null or blank"
            r"|name, email id, and phone number(, or enquiry id)? required"
        ),
        ValidationError,
        "the service misses data",
    ),
    (
        re.compile(r"invalid format\..*|invalid json"),
        ValidationError,
        "the service refused the data",
    ),
)
# Not documented, but in words about the key itself.
_OF_CREDENTIALS = re.compile(
    r"\b(auth\w*|api|access|security)[ _-]?(key|token)\b.*"
    r"\b(expired|invalid|wrong|unknown|missing|disabled|inactive|revoked|blocked|incorrect)\b"
    r"|\b(expired|invalid|wrong|unknown|missing|disabled|inactive|revoked|incorrect)"
    r"\b.{0,20}\b((auth\w*|api|access|security)[ _-]?(key|token)|credentials?)\b"
    r"|\bun-?authori[sz]ed\b|\bnot authori[sz]ed\b|\bauthentication (failed|required)\b"
)
# The older order endpoint answers a list of one marked object (section 9). What the newer one
# answers was not seen, so there both are read.
_MARKED_LISTS = frozenset({"request", "orders.add", "orders.update"})
# Words of a service that broke down on the way. It says "failed", but whether it had done the
# work by then is not known.
_BROKE_DOWN = re.compile(
    r"internal|exception|time[d ]*[- ]?out|try again|unavailable|serverfailure|server error|later"
)


def judge(judgement: Judgement) -> Any:
    """Kapture's rule of success: the body first, then the HTTP status, then "not readable".

    A failure may come with HTTP 200, and the status of a failed body is documented nowhere. An
    unknown shape is never success, and neither is a body that contradicts itself or its status.

    Returns:
        The decoded body of a confirmed call.

    Raises:
        HelpdeskError: anything else.
    """
    body = judgement.json()
    ok = 200 <= judgement.reply.status < 300
    if ok and body.__class__ is dict and body.get("status") == "success" and "Status" not in body:
        return body  # so it is, nearly always
    if not ok and claims_success(judgement.reply.body):
        raise judgement.unreadable("the body says success, the HTTP status says failure")
    if body is NOT_JSON:
        raise judgement.unreadable() if ok else judgement.by_status()
    mark = _mark_of(body)
    listed = isinstance(body, list)
    if mark == "success" and not (listed and judgement.operation.name not in _MARKED_LISTS):
        return body
    if _shows_new_ticket(judgement.operation, body) and not ok:
        raise judgement.unreadable("the body shows a new ticket, the HTTP status says failure")
    if mark in _FAILED:
        if _shows_new_ticket(judgement.operation, body):
            raise judgement.unreadable("the body says failed, and shows a new ticket")
        raise refusal(judgement, _message_of(body[0] if listed else body))
    if mark is None and ok and _needs_no_mark(judgement.operation, body):
        return body
    if not ok:
        raise judgement.by_status(_message_of(body) if isinstance(body, dict) else None)
    raise judgement.unreadable(f"the answer is {_shape_of(body)}, which is not documented")


def claims_success(body: bytes) -> bool:
    """Whether a body carries the mark of success, whatever the HTTP status says.

    Beside other marks, too, or in JSON that is broken: it tells a success from a refusal.
    """
    decoded = json_of(body)
    if decoded is NOT_JSON:
        return _CLAIMS_SUCCESS.search(body) is not None
    return "success" in _marks_in(decoded)


def claims_success_in(body: Any) -> bool:
    """Whether a decoded body says success, and nothing else."""
    return _mark_of(body) == "success"


def _shows_new_ticket(operation: Operation, body: Any) -> bool:
    """Whether a body holds the id of a ticket that was made; no request to add one has any."""
    if operation.name != ADD_TICKET.name or not isinstance(body, dict):
        return False
    return bool(body.get("ticket_id") or body.get("Ticket Id"))


def _needs_no_mark(operation: Operation, body: Any) -> bool:
    if operation.name == GET_TICKET.name:
        return isinstance(body, list)  # a bare list, without a status (section 3)
    return not operation.marks_success and isinstance(body, (dict, list))


def _mark_of(body: Any) -> str | None:
    """The value of ``status``; older endpoints write ``Status`` and ``Success`` (section 0).

    Older siblings answer a list of one such object (section 9). Several marks that differ are
    no mark at all, but a contradiction.
    """
    marks = _marks_in(body)
    if len(marks) > 1:
        return _CONTRADICTION
    return next(iter(marks), None)


_CONTRADICTION = "(contradiction)"


def _marks_in(body: Any) -> set[str | None]:
    """Every mark that a body has; of a list, ``None`` for each object that has none."""
    if isinstance(body, list):
        objects = [element for element in body if isinstance(element, dict)]
        return {mark for element in objects for mark in _marks_in(element) or {None}}
    if not isinstance(body, dict):
        return set()
    found = [value for key, value in body.items() if len(key) == 6 and key.lower() == "status"]
    if body.__class__ is OddObject:
        found += [v for k, more in body.repeated.items() if k.lower() == "status" for v in more]
    return {v.strip().lower() if isinstance(v, str) else _CONTRADICTION for v in found}


def _message_of(body: Mapping[str, Any]) -> str | None:
    """The service's words: ``message``, ``Message``, or a text under ``Customer Details``."""
    for wanted in ("message", "customer details"):
        for key, value in body.items():
            if key.lower() == wanted and isinstance(value, str):
                return value.strip()
    return None


def _shape_of(body: Any) -> str:
    """A JSON value described without its content."""
    if isinstance(body, dict):
        keys = ", ".join(repr(key[:40]) for key in list(body)[:8])
        return f"an object with the keys {keys}" if keys else "an empty object"
    return "a list" if isinstance(body, list) else f"a bare {type(body).__name__}"


def refusal(judgement: Judgement, words: str | None) -> HelpdeskError:
    """The error for a reply by which the service says, in these words, that it refused."""
    plain = " ".join((words or "").lower().split()).rstrip(". ")
    for pattern, cls, message in _MEANINGS:
        if pattern.fullmatch(plain):
            found = _MISSING.fullmatch((words or "").rstrip(". "))
            fields = {found["field"].lower(): (words or "",)} if found else None
            return judgement.error(cls, message, words=words, fields=fields)
    if judgement.reply.status >= 300:
        # Not one of the documented refusals. With a 3xx or 5xx it may have been carried out.
        return judgement.by_status(words)
    if says_limit(words):
        return judgement.error(RateLimitedError, "the service asks to slow down", words=words)
    if _OF_CREDENTIALS.search(plain):
        return judgement.error(AuthenticationError, "the service refused the key", words=words)
    if _BROKE_DOWN.search(plain):
        return judgement.error(ServerError, "the service reports that it failed", words=words)
    return judgement.error(RejectedError, "the service refused it", words=words)


# --- what a pull says (section 4, and "Response shapes") ---------------------------------------

# Live clients read a text in place of the rows as "none". Only a text that says so is believed:
# an empty answer that was meant as "too much" or "not for you" would be a silent loss.
_WHAT = r"(?:data|records?|tickets?|results?|customers?|orders?|faqs?|categories)"
_SAYS_NONE = re.compile(
    rf"no {_WHAT}(?: (?:was |were )?(?:found|available))?"
    rf"|no matching {_WHAT}(?: found)?"
    rf"|(?:0|zero) {_WHAT}(?: found)?"
    rf"|{_WHAT} (?:(?:is |are |was |were )?not (?:found|available))"
    r"|nothing(?: was)? found|none(?: found)?",
)
_OF_WHEN = re.compile(
    r" (?:for|in|between) (?:the |this |that )?(?:given |selected )?"
    r"(?:dates?|days?|date range|period)\Z"
)


ROWS_KEY: Final = "message"
"""Where a pull's answer has its rows. The mark of success comes behind them in the sample."""


def rows_of(judged: Judgement) -> list[dict[str, Any]]:
    """The rows of a pull: ``message`` is a list, one object, or a text that says "none".

    Raises:
        UnreadableReplyError: it is anything else.
    """
    message = judged.body.get(ROWS_KEY)
    if isinstance(message, str) and (not message.strip() or says_none(message)):
        return []
    rows = [message] if isinstance(message, dict) else message
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return rows
    if isinstance(message, str):
        raise judged.error(
            UnreadableReplyError, "the answer has a text in place of the rows", words=message
        )
    raise judged.unreadable("the answer's 'message' is neither rows nor a text")


def total_of(judged: Judgement) -> int | None:
    """How many rows there are: null in the sample, a number or absent in the wild (section 4)."""
    return count_in(judged.body)


def count_in(part: Mapping[str, Any]) -> int | None:
    """The number of rows that an object of a reply names, if it names one."""
    total = part.get("totalCount")
    if isinstance(total, str) and total.isascii() and total.isdecimal() and len(total) < 19:
        total = int(total)
    return total if type(total) is int else None


def is_nothing_found(error: RejectedError) -> bool:
    """Whether a failed pull only says that there are no tickets.

    Only a body with HTTP 2xx counts: a 404 page also says "not found".
    """
    in_body = error.status is not None and error.status < 300
    return in_body and says_none(error.vendor_message or "")


def says_none(text: str) -> bool:
    """Whether a text in place of rows says that there are none."""
    plain = " ".join(text.lower().split()).strip(" .!")
    return _SAYS_NONE.fullmatch(_OF_WHEN.sub("", plain)) is not None


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


def codec_of(zone: tzinfo) -> Codec:
    """The codec: dates in ``zone``, and the number 0 where there is no id (section 1)."""
    return Codec(zone, parse_moment, format_moment, zero_is_no_id=True)
