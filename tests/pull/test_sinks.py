"""What stands in the files, and that a file is there whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kapture_async import ConfigurationError, HelpdeskError, InvalidInputError, KaptureClient
from kapture_async._api import INDIA
from kapture_async._core.atomicfile import AtomicFile
from kapture_async._core.pull.sinks import cell, format_of
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator
from kapture_async.tickets.export import ROW_KEYS

from .raw import RawServer, document, whole

DAY = "2024-04-19"
NOON = datetime(2024, 4, 19, 12, 0, tzinfo=INDIA)
EVIL = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1")


@pytest.fixture
async def served(sample: Any) -> AsyncIterator[tuple[KaptureClient, list[dict[str, Any]]]]:
    """A day with the vendor's own row, and with rows that are awkward."""
    [first] = sample("kapture/pull_tickets_by_date_range.response")["message"]
    rows = [
        first,
        first | {"ticketId": "2", "taskTitle": "Tom &amp; Jerry&apos;s", "detail": 'a\n"b";\0,c'},
        first | {"ticketId": "3", "customerName": "Änne", "unknownKey": {"a": [1, None]}},
        first | {"ticketId": "4", "total_conversations": "many", "customer_rating": 2**63},
        first | {"ticketId": "5", "taskTitle": "&#61;cmd()", "attachments": [{"a": 1}, {"b": 2}]},
        {"ticketId": "6"},
        *({"ticketId": f"evil {n}", "detail": text} for n, text in enumerate(EVIL)),
    ]
    async with (
        RawServer(lambda call: whole(document(rows))) as server,
        KaptureClient(base_url=server.url, token="t") as client,
    ):
        yield client, rows


async def test_jsonl_is_lossless(served: Any, tmp_path: Path) -> None:
    client, rows = served
    done = await client.tickets.export(tmp_path / "day.jsonl", start=DAY)
    assert (done.rows, done.days, done.path) == (len(rows), 1, str(tmp_path / "day.jsonl"))
    lines = (tmp_path / "day.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    found[3]["customer_rating"] = rows[3]["customer_rating"]  # no parser of JSON keeps it exact
    assert found == rows
    assert [list(row) for row in found] == [list(row) for row in rows]


async def test_csv(served: Any, tmp_path: Path) -> None:
    client, rows = served
    await client.tickets.export(tmp_path / "day.csv", start=DAY)
    text = (tmp_path / "day.csv").read_bytes().decode()
    table = list(csv.reader(io.StringIO(text, newline="")))
    assert table[0] == [*ROW_KEYS, "extra"]
    assert len(ROW_KEYS) == len(set(ROW_KEYS)) == 44
    assert list(rows[0]) == list(ROW_KEYS)  # the vendor's sample, in the order of the wire
    assert all(len(line) == 45 for line in table)
    found = [dict(zip(table[0], line, strict=True)) for line in table[1:]]
    assert found[0]["taskId"] == str(rows[0]["taskId"])
    assert json.loads(found[0]["additional_info"]) == rows[0]["additional_info"]
    assert found[0]["extra"] == ""
    assert found[1]["taskTitle"] == "Tom & Jerry's"
    assert found[1]["detail"] == 'a\n"b";\0,c'
    assert json.loads(found[2]["extra"]) == {"customerName": "Änne", "unknownKey": {"a": [1, None]}}
    assert found[3]["total_conversations"] == "many"
    assert found[4]["taskTitle"] == "'=cmd()"  # also what only unescaping makes of it
    assert json.loads(found[4]["attachments"]) == [{"a": 1}, {"b": 2}]
    assert set(found[5].values()) == {"6", ""}
    assert [row["detail"] for row in found[6:]] == [f"'{text}" for text in EVIL]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (-1, "-1"),
        (1.5, "1.5"),
        ("", ""),
        ("a=1", "a=1"),
        ("'", "'"),
        ("&amp;", "&amp;"),
        ([], "[]"),
        ({"a": "=1"}, '{"a":"=1"}'),
    ],
)
def test_cells(value: Any, text: str) -> None:
    assert cell(value) == text


