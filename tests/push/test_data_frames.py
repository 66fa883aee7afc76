"""Data frames as the source of a push: what is sent of them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars
import pyarrow as pa
import pytest

from kapture_async import InvalidInputError, KaptureClient, NotSent, SyncKaptureClient
from kapture_async.testing import KaptureEmulator
from support_async import SyncSupportClient
from support_async.testing import SupportEmulator

COLUMNS: dict[str, list[Any]] = {
    "Id": [1, 2, 3],
    "Subject": ["a", None, "c"],
    "Due": [datetime(2024, 1, 5, 10, 30), None, None],
    "Phone": [919876543210, None, 3],
    "Day": [date(2024, 1, 5), None, None],
    "Price": [Decimal("12.50"), None, Decimal("3.00")],
    "Score": [7.0, float("nan"), 2.5],
}
MAP = {
    **{"title": "Subject", "due_date": "Due", "info.phone": "Phone", "info.day": "Day"},
    **{"price": "Price", "score": "Score"},
}
SENT = [
    {
        **{"title": "a", "due_date": "2024-01-05 10:30:00", "price": "12.50", "score": "7"},
        "info": [{"phone": "919876543210", "day": "2024-01-05"}],
    },
    {"title": "c", "price": "3.00", "score": "2.5", "info": [{"phone": "3"}]},
]


class Streamed:
    """A frame of some library: all that is asked of it is a stream."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def pandas_frame(columns: dict[str, list[Any]]) -> Any:
    frame = pytest.importorskip("pandas").DataFrame(columns)
    return frame.set_index(frame.index.map(str))  # an index without a name is no column


FRAMES: dict[str, Callable[[dict[str, list[Any]]], Any]] = {
    "polars": polars.DataFrame,
    "pandas": pandas_frame,
    "pyarrow": pa.table,
    "batches": lambda columns: pa.table(columns).to_reader(),
    "any other": lambda columns: Streamed(pa.table(columns)),
}


@pytest.fixture
def client(kapture_emulator: KaptureEmulator) -> Any:
    with SyncKaptureClient(base_url=kapture_emulator.url, token=kapture_emulator.token) as made:
        yield made


def payloads(emulator: KaptureEmulator | SupportEmulator) -> list[Any]:
    return [entry.payload for entry in emulator.ledger]


@pytest.mark.parametrize("library", FRAMES)
def test_a_frame_of_any_library(
    client: SyncKaptureClient, kapture_emulator: KaptureEmulator, library: str
) -> None:
    frame = FRAMES[library](COLUMNS)
    outcomes = client.tickets.push(frame, map=MAP, key="Id", max_concurrency=1).all()
    assert sorted((one.index, one.key, one.name) for one in outcomes) == [
        (0, "1", "accepted"),
        (1, "2", "not_sent"),
        (2, "3", "accepted"),
    ]
    assert payloads(kapture_emulator) == SENT
    bad = next(one for one in outcomes if one.name == "not_sent")
    assert isinstance(bad, NotSent)
    assert bad.row.line == 2
    assert "title is missing" in bad.error.message


async def test_a_frame_in_async_code_with_a_journal(
    kapture_emulator: KaptureEmulator, tmp_path: Any
) -> None:
    frame = polars.DataFrame(
        {"Id": [1, 2], "title": ["a", "b"], "email_id": ["u@example.com", None]}
    )
    more = polars.concat([frame, polars.DataFrame({"Id": [3], "title": ["c"], "email_id": [None]})])
    url, token = kapture_emulator.url, kapture_emulator.token
    async with KaptureClient(base_url=url, token=token) as client:
        for given in (frame, more):  # the columns have the names of fields
            push = client.tickets.push(given, key="Id", journal=tmp_path / "j", reference=None)
            async with push as outcomes:
                async for outcome in outcomes:
                    assert outcome.name == "accepted"
    assert [one["title"] for one in payloads(kapture_emulator)] == ["a", "b", "c"]


def test_updates_and_customers_of_a_frame(
    client: SyncKaptureClient, kapture_emulator: KaptureEmulator
) -> None:
    ids = [client.tickets.add(title=title).ticket_id for title in "ab"]
    frame = polars.DataFrame({"Ticket": [int(one) for one in (*ids, ids[0])], "Text": list("xyz")})
    given = {"ticket_id": "Ticket", "comment": "Text"}
    outcomes = client.tickets.update_many(frame, sub_status="CL", map=given).all()
    assert sorted((one.key, one.name) for one in outcomes) == sorted(
        [(ids[0], "accepted"), (ids[1], "accepted"), (ids[0], "not_sent")]
    )
    people = polars.DataFrame({"N": ["Ann"], "P": [919876543210], "Up": [True], "T": ["gold"]})
    named = {"customer_name": "N", "phone": "P", "update": "Up", "associate_fields.tier": "T"}
    report = client.customers.push(people, map=named, key="P").run()
    assert report.accepted == 1
    assert "919876543210" in str(payloads(kapture_emulator)[-1])


