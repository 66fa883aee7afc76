"""The views over what comes back, and what goes out."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

import orjson
import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from kapture_async import (
    AddedTicket,
    InvalidInputError,
    NewTicket,
    Ticket,
    TicketDetail,
    TicketRow,
    UpdatedTicket,
)
from kapture_async._api import INDIA, codec_of, format_moment, parse_moment
from kapture_async._core.codec import Codec, WireModel, _known_keys, wire_fields

CODEC = codec_of(INDIA)
MODELS: list[type[WireModel]] = [AddedTicket, UpdatedTicket, Ticket, TicketRow, TicketDetail]


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=INDIA)  # type: ignore[misc,arg-type]


def test_the_added_ticket(sample: Any) -> None:
    body = sample("kapture/add_ticket.response")
    added = CODEC.decode(body, AddedTicket)
    assert added.ticket_id == "713516551148"
    assert added.title == "TEST 1"
    assert added.customer_id == ""
    assert added.due_at == at(2024, 4, 19, 14, 19, 11)
    assert added.url is not None
    assert added.url.startswith("https://devapi.kapturecrm.com/")
    assert (added.problems, added.extra, added.associate_fields) == ((), {}, {})
    ticket = added.ticket
    assert ticket is not None
    assert len(ticket.raw) == 58
    assert (ticket.problems, ticket.extra) == ((), {})
    assert ticket.status_code == "P"
    assert ticket.status_label == "Pending"
    assert ticket.sub_status_code == "US"
    assert ticket.sub_status_label == "Unattended"
    assert ticket.task_id == "530348198"
    assert ticket.last_conversation_at == datetime(2024, 4, 19, 8, 49, 11, 152000, UTC)
    assert ticket.folders == ["Inbox"]
    assert ticket.is_escalated is True
    assert CODEC.encode(added) == body


def test_the_updated_ticket(sample: Any) -> None:
    body = sample("kapture/update_ticket.response")
    updated = CODEC.decode(body, UpdatedTicket)
    assert updated.message == "Status and Comment have been updated."
    assert updated.ticket_id == "713516551148"
    ticket = updated.ticket
    assert ticket is not None
    assert len(ticket.raw) == 57
    assert (ticket.problems, ticket.extra) == ((), {})
    assert ticket.assignee_phone is None  # the one key that is not there
    assert ticket.assignee_name == "Example API's"
    assert CODEC.encode(updated) == body


def test_the_pulled_row(sample: Any) -> None:
    body = sample("kapture/pull_tickets_by_date_range.response")["message"][0]
    row = CODEC.decode(body, TicketRow)
    assert len(row.raw) == 44
    assert (row.problems, row.extra) == ((), {})
    assert row.ticket_id == "713516551148"
    assert row.status_label == "Pending"
    assert row.sub_status_code == "PS"
    assert row.created_at == at(2024, 4, 19, 14, 19)
    assert row.last_conversation_at == at(2024, 4, 19, 14, 19)
    assert row.end_at is None
    assert row.creator_name == "Example API's"
    assert row.raw["creatorName"] == "Example API&apos;s"
    assert row.out_of_sla is True
    assert row.folders == ["Inbox"]
    assert CODEC.encode(row) == body


def test_the_ticket_as_get_gives_it(sample: Any) -> None:
    body = sample("kapture/get_ticket.response.partial")[0]
    body["task_details"] |= {"ticketId": 713516551148, "disposition": "A|B | C", "new": 1}
    detail = CODEC.decode(body, TicketDetail)
    assert detail.ticket_id == "713516551148"
    assert detail.created_at == at(2024, 4, 19, 14, 19)
    assert detail.folders == ["A", "B", "C"]
    assert detail.problems == ()
    assert CODEC.encode(detail) == body


def test_one_meaning_has_one_name() -> None:
    shared = {"ticket_id", "title", "status_label", "sub_status_label", "created_at", "end_at"}
    for model in (Ticket, TicketRow, TicketDetail):
        assert shared <= {name for name in dir(model) if not name.startswith("_")}
    for name in ("sub_status_code", "conversation_count", "merged_into", "last_conversation_at"):
        assert hasattr(Ticket, name)
        assert hasattr(TicketRow, name)


def test_integers_of_another_program_that_reads_tickets() -> None:
    row = CODEC.decode(
        {
            "ticketId": 7,
            "priority": 0,
            "folderId": 12,
            "referenceId": 9007199254740993,
            "lastConvesationTime": 1713516540000,
        },
        TicketRow,
    )
    assert (row.priority, row.folder_id, row.reference_id) == ("0", "12", "9007199254740993")
    assert row.last_conversation_at == at(2024, 4, 19, 14, 19)
    assert row.problems == ()
    assert row.raw["priority"] == 0
    detail = CODEC.decode({"task_details": {"ticketId": 7, "priority": 3}}, TicketDetail)
    assert (detail.priority, detail.problems) == ("3", ())
    ticket = CODEC.decode({"ticketId": "7", "priority": 2, "enquiryId": 5, "folderId": 1}, Ticket)
    assert (ticket.priority, ticket.enquiry_id, ticket.folder_id) == (2, "5", "1")
    assert ticket.problems == ()


@pytest.mark.parametrize("value", [True, 1.5, ["low"]])
def test_a_priority_that_is_no_code(value: Any) -> None:
    row = CODEC.decode({"ticketId": 7, "priority": value}, TicketRow)
    assert row.priority is None
    assert row.problems[0].startswith("priority: expected a code, found")


def test_a_wrong_type_is_kept_and_named_and_never_cast() -> None:
    body = {
        "ticketId": 713516551148,
        "date": "yesterday",
        "status": None,
        "customer_rating": 7.9,
        "total_conversations": "12",
        "taskTitle": ["x"],
        "additional_info": "null",
        "attachments": {},
        "phone": 919876543210,
        "brandNew": {"a": 1},
    }
    row = CODEC.decode(body, TicketRow)
    assert row.ticket_id == "713516551148"
    assert row.phone == "919876543210"
    assert row.conversation_count == 12
    assert (row.created_at, row.status_label, row.customer_rating, row.title) == (None,) * 4
    assert sorted(row.problems) == [
        "additional_info: expected an object, found text",
        "attachments: expected a list, found an object",
        "customer_rating: expected a whole number, found a number",
        "date: not a date in a known style",
        "taskTitle: expected text, found a list",
    ]
    assert row.extra == {"brandNew": {"a": 1}}
    assert row.raw is body


@pytest.mark.parametrize(
    ("value", "seen"), [(True, True), ("false", False), ("True", True), ("no", None), (1, None)]
)
def test_flags_are_not_guessed(value: Any, seen: bool | None) -> None:
    ticket = CODEC.decode({"isUnread": value}, Ticket)
    assert ticket.is_unread is seen
    assert bool(ticket.problems) == (seen is None)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@given(data=st.data())
def test_any_object_decodes_and_encodes_back_equal(model: type[WireModel], data: Any) -> None:
    keys = sorted(_known_keys(model))
    body = data.draw(st.dictionaries(st.sampled_from(keys) | st.text(), json_values, max_size=12))
    before = copy.deepcopy(body)
    view = CODEC.decode(body, model)
    assert CODEC.encode(view) == before
    assert set(view.extra) == set(body) - set(keys)
    # Field by field, in any order, is the same as all together.
    whole = CODEC.decode(body, model)
    problems = whole.problems
    names = [name for name, _, _ in wire_fields(model)]
    alone = {name: getattr(view, name) for name in data.draw(st.permutations(names))}
    assert alone == {name: getattr(whole, name) for name in names}
    assert view.problems == problems
    again = pickle.loads(pickle.dumps(CODEC.decode(body, model)))
    assert {name: getattr(again, name) for name in names} == alone
    assert again.problems == problems


def test_a_field_is_read_when_it_is_asked_for_and_then_stays(sample: Any) -> None:
    moments: list[Any] = []

    def parse(value: Any, zone: tzinfo) -> datetime | None:
        moments.append(value)
        return parse_moment(value, zone)

    view = Codec(INDIA, parse).decode({"due_date": "2024-04-19 14:19", "title": 7}, AddedTicket)
    assert moments == []
    assert view.due_at is view.due_at is not None
    assert moments == ["2024-04-19 14:19"]
    assert view.title is None
    assert view.problems == ("title: expected text, found a number",)


def test_a_view_has_no_fields_of_another_kind() -> None:
    @define(eq=False, repr=False)
    class Mine(TicketRow):
        note: str = "mine"

    with pytest.raises(TypeError, match=r"Mine has fields that are none of wire\(\): {'note'}"):
        CODEC.decode({}, Mine)


@pytest.mark.parametrize("name", ["tikcet_id", "__array__", "_repr_html_", "raw_"])
def test_what_a_view_does_not_have(name: str) -> None:
    view = CODEC.decode({}, TicketRow)
    assert not hasattr(view, name)
    with pytest.raises(AttributeError, match=f"'TicketRow' has no attribute '{name}'"):
        getattr(view, name)
    with pytest.raises(AttributeError):
        object.__new__(TicketRow).title  # noqa: B018 - half made, as a debugger may show it


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_views_compare_copy_and_pickle_and_show_no_personal_data(
    model: type[WireModel], sample: Any
) -> None:
    body = {"ticketId": "1", "taskTitle": "private words", "email": "user@example.com"}
    view = CODEC.decode(body, model)
    assert view == CODEC.decode(dict(body), model)
    assert view != CODEC.decode({}, model)
    assert pickle.loads(pickle.dumps(view)) == view
    assert copy.copy(view) == view
    assert "private" not in repr(view)
    assert "example.com" not in repr(view)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024-04-19 14:19:11", at(2024, 4, 19, 14, 19, 11)),
        ("2024-04-19 14:19", at(2024, 4, 19, 14, 19)),
        ("19-04-2024 14:19", at(2024, 4, 19, 14, 19)),
        (" 19-04-2024 14:19:30 ", at(2024, 4, 19, 14, 19, 30)),
        (1713516551152, datetime(2024, 4, 19, 8, 49, 11, 152000, UTC)),
        ("May 2, 2024 4:15:42 PM", at(2024, 5, 2, 16, 15, 42)),
        ("May 2, 2024 4:15:42\u202fPM", at(2024, 5, 2, 16, 15, 42)),
        ("Dec 31, 2024 12:00:00 AM", at(2024, 12, 31, 0, 0, 0)),
        ("", None),
        ("  ", None),
        (0, None),
    ],
)
def test_every_date_style_of_the_service(value: Any, moment: datetime | None) -> None:
    assert parse_moment(value, INDIA) == moment


@pytest.mark.parametrize(
    "value", ["x", "32-13-2024 14:19", "Foo 2, 2024 4:15:42 PM", True, 1.5, []]
)
def test_what_is_no_date(value: Any) -> None:
    with pytest.raises(ValueError):
        parse_moment(value, INDIA)


@given(st.datetimes(min_value=datetime(1000, 1, 1)))
def test_a_moment_written_is_a_moment_read(value: datetime) -> None:
    zone = timezone(timedelta(hours=-3))
    moment = value.replace(microsecond=0, tzinfo=zone)
    assert parse_moment(format_moment(moment, zone), zone) == moment


def test_a_new_ticket_goes_out_by_its_wire_names() -> None:
    ticket = NewTicket(
        title="T",
        ticket_details="D",
        due_date=datetime(2024, 4, 19, 8, 49, 11, tzinfo=UTC),
        email_id="user@example.com",
        extra={"webform": [{"a b/(c)\\": "", "when": date(2024, 4, 19), "deep": {"n": None}}]},
    )
    assert CODEC.encode(ticket.to_wire()) == {
        "title": "T",
        "ticket_details": "D",
        "due_date": "2024-04-19 14:19:11",
        "email_id": "user@example.com",
        "webform": [{"a b/(c)\\": "", "when": "2024-04-19", "deep": {"n": None}}],
    }
    assert NewTicket.from_mapping(ticket.to_wire()) == ticket
    assert pickle.loads(pickle.dumps(ticket)) == ticket
    assert "example.com" not in repr(ticket)


@given(
    st.dictionaries(
        st.sampled_from(["title", "ticket_details", "due_date", "email_id", "queue"])
        | st.text(max_size=3)
        | st.integers(),
        st.none() | st.text(max_size=3) | st.integers() | st.dates(),
    )
)
def test_a_mapping_is_the_same_body_in_one_step_and_in_two(row: dict[Any, Any]) -> None:
    def made(make: Any) -> Any:
        try:
            return make()
        except InvalidInputError as error:
            return error.message, error.fields

    assert made(lambda: NewTicket.wire_of(row)) == made(
        lambda: NewTicket.from_mapping(row).to_wire()
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"title": ""}, "title is blank"),
        ({"title": " \n"}, "title is blank"),
        ({"title": None}, "title must be text"),
        ({"title": 7}, "title must be text, not int"),
        ({"title": "T", "ticket_details": 7}, "ticket_details must be text"),
        ({"title": "T", "email_id": float("inf")}, "email_id must be text, not float"),
        ({"title": "T", "due_date": 7}, "due_date must be text or a date"),
        ({"title": "T", "extra": {"title": "X"}}, "given twice"),
        ({"title": "T", "extra": {1: "X"}}, "text keys"),
    ],
)
def test_bad_input_is_named_before_anything_is_sent(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        NewTicket(**given)


def test_a_mapping_needs_a_title() -> None:
    with pytest.raises(InvalidInputError, match="title is missing"):
        NewTicket.from_mapping({"ticket_details": "x"})


@pytest.mark.parametrize("value", [float("inf"), [{"deep": float("-inf")}]])
def test_numbers_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="not finite"):
        CODEC.encode({"x": value})


def test_cattrs_traps_are_closed() -> None:
    structure = CODEC.converter.structure
    for value, kind in [
        (None, str),
        (3, str),
        ("false", bool),
        (1, bool),
        (7.9, int),
        ("7", int),
        (True, int),
        ("1.5", float),
    ]:
        with pytest.raises(InvalidInputError):
            structure(value, kind)
    assert structure("x", str) == "x"
    assert structure(7, int) == 7
    assert structure(True, bool) is True
    assert structure(7, float) == 7.0
    # An unknown key does not vanish.
    assert structure({"brandNew": 1}, TicketRow).extra == {"brandNew": 1}


def test_large_numbers_keep_their_digits(sample: Any) -> None:
    raw = b'{"ticketId": 713516551148713516, "taskId": 9007199254740993}'
    row = CODEC.decode(orjson.loads(raw), TicketRow)
    assert (row.ticket_id, row.task_id) == ("713516551148713516", "9007199254740993")
