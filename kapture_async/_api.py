"""All that only Kapture does: addresses, its rule of success, its dates.

The facts are in ``SERVICE.md``; each is named with its section.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
from ._core.response import NOT_JSON, Advice, ResponseContext, json_of, says_limit
from ._core.transport.request import MEBI, Operation
from ._core.transport.urls import BaseUrl, check_subdomain, parse_base_url
from ._core.vendorwords import DOCUMENTED, VendorWords, folded

SERVICE: Final = "kapture"
INDIA: Final = timezone(timedelta(hours=5, minutes=30), "UTC+05:30")
"""The zone of the service's text dates, found from one sample (section 0)."""

# --- operations (sections 1 to 4) ----------------------------------------------------------------

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
"""Ids per Get Ticket call; the largest number seen to work (section 3)."""

# --- where ---------------------------------------------------------------------------------------


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


# --- the rule of success (section 0) -------------------------------------------------------------

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


def judge(judgement: ResponseContext) -> Any:
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
    words = judgement.words
    documented = not words.judges
    if (
        documented
        and ok
        and body.__class__ is dict
        and body.get("status") == "success"
        and "Status" not in body
    ):
        return body  # so it is, nearly always
    if not ok and claims_success(judgement.reply.body, words):
        raise judgement.unreadable("the body says success, the HTTP status says failure")
    if body is NOT_JSON:
        raise judgement.unreadable() if ok else judgement.by_status()
    mark = _mark_of(body) if documented else _tenant_mark(judgement, body)
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
    shape = _shape_of(body)
    if listed and mark != "success" and len(body) == 1 and isinstance(body[0], dict):
        body = body[0]
    if isinstance(body, dict):
        status, said = _status_text(body), _said_in(body)
        may_be_none = words.none is not None and judgement.operation.name in _LISTINGS
        if may_be_none and not listed and said and none_said(judgement, said, status or ""):
            return body
        if status is not None:
            shown = judgement.mask(status)[:_STATUS_CAP]
            raise judgement.error(
                UnreadableReplyError,
                f"the answer's status is {shown!r}, which is not documented",
                words=said,
            )
    raise judgement.unreadable(f"the answer is {shape}, which is not documented")


_STATUS_CAP = 40
_LISTINGS = frozenset({PULL_TICKETS.name, "customers.pull", "orders.pull", "faqs.contents"})
_WORDS_KEYS = ("message", "customer details", "msg", "errormessage", "error", "errors", "reason")


def _tenant_mark(judgement: ResponseContext, body: Any) -> str | None:
    """The mark of an answer where the tenant has words of its own."""
    mark = _mark_of(body)
    status = _status_text(body) if isinstance(body, dict) else None
    if status is None:
        return mark
    said, words = _said_in(body) or "", judgement.words
    try:
        success, failed = words.says_success(said, status), words.says_failed(said, status)
    except Exception as error:
        raised = type(error).__name__
    else:
        if success and failed:
            return _CONTRADICTION
        return "success" if success else "failed" if failed else mark
    raise judgement.unreadable(f"the function says_success= or says_failed= raised {raised}")


def _status_text(body: Mapping[str, Any]) -> str | None:
    """The one status of an answer as text; ``None`` if it has none, or several that differ."""
    found = {
        value.strip() if isinstance(value, str) else str(value).lower()
        for key, value in body.items()
        if key.lower() == "status" and not isinstance(value, (dict, list))
    }
    return found.pop() if len(found) == 1 and len(_marks_in(body)) == 1 else None


def _said_in(body: Mapping[str, Any]) -> str | None:
    """The words of an answer that is not of the documented kind, from wherever they may be."""
    for wanted in _WORDS_KEYS:
        for key, value in body.items():
            if key.lower().replace("_", "") == wanted and (text := _text_in(value)):
                return text
    return None