def test_a_frame_of_support_tickets(support_emulator: SupportEmulator) -> None:
    frame = polars.DataFrame({"S": ["a"], "C": ["b"], "K": [3], "P": [1.0]})
    given = {"subject": "S", "comment": "C", "category": "K", "priority": "P"}
    emulator = support_emulator
    with SyncSupportClient(
        emulator.url, apikey=emulator.apikey, access_token=emulator.token
    ) as client:
        (outcome,) = client.tickets.push(frame, map=given).all()
    assert outcome.name == "accepted", outcome


@pytest.mark.parametrize(
    ("source", "settings", "words"),
    [
        (polars.DataFrame({"title": ["a"], "Age": [3]}), {}, "not fields of the service: 'Age'"),
        (polars.DataFrame({"a": ["a"]}), {"map": {"title": "b"}}, "has no column 'b'"),
        (polars.DataFrame({"title": ["a"]}), {"key": "Id"}, "has no column 'Id'"),
        (
            pa.table([["a"], ["b"]], names=["a", "a"]),
            {"map": {"title": "a"}},
            "more than one column 'a'",
        ),
        (polars.DataFrame({"title": [b"a"]}), {}, "the column 'title' holds binary"),
        (polars.DataFrame({"title": ["a"]}), {"map": ["title"]}, "map must be a mapping"),
        (polars.DataFrame({"title": ["a"]}), {"key": 7}, "key must be a function"),
        (
            polars.DataFrame({"title": ["a"]}),
            {"map": {"title": "title", "info": "title", "info.a": "title"}},
            "'info' is given twice",
        ),
        ([{"title": "a"}], {"key": "title"}, "key names columns, and the source is not a data fr"),
        ([{"title": "a"}], {"map": {"title": "a"}}, "map names columns"),
    ],
)
def test_what_cannot_be_meant(
    client: SyncKaptureClient,
    kapture_emulator: KaptureEmulator,
    source: Any,
    settings: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(InvalidInputError, match=words):
        client.tickets.push(source, **settings)
    assert not kapture_emulator.requests


def test_a_column_of_many_types_is_named_and_none_of_its_values() -> None:
    pandas = pytest.importorskip("pandas")
    with (
        SyncKaptureClient(base_url="http://127.0.0.1:9", token="t") as client,
        pytest.raises(InvalidInputError, match="in its column 'title'") as caught,
    ):
        client.tickets.push(pandas.DataFrame({"title": ["a secret", 1]}))
    assert "secret" not in str(caught.value)


def test_rows_whose_values_cannot_be_sent_say_so(client: SyncKaptureClient) -> None:
    frame = polars.DataFrame({"title": [True, False], "key": [[1], [2]]})
    outcomes = client.tickets.push(frame, map={"title": "title"}, key="key").all()
    assert [str(one.reason).partition(".")[0] for one in outcomes] == [
        "its key is neither text nor a number"
    ] * 2
    outcomes = client.tickets.push(frame, map={"title": "title"}).all()
    assert {str(one.reason).partition(".")[0] for one in outcomes} == {
        "title must be text, not bool"
    }


def test_a_stream_is_read_as_it_is_asked_for(client: SyncKaptureClient) -> None:
    read = 0

    def batches() -> Any:
        nonlocal read
        for _ in range(1000):
            read += 1
            yield pa.record_batch({"title": ["a"] * 100})

    reader = pa.RecordBatchReader.from_batches(pa.schema({"title": pa.string()}), batches())
    with client.tickets.push(reader) as outcomes:
        for count, _ in enumerate(outcomes, 1):
            if count == 150:
                break
    assert read < 20


def test_pandas_is_told_what_to_call_for_a_pull(
    client: SyncKaptureClient, kapture_emulator: KaptureEmulator
) -> None:
    pandas = pytest.importorskip("pandas")
    client.tickets.add(title="a")
    with pytest.raises(TypeError, match=r"DataFrame\.from_arrow"):
        pandas.DataFrame(client.tickets.pull("2024-04-01"))
