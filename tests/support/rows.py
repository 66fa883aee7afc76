"""How a row of the contract table is written, and the nine calls in their usual form."""

from __future__ import annotations

from typing import Any, NamedTuple

from .exchanges import Ask, File, Pairs

LOGIN = "/user/login/"
CATEGORIES = "/support/get/category-list/"
TAGS = "/support/get/ticket/tags/"
CREATE = "/support/create/ticket/"
HISTORY = "/support/get/ticket/history/"
DETAIL = "/support/ticket/detailed-view/"
UPDATE = "/support/update/ticket/"
REPLY = "/support/ticket/conversation/"
STATUS = "/support/ticket/status/"
DOWNLOAD = "/support/ticket/download/"

TICKET: dict[str, str | None] = {
    "subject": "First sample subject",
    "priority": "1",
    "comment": "First sample text",
    "category": "3",
}

# How Django reads an id: as Python reads a number. A `ticket_id` is the service's own check.
HUGE = "9" * 30
ID_TEXTS = ("abc", "1.5", "-1", "0", HUGE, "101x")
ID_BLANKS = ("", "  ")
ID_OTHERS = (" 101 ", "+101", "0101", "\uff11\uff10\uff11")

REQUIRED = "This field is required."
BLANK = "This field may not be blank."
NULL = "This field may not be null."
NOT_PK = "Incorrect type. Expected pk value, received str."
TOO_BIG = "File is too big. Max filesize: 2MiB."
NO_ID = "Ticket id is required and this may not be blank."
BAD_ID = "Ticket id is not valid"
NOT_OWNER = "You are not the owner of the requested ticket"
NO_STATUS = "Status id is required and this may not be blank."
NO_APIKEY = "You do not have permission to perform this action."
NO_TOKEN = "Authentication credentials were not provided."


def unknown_pk(value: str) -> str:
    return f'Invalid pk "{value}" - object does not exist.'


def no_choice(value: str) -> str:
    return f'"{value}" is not a valid choice.'


class Expect(NamedTuple):
    """The documented answer to the last request of a row: ``data``, or else ``errors``."""

    status: int
    data: Any = None
    errors: Any = None


class Row(NamedTuple):
    """Requests that are sent one after the other to an empty service.

    Tickets, conversations and attachments are numbered from 101, 501 and 901. Every answer must be
    the same from both servers; ``expect`` adds what SERVICE.md says of the last.
    """

    name: str
    asks: tuple[Ask, ...]
    expect: Expect | None = None
    limit: int | None = None
    inactive: str = ""


def pairs(fields: dict[str, str | None]) -> Pairs:
    return tuple((name, value) for name, value in fields.items() if value is not None)


def create(*files: File, token: str = "member", **fields: str | None) -> Ask:
    """A create that is accepted, but for the fields named; ``None`` leaves one out."""
    return Ask("POST", CREATE, pairs(TICKET | fields), files, token=token)


def detail(ticket: str = "101", **options: Any) -> Ask:
    fields = (("ticket_id", ticket),)
    return Ask("GET", DETAIL, fields, query=fields, **options)


def history(**query: str) -> Ask:
    return Ask("GET", HISTORY, query=pairs(dict(query)))


def update(*tags: str, ticket_id: str | None = "101", form: str = "multipart", **rest: str) -> Ask:
    fields = pairs({"ticket_id": ticket_id, **rest}) + tuple(("tags", tag) for tag in tags)
    return Ask("POST", UPDATE, fields, form=form)


def reply(*files: File, **fields: str | None) -> Ask:
    usual: dict[str, str | None] = {"ticket": "101", "comment": "Sample reply"}
    return Ask("POST", REPLY, pairs(usual | fields), files)


def status(asked: str | None, ticket: str | None = "101", form: str = "multipart") -> Ask:
    return Ask("POST", STATUS, pairs({"ticket": ticket, "status": asked}), form=form)


def download(attachment: str = "901", **options: Any) -> Ask:
    return Ask("GET", f"{DOWNLOAD}{attachment}/", **options)


def login(username: str | None, password: str | None, **options: Any) -> Ask:
    """A login, which sends no Authorization."""
    fields = pairs({"username": username, "password": password})
    headers = {"Authorization": None} | options.pop("headers", {})
    return Ask("POST", LOGIN, fields, headers=headers, **options)


def refused(**errors: str) -> Expect:
    """HTTP 400 with lists of one text."""
    return Expect(400, errors={name: [text] for name, text in errors.items()})


DONE = Expect(200, {})
FOREIGN = create(token="other")