async def test_parquet(served: Any, tmp_path: Path) -> None:
    client, rows = served
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    await client.tickets.export(tmp_path / "day.parquet", start=DAY)
    table = parquet.read_table(tmp_path / "day.parquet")
    assert table.num_rows == len(rows)
    assert table.schema.field("created_at").type == pa.timestamp("us", "Asia/Kolkata")
    assert table.schema.field("ticket_id").type == pa.string()
    assert table.schema.field("conversation_count").type == pa.int64()
    found = table.to_pylist()
    assert found[0]["ticket_id"] == rows[0]["ticketId"]
    assert found[0]["created_at"].isoformat() == "2024-04-22T11:24:00+05:30" or (
        found[0]["created_at"].strftime("%d-%m-%Y %H:%M") == rows[0]["date"]
    )
    assert json.loads(found[0]["associate_fields"]) == rows[0]["additional_info"]
    assert found[0]["extra"] is None
    assert found[1]["title"] == "Tom & Jerry's"
    assert found[2]["customer_name"] == "Änne"
    assert json.loads(found[2]["extra"]) == {"unknownKey": {"a": [1, None]}}
    assert found[3]["conversation_count"] is None
    assert json.loads(found[3]["extra"]) == {
        "total_conversations": "many",
        "customer_rating": 2**63,
    }
    assert json.loads(found[4]["attachments"]) == [{"a": 1}, {"b": 2}]
    assert set(found[5].values()) == {"6", None}


async def test_parquet_in_groups(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"ticketId": str(n), "detail": "x"} for n in range(10_000)]
    async with (
        RawServer(lambda call: whole(document(rows))) as server,
        KaptureClient(base_url=server.url, token="t") as client,
    ):
        await client.tickets.export(tmp_path / "day", start=DAY, format="parquet")
    found = parquet.ParquetFile(tmp_path / "day")
    assert found.num_row_groups > 1
    assert found.read()["ticket_id"].to_pylist() == [str(n) for n in range(10_000)]


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.csv", "empty.parquet"])
async def test_a_day_without_tickets_is_a_file_too(
    client: KaptureClient, tmp_path: Path, name: str
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    assert (await client.tickets.export(tmp_path / name, start=DAY)).rows == 0
    assert (tmp_path / name).exists()


async def test_without_pyarrow(
    client: KaptureClient,
    emulator: KaptureEmulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match="arrow"):
        await client.tickets.export(tmp_path / "day.parquet", start=DAY)
    with pytest.raises(ConfigurationError, match="arrow"):
        await client.tickets.pull(DAY).to_arrow()
    assert list(tmp_path.iterdir()) == []
    assert sum(emulator.requests.values()) == 0  # it shows before anything is asked


async def test_a_file_that_is_there(client: KaptureClient, tmp_path: Path) -> None:
    file = tmp_path / "day.jsonl"
    file.write_text("before")
    with pytest.raises(InvalidInputError, match="already exists"):
        await client.tickets.export(file, start=DAY)
    assert file.read_text() == "before"
    await client.tickets.export(file, start=DAY, overwrite=True)
    assert file.read_text() == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


async def test_places_that_cannot_be(client: KaptureClient, tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "null.jsonl").symlink_to("/dev/null")
    for wrong in ("folder.jsonl", "no/folder.jsonl", "pipe.jsonl", "null.jsonl", "a\0.jsonl"):
        with pytest.raises(InvalidInputError):
            await client.tickets.export(f"{tmp_path}/{wrong}", start=DAY, overwrite=True)
    for wrong_type in ("", b"x.jsonl", 7):
        with pytest.raises(InvalidInputError):
            await client.tickets.export(wrong_type, start=DAY)  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", ["failed", "half_body", "bad_json", "login_html"])
async def test_what_fails_leaves_nothing(
    client: KaptureClient, emulator: KaptureEmulator, tmp_path: Path, fault: str
) -> None:
    for _ in range(300):
        emulator.seed(created=NOON, ticket_details="x" * 900)
    file = tmp_path / "day.jsonl"
    file.write_text("before")
    emulator.faults = FaultPlan.rate(1, kinds=[Fault(fault)])
    with pytest.raises(HelpdeskError):
        await client.tickets.export(file, start=DAY, overwrite=True)
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


async def test_a_full_disk_names_the_file(
    client: KaptureClient,
    emulator: KaptureEmulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emulator.seed(created=NOON)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kapture_async._core.atomicfile.os.fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        await client.tickets.export(tmp_path / "day.jsonl", start=DAY)
    assert caught.value.filename == str(tmp_path / "day.jsonl")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_what_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    output = AtomicFile(tmp_path / "x.csv")
    output.begin()
    output.file.write(b"ours")
    output.seal()
    (tmp_path / "x.csv").write_text("theirs")
    with pytest.raises(FileExistsError):
        output.publish()
    output.discard()
    assert (tmp_path / "x.csv").read_text() == "theirs"
    assert len(list(tmp_path.iterdir())) == 1


def test_formats() -> None:
    assert format_of("a.b.csv", None) == "csv"
    assert format_of("A.NDJSON", None) == "jsonl"
    assert format_of("a.csv", "parquet") == "parquet"
    for wrong in (("a", None), ("a.xlsx", None), ("a.csv", "xlsx")):
        with pytest.raises(InvalidInputError):
            format_of(*wrong)
