"""What all endpoints share: reading a request's body, and refusing it in the vendor's words."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import orjson

from .._core.testing.http import EmulatorReply
from .._core.testing.ledger import Ledger
from .tickets import INDIA, Json, text_of


class Failed(Exception):
    """The request is refused; the text is the vendor's own.

    ``key`` and ``mark`` are the names that the endpoint has for the text and for the status: older
    ones write them with capitals, and Get Customer has a name of its own.
    """

    def __init__(self, words: str, *, key: str = "message", mark: str = "status") -> None:
        super().__init__(words)
        self.body: Json = {key: words, mark: "failed"}


@attrs.frozen(kw_only=True)
class EndpointContext:
    """What an endpoint needs of its emulator: the ledger, the clock, and how it answers."""

    ledger: Ledger
    now: Callable[[], float]
    empty_pull_status: str
    pull_days: int
    pagination: int | None = None
    """Rows that a pull may ask for at most; it must ask for a limit then."""

    def limit(self, payload: Mapping[str, Any]) -> int | None:
        """The limit of a pull. "Required field, if PaginationEnabled" (new facts, seed 001)."""
        limit = whole_number(payload.get("limit"))
        if self.pagination is None:
            return limit
        if not limit:
            raise Failed("limit is missing")
        if limit > self.pagination:  # a decision: the words are unknown
            raise Failed(f"limit must not exceed {self.pagination}")
        return limit

    def rows(self, rows: list[Json]) -> Json:
        """The reply to a pull. A text in place of rows means "nothing found" (section 4)."""
        if not rows:
            return {"message": "No Data found", "status": self.empty_pull_status}
        return {"message": rows, "status": "success"}

    def days(self, first: str, last: str) -> tuple[dt.date, dt.date]:
        """The days that a pull asks for; it may touch so many, and no more."""
        try:
            start, end = (dt.datetime.strptime(text, "%Y-%m-%d").date() for text in (first, last))
        except ValueError:
            raise Failed("Invalid Json.") from None
        if (end - start).days >= self.pull_days:
            # The rule is documented (section 4), its message is not: the table's own words.
            raise Failed("Also at one hit we can pull a data of max 24 hours.")
        return start, end


def decoded(body: bytes) -> Any:
    """Return the JSON of a body."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Failed("Invalid Json.") from None


def single(body: Any) -> Json:
    """Return the one object of a body: bare, or alone in an array; both are taken (section 15).

    It is unknown what the server does with more than one element. The emulator refuses them, so
    that no client comes to rely on either answer.
    """
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        raise Failed("Invalid Json.")
    return body


def bare(body: Any) -> Json:
    """Return a body that must be an object: whether these endpoints take an array is unknown."""
    if not isinstance(body, dict):
        raise Failed("Invalid Json.")
    return body


def in_array(body: Any, **names: str) -> Json:
    """Return the object of a body that must be an array of one."""
    if not (isinstance(body, list) and len(body) == 1 and isinstance(body[0], dict)):
        raise Failed("Invalid Json.", **names)
    return body[0]


def whole_number(value: Any) -> int | None:
    """Return a limit or offset, which is sent as a number or as text (section 4)."""
    text = text_of(value)
    if not text:
        return None
    if not text.isdecimal():
        raise Failed("Invalid Json.")
    return int(text)


def object_in(payload: Mapping[str, Any], name: str) -> Json:
    """Return an object of a body; nothing counts as an empty one."""
    value = payload.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Failed("Invalid Json.")
    return value


def india_day(timestamp: float) -> dt.date:
    """Return the day of the service's calendar."""
    return dt.datetime.fromtimestamp(timestamp, INDIA).date()


def basic(username: str, password: str) -> str:
    """Return the Authorization value of a user and a password."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def tomcat_page(status: int, *headers: tuple[str, str]) -> EmulatorReply:
    """Return the error page of the application server: HTML with an en dash in its title."""
    phrase = {404: "Not Found", 405: "Method Not Allowed", 415: "Unsupported Media Type"}[status]
    page = (
        f'<!doctype html><html lang="en"><head><title>HTTP Status {status} \u2013 {phrase}</title>'
        f'</head><body><h1>HTTP Status {status} \u2013 {phrase}</h1><hr class="line" />'
        "<p><b>Type</b> Status Report</p><h3>Apache Tomcat</h3></body></html>"
    )
    return EmulatorReply(status, page.encode(), "text/html;charset=utf-8", headers)