def _text_in(value: Any) -> str | None:
    """A text, or the one text that an object or a list of one has in place of it."""
    if isinstance(value, (dict, list)) and len(value) == 1:
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return value.strip() or None if isinstance(value, str) else None


def claims_success(body: bytes, words: VendorWords = DOCUMENTED) -> bool:
    """Whether a body carries the mark of success, whatever the HTTP status says.

    Beside other marks, too, or in JSON that is broken: it tells a success from a refusal.
    """
    decoded = json_of(body)
    if decoded is NOT_JSON:
        return _CLAIMS_SUCCESS.search(body) is not None
    if words.success is not None and isinstance(decoded, dict):
        status = _status_text(decoded)
        try:
            if status is not None and words.says_success(_said_in(decoded) or "", status):
                return True
        except Exception:
            return True  # who knows: it is nothing to be sent again
    return "success" in _marks_in(decoded)


def claims_success_in(body: Any) -> bool:
    """Whether a decoded body says success, and nothing else."""
    return _mark_of(body) == "success"


def _shows_new_ticket(operation: Operation, body: Any) -> bool:
    """Whether a body holds the id of a ticket that was made; no request to add one has any."""
    if operation.name != ADD_TICKET.name or not isinstance(body, dict):
        return False
    return bool(body.get("ticket_id") or older_names(body).get("Ticket Id"))


_OLDER_NAMES = {
    name.lower(): name
    for name in ("Customer Details", "Kapture Customer Id", "Order Id", "Enquiry Id", "Ticket Id")
}


def older_names(body: dict[str, Any]) -> dict[str, Any]:
    """A reply whose names are those of the older pages, also where it writes them otherwise.

    A maintained client reads them in lower case.
    """
    if not any(" " in key and key.lower() in _OLDER_NAMES for key in body):
        return body
    return {_OLDER_NAMES.get(key.lower(), key): value for key, value in body.items()}


def _needs_no_mark(operation: Operation, body: Any) -> bool:
    if operation.name == GET_TICKET.name:
        return isinstance(body, list)  # a bare list, without a status (section 3)
    bare = operation.name == "request" and isinstance(body, dict)
    if bare and str(body.get("success", True)).lower() == "false":
        return False  # as the encryption of a customer's code says that it failed
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
    if isinstance(body, OddObject):
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


def refusal(judgement: ResponseContext, words: str | None) -> HelpdeskError:
    """The error for a reply by which the service says, in these words, that it refused."""
    plain = " ".join((words or "").lower().split()).rstrip(". ")
    for pattern, cls, message in _MEANINGS:
        if pattern.fullmatch(plain):
            found = _MISSING.fullmatch((words or "").rstrip(". "))
            fields = {found["field"].lower(): (words or "",)} if found else None
            error = judgement.error(cls, message, words=words, fields=fields)
            error.about_data = cls is not AuthenticationError
            return error
    if judgement.reply.status == 404:
        unknown = judgement.error(NotFoundError, "the service knows no such id", words=words)
        unknown.about_data = judgement.operation.name.endswith(".update")
        return unknown
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


# --- what a pull says (section 4) ----------------------------------------------------------------

