"""The forms of the ticket calls, field for field, and what may be given as a ticket."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from kapture_async._core.transport.request import Attachment, Form, form_body
from support_async import InvalidInputError, NewTicket
from support_async.tickets.models import (
    create_form,
    detail_form,
    reply_form,
    status_form,
    ticket_of,
    update_form,
)
from support_async.tickets.push import ticket_from

from .made import TICKET

FILE = Attachment("a.txt", b"x")


@pytest.mark.parametrize(
    ("form", "fields", "files"),
    [
        (
            create_form(NewTicket(**TICKET), None),
            [
                ("subject", "First sample subject"),
                ("priority", "1"),
                ("comment", "First sample text"),
                ("category", "3"),
            ],
            [],
        ),
        (
            create_form(NewTicket(subject=" s ", comment="c\r\n", category=4, priority=2), FILE),
            [("subject", " s "), ("priority", "2"), ("comment", "c\r\n"), ("category", "4")],
            [("attachment", FILE)],
        ),
        (
            update_form("7", ("1", "2"), None),
            [("ticket_id", "7"), ("tags", "1"), ("tags", "2")],
            [],
        ),
        (update_form("7", ("1",), "3"), [("ticket_id", "7"), ("priority", "3"), ("tags", "1")], []),
        (reply_form("7", "c", None), [("ticket", "7"), ("comment", "c")], []),
        (reply_form("7", "c", FILE), [("ticket", "7"), ("comment", "c")], [("attachment", FILE)]),
        (status_form("7", "3"), [("ticket", "7"), ("status", "3")], []),
        (detail_form("7"), [("ticket_id", "7")], []),
    ],
)
def test_forms_field_for_field(form: Form, fields: Any, files: Any) -> None:
    assert list(form.fields) == fields
    assert list(form.files) == files
    body = b"".join(form_body(form).segments)
    assert re.findall(rb'form-data; name="([a-z_]+)"', body) == [
        name.encode() for name, _ in fields + files
    ]


def test_a_ticket_whole_or_by_its_fields() -> None:
    whole = NewTicket(**TICKET)
    nothing = dict.fromkeys(("subject", "comment", "category", "priority", "attachment"))
    assert ticket_of(whole, nothing) is whole
    assert ticket_of(None, nothing | TICKET) == whole
    with pytest.raises(InvalidInputError, match="either a whole ticket or its fields"):
        ticket_of(whole, nothing | {"attachment": b""})
    with pytest.raises(InvalidInputError, match="a ticket is a NewTicket, not dict"):
        ticket_of({"subject": "x"}, nothing)  # type: ignore[arg-type]
    for name in ("subject", "comment", "category", "priority"):
        with pytest.raises(InvalidInputError, match=f"{name} is missing") as caught:
            ticket_of(None, nothing | TICKET | {name: None})
        assert dict(caught.value.fields) == {name: ("is missing",)}


class Broken(Mapping[str, Any]):
    """A mapping with a defect of its own."""

    def __getitem__(self, name: str) -> Any:
        raise OSError("canary")

    def __iter__(self) -> Iterator[str]:
        return iter(TICKET)

    def __len__(self) -> int:
        return len(TICKET)


def test_rows_of_a_push() -> None:
    whole = NewTicket(**TICKET)
    assert ticket_from(whole) is whole
    assert ticket_from(dict(TICKET)) == whole
    assert ticket_from(MappingProxyType(TICKET)) == whole
    assert ticket_from({**TICKET, "attachment": None}) == whole


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (None, "a row must be a NewTicket or a mapping, not NoneType"),
        ("text", "a row must be a NewTicket or a mapping, not str"),
        ([("subject", "x")], "a row must be a NewTicket or a mapping, not list"),
        ({}, "subject is missing"),
        ({**TICKET, "title": "x"}, "a ticket has no field 'title'; its fields are subject"),
        ({**TICKET, 7: "x"}, "a ticket has no field '7'"),
        ({**TICKET, "x" * 500: "x"}, "a ticket has no field"),
        ({**TICKET, "subject": None}, "subject must be text, not NoneType"),
        ({**TICKET, "attachment": 7}, "the attachment must be a path, bytes or an open binary"),
        (Broken(), r"the row cannot be read \(OSError\)"),
    ],
)
def test_rows_that_make_no_ticket(row: Any, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        ticket_from(row)
    assert len(str(caught.value)) < 300
    assert "canary" not in str(caught.value)


def test_text_that_is_no_unicode_is_refused_before_sending() -> None:
    with pytest.raises(InvalidInputError, match="not valid Unicode"):
        form_body(reply_form("7", "\ud800", None))


# --- whose path it is --------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["/etc/passwd", "file.txt", ("a.txt", "/etc/passwd")])
def test_a_text_in_a_mapping_is_no_path(given: Any) -> None:
    """A mapping may be a stranger's, who must not have any file of this machine sent."""
    row = {"subject": "s", "comment": "c", "category": "3", "priority": "1", "attachment": given}
    for build in (NewTicket.from_mapping, ticket_from):
        with pytest.raises(InvalidInputError, match="not taken for a path") as caught:
            build(row)
        assert "give a Path" in caught.value.next_step
        assert list(caught.value.fields) == ["attachment"]
        assert "passwd" not in str(caught.value)


@pytest.mark.parametrize("given", ["file.txt", ("a.txt", "file.txt")])
def test_the_caller_s_own_text_is_a_path(given: Any) -> None:
    fields = {"subject": "s", "comment": "c", "category": "3", "priority": "1", "attachment": given}
    ticket = NewTicket(**fields)
    assert ticket.attachment == ticket_of(None, fields).attachment == given
    assert ticket_from(ticket) is ticket


@pytest.mark.parametrize("given", [Path("file.txt"), b"x", ("a.txt", b"x"), ("a", Path("b"))])
def test_a_mapping_may_hold_any_other_attachment(given: Any) -> None:
    row = {"subject": "s", "comment": "c", "category": "3", "priority": "1", "attachment": given}
    assert ticket_from(row).attachment == given
