"""Where Kapture is and what it offers: addresses, operations, dates.

Each fact names its section of ``SERVICE.md``. Each body is wrapped as the samples show it.
``marks_success`` is False where the success reply was seen without a ``status``, or was never seen
and the call changes nothing; the resource then checks the reply itself.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

from ._core.codec import Codec
from ._core.errors import AuthenticationError, ConfigurationError, InvalidInputError
from ._core.lazy import lazy_pattern
from ._core.response import Advice
from ._core.transport.request import MEBI, Operation
from ._core.transport.urls import BaseUrl, check_subdomain, parse_base_url

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


# --- dates and time zone (section 20) ------------------------------------------------------------

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_ENGLISH = lazy_pattern(
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


_COMPACT = lazy_pattern(r"(?:19|20|21)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
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


ADD_CUSTOMER: Final = Operation(
    name="customers.add",
    path="/ms/customer/customer/api/v1/add-update",
    effect="write",
    api="add_customer",
    wrap="object",
)
UPDATE_CUSTOMER: Final = Operation(
    name="customers.update",
    path="/ms/customer/customer/api/v1/add-update",
    effect="write",
    api="update_customer",
    wrap="object",
)
GET_CUSTOMER: Final = Operation(
    name="customers.get",
    path="/search-customer-by-customer-id.html",
    effect="read",
    api="get_customer",
    wrap="array",
    reply_cap=64 * MEBI,
    marks_success=False,  # the sample has no status; a live client reads one (section 7)
)
PULL_CUSTOMERS: Final = Operation(
    name="customers.pull",
    path="/select-customer-between-start-and-end-dates.html",
    effect="read",
    api="pull_customers",
    wrap="object",
    reply_cap=256 * MEBI,
    marks_success=False,  # no reply was seen (section 8)
)
ADD_ORDER: Final = Operation(
    name="orders.add",
    path="/ms/customer/order/api/v1/add-update",
    effect="write",
    api="add_order",
    wrap="object",
)
UPDATE_ORDER: Final = Operation(
    name="orders.update",
    path="/ms/customer/order/api/v1/add-update",
    effect="write",
    api="update_order",
    wrap="object",
)
PULL_ORDERS: Final = Operation(
    name="orders.pull",
    path="/ms/customer-search/order-search/api/v1/pull-internal",
    effect="read",
    api="pull_orders",
    wrap="object",
    reply_cap=256 * MEBI,
    marks_success=False,  # no reply was seen (section 11)
)
FAQ_CONTENTS: Final = Operation(
    name="faqs.contents",
    path="/get-faq-contents.html",
    effect="read",
    api="get_faqs",
    wrap="array",
    reply_cap=64 * MEBI,
    marks_success=False,  # the sample has no status (section 12)
)
FAQ_CATEGORIES: Final = Operation(
    name="faqs.categories",
    path="/get-all-faq-categories.html",
    effect="read",
    api="faq_categories",
    wrap="form",  # an empty one (section 13)
    reply_cap=64 * MEBI,
    marks_success=False,  # two scripts read it, none of them a status (section 13)
)

OPERATIONS: Final = (
    *(ADD_CUSTOMER, UPDATE_CUSTOMER, GET_CUSTOMER, PULL_CUSTOMERS),
    *(ADD_ORDER, UPDATE_ORDER, PULL_ORDERS, FAQ_CONTENTS, FAQ_CATEGORIES),
)
"""All of them."""