# Live clients read a text in place of the rows as "none". Only a text that says so is believed:
# an empty answer that was meant as "too much" or "not for you" would be a silent loss.
_WHAT = (
    r"(?:matching )?(?:data|(?:record|ticket|result|customer|order|faq|entr|row|item|enquir)"
    r"(?:s|y|ies|\(s\))?|categor(?:y|ies))"
)
_THERE = r"(?:found|available|present|returned|matched|to (?:show|display)|exists?|existing)"
_IS = r"(?:(?:is|are|was|were|has been|have been|could be) )"
_SAYS_NONE = re.compile(
    rf"(?:sorry, ?)?(?:there {_IS})?(?:no|0|zero) (?:such )?{_WHAT}(?: {_IS}?{_THERE})?"
    rf"|no {_WHAT} match(?:es|ed)? (?:your|the|this) (?:search |selected )?"
    r"(?:search|query|criteria|filters?)"
    rf"|{_WHAT} (?:{_IS}|does |do )?not (?:found|available|present|exist)"
    rf"|(?:could not|couldn't|did not|unable to) find (?:any )?{_WHAT}"
    r"|nothing(?: (?:was|is))?(?: found| to (?:show|display))|none(?: found)?",
)
_OF_WHEN = re.compile(
    r" (?:for|in|within|between|on|of|during|with|matching|against)"
    r" (?:the |this |that |these |your )?"
    r"(?:given |selected |specified |requested |provided |chosen |search |above |entered )?"
    r"(?:dates?|days?|date[- ]range|range|period|time(?: period| range)?|interval|duration"
    r"|(?:search )?criteria|criterion|filters?|search|query|parameters?|conditions?)\Z"
)


ROWS_KEY: Final = "message"
"""Where a pull's answer has its rows. The mark of success comes behind them in the sample."""


def is_row(part: Mapping[str, Any]) -> bool:
    """Whether an object is a ticket of a pull: it has an id, or a key that only tickets have."""
    if part.get("ticketId"):
        return True
    return any(key in _ROW_KEYS for key in part) and not any(_BAD_KEY.search(key) for key in part)


_BAD_KEY = re.compile(r"error|exception|fault|failure", re.IGNORECASE)
_ROW_KEYS = frozenset(
    {
        *("ticketId", "taskId", "taskTitle", "taskEnddate", "lastFollowUp", "nextFollowUp"),
        *("lastSource", "primarySource", "lastConvesationTime", "lastConversationId", "folderId"),
        *("mergedTicketId", "contactId", "productId", "creatorId", "creatorName", "substatusKey"),
        *("substatus", "customerId", "assignedId", "assignedToName", "assigneeCode", "queueKey"),
        *("queueName", "pendingTaskId", "slaStatus", "total_conversations", "disposition"),
        *("customer_rating", "callBack", "referenceId"),
    }
)


def rows_of(judged: ResponseContext) -> list[dict[str, Any]]:
    """The rows of a pull: ``message`` is a list, one ticket, or a text that says "none".

    Also an object of tickets whose keys are numbers, which is how PHP writes a list with gaps.

    Raises:
        UnreadableReplyError: it is anything else: an object that is no ticket is an error or a
            wrapper, and never one row.
    """
    message = judged.body.get(ROWS_KEY)
    if isinstance(message, str):
        if not message.strip() or none_said(judged, message):
            return []
        raise judged.error(
            UnreadableReplyError,
            "the answer has a text in place of the rows",
            words=message,
            next_step="If it says that there are none, name it with says_none=.",
        )
    rows = _listed(message)
    if rows is None:
        raise judged.unreadable("the answer's 'message' is neither rows nor a text")
    if not all(is_row(row) for row in rows):
        raise no_ticket(judged, rows)
    return rows


def no_ticket(judged: ResponseContext, rows: Iterable[Mapping[str, Any]]) -> UnreadableReplyError:
    """The error for objects in place of rows, some of which are no tickets."""
    odd = next(row for row in rows if not is_row(row))
    return judged.error(
        UnreadableReplyError,
        f"in place of a ticket, the answer has {_shape_of(odd)}",
        words=_said_in(odd),
    )


def _listed(message: Any) -> list[dict[str, Any]] | None:
    if isinstance(message, dict):
        numbered = message and all(key.isascii() and key.isdigit() for key in message)
        message = list(message.values()) if numbered else [message]
    if isinstance(message, list) and all(isinstance(row, dict) for row in message):
        return message
    return None


def none_said(judged: ResponseContext, text: str, status: str | None = None) -> bool:
    """Whether a text in place of rows says that there are none, in whoever's words.

    Raises:
        UnreadableReplyError: the function that was set for it failed.
    """
    if says_none(text):
        return True
    if status is None:
        status = _status_text(judged.body)
    try:
        return judged.words.says_none(text, status or "")
    except Exception as error:
        failed = type(error).__name__
    raise judged.unreadable(f"the function says_none= raised {failed}")


