"""Kapture's rule of success, and where the rows of its lists are. No I/O here.

Each fact names its section of ``SERVICE.md``. The replies to a pull of customers or orders were
never seen (section 19), so their rows are taken from the only list of objects in the reply. A reply
that leaves a choice is an error, never an empty result.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any, TypeVar

from ._api import ADD_TICKET, GET_TICKET, PULL_TICKETS
from ._core.codec import WireModel
from ._core.errors import (
    AuthenticationError,
    ConflictError,
    HelpdeskError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    ServerError,
    UnreadableReplyError,
    ValidationError,
)
from ._core.jsontext import OddObject
from ._core.lazy import lazy_pattern
from ._core.pull.window import FetchedWindow
from ._core.response import (
    DOCUMENTED,
    NOT_JSON,
    ResponseContext,
    VendorWords,
    folded,
    json_of,
    says_limit,
)
from ._core.transport.request import Operation

# --- the rule of success (section 0) -------------------------------------------------------------

_CLAIMS_SUCCESS = lazy_pattern(rb'"status"\s*:\s*"\s*success\s*"', re.IGNORECASE)
_FAILED = frozenset({"failed", "failure", "fail"})
_MISSING = lazy_pattern(r"(?P<field>[a-z_]+) (?:is|are) missing", re.IGNORECASE)

# Matched against the whole message, without case and closing points: the documented texts, and
# the error names of the older pages (section 0). Anything else stays a plain refusal.
_MEANINGS: tuple[tuple[re.Pattern[str], type[RejectedError], str], ...] = (
    (
        lazy_pattern(r"invalid auth key|authkeyinvalid|apiexpired"),
        AuthenticationError,
        "the key is missing, wrong, expired or disabled",
    ),
    (
        lazy_pattern(
            r"no data found/ticket_id is missing|information given by you does not exist.*"
        ),
        NotFoundError,
        "the service does not know this id",
    ),
    (
        lazy_pattern(r"lead already exists.*|duplicate enquiry.*"),
        ConflictError,
        "the service already has it",
    ),
    (
        lazy_pattern(
            r"[a-z_]+ (is|are) missing|reqfieldmissing|either [a-z_]+ is null or blank"
            r"|name, email id, and phone number(, or enquiry id)? required"
        ),
        ValidationError,
        "the service says that data is missing",
    ),
    (
        lazy_pattern(r"invalid format\..*|invalid json"),
        ValidationError,
        "the service refused the data",
    ),
)
# Not documented, but about the key itself.
_OF_CREDENTIALS = lazy_pattern(
    r"\b(auth\w*|api|access|security)[ _-]?(key|token)\b.*"
    r"\b(expired|invalid|wrong|unknown|missing|disabled|inactive|revoked|blocked|incorrect)\b"
    r"|\b(expired|invalid|wrong|unknown|missing|disabled|inactive|revoked|incorrect)"
    r"\b.{0,20}\b((auth\w*|api|access|security)[ _-]?(key|token)|credentials?)\b"
    r"|\bun-?authori[sz]ed\b|\bnot authori[sz]ed\b|\bauthentication (failed|required)\b"
)
# The older order endpoint answers a list of one marked object (section 9). What the newer one
# answers was not seen, so there both are read.
_MARKED_LISTS = frozenset({"request", "orders.add", "orders.update"})
# A service that broke down on the way says "failed", but it may have done the work by then.
_BROKE_DOWN = lazy_pattern(
    r"internal|exception|time[d ]*[- ]?out|try again|unavailable|serverfailure|server error|later"
)


def check_response(response: ResponseContext) -> Any:
    """Kapture's rule of success: the body first, then HTTP status, then "not readable".

    A failure may come with HTTP 200, and the status of a failed body is documented nowhere. An
    unknown shape is never success, and neither is a body that contradicts itself or its status.

    Returns:
        The decoded body of a confirmed call.

    Raises:
        HelpdeskError: anything else.
    """
    body = response.json()
    ok = 200 <= response.reply.status < 300
    words = response.words
    documented = words is DOCUMENTED or not words.decide
    if (
        documented
        and ok
        and body.__class__ is dict
        and body.get("status") == "success"
        and "Status" not in body
    ):
        return body  # nearly always
    if not ok and claims_success(response.reply.body, words):
        raise response.unreadable("the body says success, the HTTP status says failure")
    if body is NOT_JSON:
        raise response.unreadable() if ok else response.by_status()
    mark = _mark_of(body) if documented else _tenant_mark(response, body)
    listed = isinstance(body, list)
    if mark == "success" and not (listed and response.operation.name not in _MARKED_LISTS):
        return body
    if _shows_new_ticket(response.operation, body) and not ok:
        raise response.unreadable("the body shows a new ticket, the HTTP status says failure")
    if mark in _FAILED:
        if _shows_new_ticket(response.operation, body):
            raise response.unreadable("the body says failed, and shows a new ticket")
        raise refusal(response, _message_of(body[0] if listed else body))
    if mark is None and ok and _needs_no_mark(response.operation, body):
        return body
    if not ok:
        raise response.by_status(_message_of(body) if isinstance(body, dict) else None)
    shape = shape_of(body)
    if listed and mark != "success" and len(body) == 1 and isinstance(body[0], dict):
        body = body[0]
    if isinstance(body, dict):
        status, said = _status_text(body), said_in(body)
        may_be_none = words.none is not None and response.operation.name in _LISTINGS
        if may_be_none and not listed and said and none_said(response, said, status or ""):
            return body
        if status is not None:
            shown = response.mask(status)[:_STATUS_CAP]
            raise response.error(
                UnreadableReplyError,
                f"the answer's status is {shown!r}, which is not documented",
                words=said,
            )
    raise response.unreadable(f"the answer is {shape}, which is not documented")


_STATUS_CAP = 40
_LISTINGS = frozenset({PULL_TICKETS.name, "customers.pull", "orders.pull", "faqs.contents"})
_WORDS_KEYS = ("message", "customer details", "msg", "errormessage", "error", "errors", "reason")


def _tenant_mark(response: ResponseContext, body: Any) -> str | None:
    """The mark of an answer where the tenant has words of its own."""
    mark = _mark_of(body)
    status = _status_text(body) if isinstance(body, dict) else None
    if status is None:
        return mark
    said, words = said_in(body) or "", response.words
    try:
        success, failed = words.says_success(said, status), words.says_failed(said, status)
    except Exception as error:
        raised = type(error).__name__
    else:
        if success and failed:
            return _CONTRADICTION
        return "success" if success else "failed" if failed else mark
    raise response.unreadable(f"the function says_success= or says_failed= raised {raised}")


def _status_text(body: Mapping[str, Any]) -> str | None:
    """The one status of an answer as text; ``None`` if it has none, or several that differ."""
    found = {
        value.strip() if isinstance(value, str) else str(value).lower()
        for key, value in body.items()
        if key.lower() == "status" and not isinstance(value, (dict, list))
    }
    return found.pop() if len(found) == 1 and len(_marks_in(body)) == 1 else None


def said_in(body: Mapping[str, Any]) -> str | None:
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

    Also next to other marks, or in broken JSON: it separates a success from a refusal.
    """
    decoded = json_of(body)
    if decoded is NOT_JSON:
        return _CLAIMS_SUCCESS.search(body) is not None
    if words.success is not None and isinstance(decoded, dict):
        status = _status_text(decoded)
        try:
            if status is not None and words.says_success(said_in(decoded) or "", status):
                return True
        except Exception:
            return True  # it may be: do not send it again
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
    """A reply with the names of the older pages, also where it spells them differently.

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

    Older siblings answer a list of one such object (section 9). Marks that differ are a
    contradiction.
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


def shape_of(body: Any) -> str:
    """A JSON value described without its content."""
    if isinstance(body, dict):
        keys = ", ".join(repr(key[:40]) for key in list(body)[:8])
        return f"an object with the keys {keys}" if keys else "an empty object"
    return "a list" if isinstance(body, list) else f"a bare {type(body).__name__}"


def refusal(response: ResponseContext, words: str | None) -> HelpdeskError:
    """The error for a refusal in these words."""
    plain = " ".join((words or "").lower().split()).rstrip(". ")
    for pattern, cls, message in _MEANINGS:
        if pattern.fullmatch(plain):
            found = _MISSING.fullmatch((words or "").rstrip(". "))
            fields = {found["field"].lower(): (words or "",)} if found else None
            error = response.error(cls, message, words=words, fields=fields)
            error.about_data = cls is not AuthenticationError
            return error
    if response.reply.status == 404:
        unknown = response.error(NotFoundError, "the service does not know this id", words=words)
        unknown.about_data = response.operation.name.endswith(".update")
        return unknown
    if response.reply.status >= 300:
        # Not one of the documented refusals. With a 3xx or 5xx it may have been carried out.
        return response.by_status(words)
    if says_limit(words):
        return response.error(RateLimitedError, "the service asks to slow down", words=words)
    if _OF_CREDENTIALS.search(plain):
        return response.error(AuthenticationError, "the service refused the key", words=words)
    if _BROKE_DOWN.search(plain):
        return response.error(ServerError, "the service reports that it failed", words=words)
    return response.error(RejectedError, "the service refused it", words=words)


# --- what a pull says (section 4) ----------------------------------------------------------------

# Live clients read a text in place of the rows as "none". Only a text that says so is believed:
# an empty answer that was meant as "too much" or "not for you" would be a silent loss.
_WHAT = (
    r"(?:matching )?(?:data|(?:record|ticket|result|customer|order|faq|entr|row|item|enquir)"
    r"(?:s|y|ies|\(s\))?|categor(?:y|ies))"
)
_THERE = r"(?:found|available|present|returned|matched|to (?:show|display)|exists?|existing)"
_IS = r"(?:(?:is|are|was|were|has been|have been|could be) )"
_SAYS_NONE = lazy_pattern(
    rf"(?:sorry, ?)?(?:there {_IS})?(?:no|0|zero) (?:such )?{_WHAT}(?: {_IS}?{_THERE})?"
    rf"|no {_WHAT} match(?:es|ed)? (?:your|the|this) (?:search |selected )?"
    r"(?:search|query|criteria|filters?)"
    rf"|{_WHAT} (?:{_IS}|does |do )?not (?:found|available|present|exist)"
    rf"|(?:could not|couldn't|did not|unable to) find (?:any )?{_WHAT}"
    r"|nothing(?: (?:was|is))?(?: found| to (?:show|display))|none(?: found)?",
)
_OF_WHEN = lazy_pattern(
    r" (?:for|in|within|between|on|of|during|with|matching|against)"
    r" (?:the |this |that |these |your )?"
    r"(?:given |selected |specified |requested |provided |chosen |search |above |entered )?"
    r"(?:dates?|days?|date[- ]range|range|period|time(?: period| range)?|interval|duration"
    r"|(?:search )?criteria|criterion|filters?|search|query|parameters?|conditions?)\Z"
)


def none_said(response: ResponseContext, text: str, status: str | None = None) -> bool:
    """Whether a text in place of rows says that there are none, to the vendor or the tenant.

    Raises:
        UnreadableReplyError: the function given for it raised.
    """
    if says_none(text):
        return True
    if status is None:
        status = _status_text(response.body)
    try:
        return response.words.says_none(text, status or "")
    except Exception as error:
        failed = type(error).__name__
    raise response.unreadable(f"the function says_none= raised {failed}")


def count_in(part: Mapping[str, Any]) -> int | None:
    """The number of rows that an object of a reply names, if it names one."""
    total = part.get("totalCount")
    if isinstance(total, str) and total.isascii() and total.isdecimal() and len(total) < 19:
        total = int(total)
    return total if type(total) is int else None


def is_nothing_found(error: RejectedError, words: VendorWords = DOCUMENTED) -> bool:
    """Whether a refused pull only says that there are no tickets.

    Only a body with HTTP 2xx counts: a 404 page also says "not found".
    """
    if error.status is None or error.status >= 300:
        return False
    said = error.vendor_message or ""
    return says_none(said) or (bool(said) and words.says_none(said, "failed"))


def wants_limit(error: HelpdeskError) -> bool:
    """Whether a pull was refused because it had no limit ("Required, if PaginationEnabled")."""
    return isinstance(error, ValidationError) and "limit" in error.fields


def says_none(text: str) -> bool:
    """Whether a text in place of rows says that there are none."""
    return _SAYS_NONE.fullmatch(_OF_WHEN.sub("", folded(text))) is not None


R = TypeVar("R", bound=WireModel)

PAGE = 100
"""Rows of a page where no limit is given (SERVICE.md, section 8)."""

Found = tuple[list[R], int]
"""Rows of one reply, and how many there are by its own count; 0 if it has none."""

_NO_ROWS = lazy_pattern(r"error|warning|fail|problem", re.IGNORECASE)
_BAD = lazy_pattern(r"error|exception|fail", re.IGNORECASE)
_ASIDE = lazy_pattern(r"pag(e|ing|ination)|meta|links|filter|sort", re.IGNORECASE)
_IDS = frozenset({"id", "leadid", "customer_id", "customerid", "order_id", "orderid", "ticketid"})
_NOTHING: tuple[Any, ...] = (None, "", 0, [], {})  # ``False == 0``


def rows_in(response: ResponseContext, *, skipped: int | None = 0) -> Found[Any]:
    """The rows of a reply of an unknown shape: the only list of objects in its two upper levels.

    A text under ``message`` that says "none", as in a ticket pull, means no rows.

    Args:
        response: the reply.
        skipped: rows that the request left out at the beginning; ``None`` where rows of the
            list came before, so that no rows are an end of it.

    Returns:
        The rows, still undecoded, and the reply's own count (``totalCount``).

    Raises:
        UnreadableReplyError: there is no such list, or more than one, even if empty; something
            else might be the rows; the reply also speaks of a failure; or it has no rows and
            says that there are some.
    """
    body = response.body
    if isinstance(body, list):
        rows, total = _objects(response, [body]), 0
    else:
        rows, total = _rows_of_object(response, body)
    if not rows and skipped is not None and total > skipped:
        raise response.unreadable("the answer holds no rows and says that there are some")
    return rows, total


def _rows_of_object(response: ResponseContext, body: dict[str, Any]) -> tuple[list[Any], int]:
    words = body.get("message", body.get("Message"))
    empty = isinstance(words, str) and none_said(response, words)
    parts = list(_lists_in(body))
    holders = [body, *(holder for holder, _ in parts if holder is not body)]
    marked = claims_success_in(body)
    if any(_fails(holder, marked=marked, none_said=empty) for holder in holders):
        raise response.unreadable("the answer holds rows or none, and also speaks of a failure")
    total = max(count_in(holder) or 0 for holder in holders)
    found = [part for _, part in parts]
    beside = {
        key: value
        for holder in holders
        for key, value in holder.items()
        if isinstance(value, dict) and value and not any(value is one for one in holders)
    }
    if empty and not any(found) and not beside:
        return [], total
    vague = isinstance(words, str) and not (empty or marked) and words.strip()
    if isinstance(words, str) and (not found or (vague and not any(found))):
        raise response.error(
            UnreadableReplyError, "the answer holds a text in place of the rows", words=words
        )
    rows = _objects(response, found)
    # Beside an empty list, an object that is not clearly about the list may be the only row.
    doubtful = [
        part for key, part in beside.items() if _has_id(part) or not (rows or _ASIDE.search(key))
    ]
    if empty or doubtful:
        raise response.unreadable(
            "the answer's rows cannot be told: more than one part may be them"
        )
    return rows, total


def _objects(response: ResponseContext, found: list[list[Any]]) -> list[dict[str, Any]]:
    if len(found) == 1 and all(isinstance(row, dict) for row in found[0]):
        if any(map(is_no_row, found[0])):
            raise response.unreadable("the list holds an object that is not a row")
        return found[0]
    held = "more than one list" if len(found) > 1 else "no list of objects"
    raise response.unreadable(f"the answer's rows cannot be told: it holds {held}")


def _lists_in(body: dict[str, Any], depth: int = 2) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    for key, value in body.items():
        if isinstance(value, list) and not _NO_ROWS.search(key):
            yield body, value
        elif isinstance(value, dict) and depth > 1:
            yield from _lists_in(value, depth - 1)


def _fails(part: dict[str, Any], *, marked: bool, none_said: bool) -> bool:
    """Whether an object reports a failure in another way than by ``status``."""
    for key, value in part.items():
        if _BAD.search(key):
            if value not in _NOTHING:
                return True
            continue
        name, said = key.lower(), str(value).strip().lower()
        if name == "success" and said not in ("true", "success") and not none_said:
            return True
        # No code but HTTP's own is documented to mean success.
        if name == "code" and said not in ("none", "", "200") and not (none_said or marked):
            return True
    return False


def is_no_row(row: dict[str, Any]) -> bool:
    """Whether an object in a list is not a row: it is empty, or an error without an id."""
    speaks = any(_BAD.search(key) and value not in _NOTHING for key, value in row.items())
    return not row or (speaks and not _has_id(row))


def _has_id(part: dict[str, Any]) -> bool:
    return any(key.lower() in _IDS and value not in _NOTHING for key, value in part.items())


class Listed(FetchedWindow[R]):
    """All rows of a list that was read in one or more calls, and the service's own count.

    Args:
        found: returns the rows, and the service's own count.
    """

    def __init__(self, found: Awaitable[Found[R]]) -> None:
        super().__init__(self._take(found))

    async def _take(self, found: Awaitable[Found[R]]) -> list[R]:
        rows, total = await found
        self.total = total or None
        return rows
