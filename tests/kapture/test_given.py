"""What says "not there" is not given, and what is a text is text, in whoever's classes."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from kapture_async import InvalidInputError, KaptureClient, NewTicket, TicketUpdate
from kapture_async._api import INDIA, codec_of
from kapture_async._core.arguments import given, is_missing, pairs_of, query_of, tidied
from kapture_async.customers.models import NewCustomer
from kapture_async.testing import KaptureEmulator
from support_async.tickets.models import NewTicket as SupportTicket

numpy = pytest.importorskip("numpy")
pandas = pytest.importorskip("pandas")


class Safe(str):
    __slots__ = ()


class Kind(str, enum.Enum):  # noqa: UP042
    A = "from an enumeration"


class Plain(enum.Enum):
    A = "from an enumeration"


class NotATime(datetime):
    """As in a library that nobody has heard of."""

    def isoformat(self, *_args: Any, **_named: Any) -> str:
        return "NaT"


MISSING = [
    pandas.NaT,
    pandas.NA,
    float("nan"),
    numpy.float64("nan"),
    numpy.float32("nan"),
    numpy.datetime64("NaT"),
    numpy.timedelta64("NaT"),
    numpy.ma.masked,
    Decimal("NaN"),
    Decimal("sNaN"),
    NotATime(2024, 4, 19),
]
TEXTS = [Safe("from an enumeration"), Kind.A, Plain.A, numpy.str_("from an enumeration")]


@pytest.mark.parametrize("value", MISSING, ids=lambda value: type(value).__name__)
def test_what_is_not_there_is_not_sent(value: Any) -> None:
    assert is_missing(value)
    codec = codec_of(INDIA)
    row = {"title": "T", "due_date": value, "email_id": value, "when": value, "o": [{"x": value}]}
    expected = {"title": "T", "o": [{}]}
    assert codec.encode(NewTicket.wire_of(row)) == expected
    assert codec.encode(NewTicket.from_mapping(row).to_wire()) == expected
    with pytest.raises(InvalidInputError, match="title is missing"):
        NewTicket.wire_of({"title": value})
    update = TicketUpdate.from_mapping({"ticket_id": "1", "sub_status": "PS", "comment": value})
    assert update.comment is None
    with pytest.raises(InvalidInputError, match="ticket_id is missing"):
        TicketUpdate.from_mapping({"ticket_id": value})
    customer = NewCustomer(customer_name="x", phone="1", email_id=value, extra={"city": value})
    assert codec.encode(customer.to_wire()) == codec.encode(
        NewCustomer(customer_name="x", phone="1").to_wire()
    )
    ticket = {"subject": "s", "comment": "c", "category": "1", "priority": "1"}
    assert SupportTicket.from_mapping({**ticket, "attachment": value}).attachment is None
    with pytest.raises(InvalidInputError, match="comment is missing"):
        SupportTicket.from_mapping({**ticket, "comment": value})
    assert pairs_of("query", {"a": value, "b": "1"}) == (("b", "1"),)


@pytest.mark.parametrize("value", TEXTS, ids=lambda value: type(value).__name__)
def test_texts_of_subclasses_are_texts(value: Any) -> None:
    text = "from an enumeration"
    assert type(given(value)) is str
    codec = codec_of(INDIA)
    row = dict.fromkeys(("title", "ticket_details", "due_date", "email_id", "other"), value)
    for body in (NewTicket.wire_of(row), NewTicket.from_mapping(row).to_wire()):
        encoded = codec.encode(body)
        assert encoded == dict.fromkeys(row, text)
        assert {type(one) for one in encoded.values()} == {str}
    update = TicketUpdate(ticket_id="1", sub_status=value, comment=value)
    assert update.to_wire(INDIA)["comment"] == text
    customer = NewCustomer(customer_name=value, phone="1")
    assert type(customer.customer_name) is str
    ticket = SupportTicket(subject=value, comment=value, category="1", priority="1")
    assert (ticket.subject, ticket.comment) == (text, text)
    assert pairs_of("form", {"a": value, "b": [value]}) == (("a", text), ("b", text))
    assert query_of(a=value) == (("a", text),)


def test_names_of_subclasses_are_names() -> None:
    row = {Safe("title"): "T", numpy.str_("other"): "x"}
    assert codec_of(INDIA).encode(NewTicket.wire_of(row)) == {"title": "T", "other": "x"}


def test_numpy_scalars_are_what_they_hold() -> None:
    row = {
        "n": numpy.int64(7),
        "f": numpy.float64(1.5),
        "b": numpy.bool_(True),
        "l": [numpy.int8(1)],
    }
    assert codec_of(INDIA).encode(row) == {"n": 7, "f": 1.5, "b": True, "l": [1]}


@pytest.mark.parametrize(
    "value",
    ["NaT", "nan", "", 0, False, date(2024, 4, 19), datetime(1, 1, 1, tzinfo=UTC), b"x", [None]],
)
def test_what_is_there_stays(value: Any) -> None:
    assert not is_missing(value)
    assert given(value) is value
    assert tidied({"a": value}) == {"a": value}


def test_what_has_a_mind_of_its_own_is_left_alone() -> None:
    class Stubborn:
        def __eq__(self, other: object) -> bool:
            raise TypeError

        __hash__ = None  # type: ignore[assignment]

    one = Stubborn()
    assert given(one) is one
    assert not is_missing(numpy.array([1, 2]))


async def test_rows_of_a_data_frame_with_gaps() -> None:
    frame = pandas.DataFrame(
        {
            "title": ["a", "b"],
            "due_date": [pandas.Timestamp("2024-04-19 10:00:00"), pandas.NaT],
            "n": [1.0, None],
        }
    )
    with KaptureEmulator().in_thread() as emulator:
        async with (
            KaptureClient(base_url=emulator.url, token=emulator.token) as client,
            client.tickets.push(frame.to_dict("records")) as outcomes,
        ):
            assert [outcome.name async for outcome in outcomes] == ["accepted", "accepted"]
        sent = [entry.payload for entry in emulator.ledger.entries]
    assert sorted(sent, key=lambda body: str(body["title"])) == [
        {"title": "a", "due_date": "2024-04-19 10:00:00", "n": 1.0},
        {"title": "b"},
    ]


def test_a_fraction_of_a_subclass_is_a_number() -> None:
    class Price(float):
        __slots__ = ()

    assert type(given(Price(12.5))) is float
    assert given(Price(12.5)) == 12.5