def total_of(judged: ResponseContext) -> int | None:
    """How many rows there are: null in the sample, a number or absent elsewhere (section 4)."""
    return count_in(judged.body)


def count_in(part: Mapping[str, Any]) -> int | None:
    """The number of rows that an object of a reply names, if it names one."""
    total = part.get("totalCount")
    if isinstance(total, str) and total.isascii() and total.isdecimal() and len(total) < 19:
        total = int(total)
    return total if type(total) is int else None


def is_nothing_found(error: RejectedError, words: VendorWords = DOCUMENTED) -> bool:
    """Whether a failed pull only says that there are no tickets.

    Only a body with HTTP 2xx counts: a 404 page also says "not found".
    """
    if error.status is None or error.status >= 300:
        return False
    said = error.vendor_message or ""
    return says_none(said) or (bool(said) and words.says_none(said, "failed"))


def wants_limit(error: HelpdeskError) -> bool:
    """Whether a pull was refused for want of a limit: "Required field, if PaginationEnabled"."""
    return isinstance(error, ValidationError) and "limit" in error.fields


def says_none(text: str) -> bool:
    """Whether a text in place of rows says that there are none."""
    return _SAYS_NONE.fullmatch(_OF_WHEN.sub("", folded(text))) is not None


# --- dates and time zone (section 20) ------------------------------------------------------------

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

    Takes ``YYYY-MM-DD HH:MM:SS``, ``YYYY-MM-DD HH:MM``, ``DD-MM-YYYY HH:MM``,
    ``May 2, 2024 4:15:42 PM``, compact dates (``20240419``, ``20240419T101010``,
    ``20240419101010``), and epochs of milliseconds or seconds, as a number or in digits.

    Returns:
        An aware datetime; ``None`` for ``""``, ``0`` and a date of nothing but zeros, which mean
        "no date".

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if text.isdigit():
            return _parse_digits(text, zone)
        if len(text) >= 16 and text[2] == "-" and text[5] == "-":
            text = f"{text[6:10]}-{text[3:5]}-{text[:2]} {text[11:]}"
        elif text[:1].isalpha():
            return _parse_english(text, zone)
        elif not text.strip("0-:. T"):
            return None  # as a database writes "none"
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
    if isinstance(value, int) and not isinstance(value, bool):
        return _parse_digits(str(value), zone)
    raise ValueError("not a date")


_COMPACT = re.compile(r"(?:19|20|21)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_YEARS = range(1970, 2200)
"""Of an epoch. Beyond them, a number counts something else."""


def _parse_digits(text: str, zone: tzinfo) -> datetime | None:
    """A moment from digits alone: how many there are says what they count."""
    if not text.isascii() or not text.isdigit():
        raise ValueError("not a date")
    if not text.strip("0"):
        return None
    if len(text) in (8, 14) and _COMPACT.match(text):
        return datetime.strptime(text.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=zone)
    # Nine or ten digits of milliseconds would be a day at the beginning of 1970.
    factor = {9: 1, 10: 1, 11: 1000, 12: 1000, 13: 1000}.get(len(text))
    if factor is None:
        raise ValueError("not a date")
    moment = datetime.fromtimestamp(int(text) / factor, zone)
    if moment.year not in _YEARS:
        raise ValueError("not a date")
    return moment


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


WINDOW_KEYS: Final = frozenset({"start_date", "end_date"})


def window_of(day: str, *, exclusive_end: bool) -> dict[str, str]:
    """The dates of a pull of one day (section 4)."""
    end = day
    if exclusive_end:
        end = format_day(date.fromisoformat(day) + timedelta(days=1))
    return {"start_date": day, "end_date": end}


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
