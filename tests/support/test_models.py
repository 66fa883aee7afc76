"""The views over what comes back, and what goes out."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapture_async._core.codec import Codec, WireModel, _known_keys
from support_async import (
    Category,
    Conversation,
    CreatedTicket,
    InvalidInputError,
    NewTicket,
    Priority,
    Secret,
    Status,
    Tag,
    TicketAttachment,
    TicketDetail,
    TicketRow,
    Tokens,
    UnreadableReplyError,
)

from .made import TICKET

CODEC = Codec()
MODELS: list[type[WireModel]] = [
    Category,
    Tag,
    TicketRow,
    TicketDetail,
    Conversation,
    TicketAttachment,
]


@pytest.fixture
def data(sample: Any) -> Any:
    """The ``data`` of a sample answer."""
    return lambda name: sample(f"support/{name}.response")["data"]


def decoded(body: dict[str, Any], model: type[WireModel]) -> Any:
    """The view, after a look whether anything was lost."""
    before = copy.deepcopy(body)
    view = CODEC.decode(body, model)
    assert CODEC.encode(view) == before
    assert view.raw is body
    return view


def test_categories_and_tags(data: Any) -> None:
    first, second = (decoded(row, Category) for row in data("category_list")["CategoryList"])
    assert (first.category_id, first.title, first.description) == (
        "3",
        "Sample category A",
        "Neutral description A",
    )
    assert (second.category_id, second.description) == ("4", "")
    tag, _ = (decoded(row, Tag) for row in data("tag_list")["TicketTagList"])
    assert (tag.tag_id, tag.title, tag.keyword) == ("1", "Sample tag A", "sample-a")
    for view in (first, second, tag):
        assert (view.problems, dict(view.extra)) == ((), {})


def test_rows_of_the_history(data: Any) -> None:
    newer, older = (decoded(row, TicketRow) for row in data("ticket_history")["TicketList"])
    assert (newer.ticket_id, newer.subject) == ("102", "Second sample subject")
    assert (newer.category, newer.category_title) == ("4", "Sample category B")
    assert (newer.priority, newer.comment) == (Priority.HIGH, "Second sample text")
    assert older.ticket_id == "101"
    for row in (newer, older):
        assert (row.problems, dict(row.extra)) == ((), {})
        assert row.is_closed is (row.status == Status.CLOSED)


def test_the_detail(data: Any) -> None:
    ticket = decoded(data("detailed_view"), TicketDetail)
    assert (ticket.ticket_id, ticket.subject, ticket.comment) == (
        "101",
        "First sample subject",
        "First sample text",
    )
    assert (ticket.category, ticket.priority, ticket.status, ticket.is_closed) == (
        "3",
        Priority.LOW,
        Status.PROCESSING,
        False,
    )
    assert (ticket.tags, ticket.author) == (["1", "2"], "member@example.com")
    assert [
        (c.conversation_id, c.ticket_id, c.comment, c.author) for c in ticket.conversations
    ] == [
        ("501", "101", "Sample reply", "member@example.com"),
        ("502", "101", "Sample answer", "agent@example.com"),
    ]
    assert [(a.attachment_id, a.conversation_id) for a in ticket.attachments] == [
        ("901", "501"),
        ("902", None),
    ]
    assert (ticket.problems, dict(ticket.extra)) == ((), {})


def test_ids_and_codes_are_text_whatever_the_wire_has() -> None:
    for body in (
        {"id": 7, "category": 3, "priority": "1", "status": "3"},
        {"id": "7", "category": "3", "priority": 1, "status": 3},
    ):
        row = decoded(body, TicketRow)
        assert (row.ticket_id, row.category, row.priority, row.status) == ("7", "3", "1", "3")
        assert (row.is_closed, row.problems) == (True, ())
    assert decoded({"id": 0}, Tag).tag_id == "0"
    assert decoded(orjson.loads(b'{"id": 9007199254740993}'), Tag).tag_id == "9007199254740993"


def test_unknown_codes_stay_readable() -> None:
    row = decoded({"id": 1, "priority": "9", "status": "on hold"}, TicketRow)
    assert (row.priority, row.status, row.is_closed, row.problems) == ("9", "on hold", False, ())


def test_a_wrong_type_is_kept_and_named_and_never_cast() -> None:
    row = decoded(
        {
            "id": 1,
            "subject": 7,
            "priority": True,
            "category": {"id": 3},
            "category_title": None,
            "comment": ["x"],
            "status": None,
            "created_at": "2024-04-19",
        },
        TicketRow,
    )
    assert [row.subject, row.priority, row.category, row.comment] == [None] * 4
    assert row.problems == (
        "subject: expected text, found a number",
        "priority: expected an id, found true or false",
        "category: expected an id, found an object",
        "comment: expected text, found a list",
    )
    assert row.extra == {"created_at": "2024-04-19"}


def test_a_detail_of_odd_parts() -> None:
    body = {
        "ticket": {"id": "101", "tags": [1, "2", None, {"id": 3}], "colour": "red"},
        "author": {"email": "x"},
        "conversations": {"id": 5, "ticket": 101, "comment": "alone", "mood": 1},
        "attachments": [{"id": 9}, 7, None],
        "more": 1,
    }
    ticket = decoded(body, TicketDetail)
    assert ticket.tags == ["1", "2"]
    assert ticket.author is None
    assert [c.comment for c in ticket.conversations] == ["alone"]  # one alone may stand bare
    assert dict(ticket.conversations[0].extra) == {"mood": 1}
    assert [(a.attachment_id, a.conversation_id) for a in ticket.attachments] == [("9", None)]
    assert sorted(ticket.problems) == [
        "author: expected text, found an object",
        "conversations: expected a list, found an object",
        "tags: expected an id, found an object",
    ]
    assert dict(ticket.extra) == {"more": 1}
    assert ticket.raw["ticket"]["colour"] == "red"


@pytest.mark.parametrize("part", [None, [], "x", 7, {}, {"id": ""}])
def test_a_detail_without_its_ticket_is_none(part: Any) -> None:
    with pytest.raises(UnreadableReplyError, match="a ticket without an id"):
        decoded({"ticket": part}, TicketDetail)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("missing", [None, "", 1.5, True, [1], {"id": 1}], ids=repr)
def test_nothing_is_without_its_id(model: type[WireModel], missing: Any) -> None:
    for body in ({"id": missing, "ticket": {"id": missing}}, {}):
        with pytest.raises(UnreadableReplyError, match=r"the answer holds an? \w+ without an id"):
            CODEC.decode(body, model)


@pytest.mark.parametrize(
    ("parts", "words"),
    [({"conversations": [{}]}, "a reply"), ({"attachments": [{"id": None}]}, "an attachment")],
)
def test_neither_is_a_part_of_a_detail(parts: Any, words: str) -> None:
    with pytest.raises(UnreadableReplyError, match=f"holds {words} without an id"):
        CODEC.decode({"ticket": {"id": 1}, **parts}, TicketDetail)


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
@settings(max_examples=40)
@given(data=st.data())
def test_any_object_decodes_and_encodes_back_equal(model: type[WireModel], data: Any) -> None:
    keys = sorted(_known_keys(model))
    body = data.draw(st.dictionaries(st.sampled_from(keys) | st.text(), json_values, max_size=8))
    try:
        view = decoded(body, model)
    except UnreadableReplyError:
        body |= {"id": 1, "ticket": {"id": 1}, "conversations": [{"id": 1}], "attachments": None}
        view = decoded(body, model)
    assert set(view.extra) == set(body) - set(keys)
    repr(view)
    if isinstance(view, TicketDetail):
        assert all(isinstance(part, Conversation) for part in view.conversations)
        assert all(isinstance(part, TicketAttachment) for part in view.attachments)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_views_compare_copy_and_pickle_and_show_no_personal_data(model: type[WireModel]) -> None:
    names = ("subject", "comment", "author", "description", "keyword", "category_title")
    words = dict.fromkeys(names, "private user@example.com")
    part = {"id": 1, **words}
    body = {"id": 1, "ticket": part, "conversations": [part], **words}
    view = CODEC.decode(body, model)
    assert view == CODEC.decode(dict(body), model)
    assert view != CODEC.decode({"id": 1, "ticket": {"id": 1}}, model)
    assert pickle.loads(pickle.dumps(view)) == view
    assert copy.copy(view) == view
    assert copy.deepcopy(view) == view
    assert "private" not in repr(view)
    assert "example.com" not in repr(view)


def test_one_meaning_has_one_name() -> None:
    shared = {"ticket_id", "subject", "priority", "category", "comment", "status", "is_closed"}
    for model in (TicketRow, TicketDetail):
        assert shared <= {name for name in dir(model) if not name.startswith("_")}
    assert hasattr(Conversation, "ticket_id")
    assert hasattr(TicketAttachment, "conversation_id")


def test_the_codes_are_those_of_the_wire() -> None:
    assert (Priority.LOW, Priority.MEDIUM, Priority.HIGH) == ("1", "2", "3")
    assert (Status.OPEN, Status.PROCESSING, Status.CLOSED) == ("1", "2", "3")


# What goes out.


def test_a_new_ticket() -> None:
    ticket = NewTicket(subject=" S ", comment="C\r\n", category=3, priority=Priority.HIGH)
    assert (ticket.subject, ticket.comment) == (" S ", "C\r\n")
    assert (ticket.category, ticket.priority, ticket.attachment) == ("3", "3", None)
    assert NewTicket.from_mapping({**TICKET, "subject": " S "}) != ticket
    assert ticket == NewTicket(subject=" S ", comment="C\r\n", category="03", priority=3)
    assert pickle.loads(pickle.dumps(ticket)) == ticket
    assert hash(ticket) == hash(copy.copy(ticket))
    with pytest.raises(AttributeError):
        ticket.subject = "other"  # type: ignore[misc]


def test_a_new_ticket_shows_no_text_and_no_file() -> None:
    secret = Path("/home/private/name.txt")
    for file in (secret, ("private", b"private"), b"private"):
        ticket = NewTicket(
            subject="private", comment="private", category=3, priority=1, attachment=file
        )
        assert repr(ticket) == "<NewTicket category='3' priority='1', with a file>"
    assert repr(NewTicket(**TICKET)) == "<NewTicket category='3' priority='1'>"


def test_a_path_is_not_touched_before_its_turn(tmp_path: Path) -> None:
    path = tmp_path / "later.txt"
    ticket = NewTicket(**TICKET, attachment=path)
    assert ticket.attachment == path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subject": ""}, "subject is blank"),
        ({"subject": None}, "subject must be text, not NoneType"),
        ({"subject": "x" * 501}, "subject has 501 characters, and 500 are allowed"),
        ({"comment": "\n"}, "comment is blank"),
        ({"category": None}, "category must be an id such as 101, not NoneType"),
        ({"category": "Sales"}, "category must be an id such as 101"),
        ({"priority": "urgent"}, "priority must be low, medium, high or a code such as '1'"),
        ({"priority": float("nan")}, "priority must be low, medium, high or a code"),
        ({"attachment": 7}, "the attachment must be a path, bytes or an open binary file, not int"),
        ({"attachment": ""}, "the attachment is an empty path"),
        ({"attachment": (" ", b"x")}, "must be a pair of a name and its content"),
        ({"attachment": ("a", b"x", "text/plain")}, "must be a pair of a name and its content"),
    ],
)
def test_bad_input_is_named_before_anything_is_sent(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        NewTicket(**(dict(TICKET) | change))
    assert list(caught.value.fields) == list(change)


def test_tokens_are_not_shown_and_not_pickled() -> None:
    tokens = Tokens(access=Secret("canary-a"), refresh=Secret("canary-r"))
    assert "canary" not in repr(tokens)
    assert "canary" not in str(tokens)
    assert tokens == Tokens(access=Secret("canary-a"), refresh=Secret("canary-r"))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(tokens)
    assert Tokens(access=Secret("a")).refresh is None


def test_a_created_ticket_that_was_not_found_claims_nothing() -> None:
    nothing = CreatedTicket(ticket_id=None)
    assert (nothing.candidates, nothing.doubt, nothing.lookup_error) == ((), None, None)
