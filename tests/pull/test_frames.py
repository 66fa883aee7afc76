"""Data frame libraries read a pull as it is, and while it arrives."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kapture_async import KaptureClient, RetryPolicy, SyncKaptureClient
from kapture_async._api import INDIA
from kapture_async.testing import FaultPlan, KaptureEmulator
from support_async import SyncSupportClient

pa = pytest.importorskip("pyarrow")

DAY = "2024-04-19"
NOON = datetime(2024, 4, 19, 12, 0, tzinfo=INDIA)
SERVER = Path(__file__).parent / "programs" / "serve_day.py"


@pytest.fixture
def tickets() -> Iterator[Any]:
    retry = RetryPolicy(attempts=1)
    with (
        KaptureEmulator().in_thread() as emulator,
        SyncKaptureClient(base_url=emulator.url, token=emulator.token, retry=retry) as client,
    ):
        for n in range(300):
            emulator.seed(
                created=NOON, title=f"Title {n}", ticket_details="x" * 900, webform={"a": 1}
            )
        client.emulator = emulator  # type: ignore[attr-defined]
        yield client


def test_polars(tickets: Any) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(tickets.tickets.pull(DAY))
    assert frame.height == 300
    assert frame["title"].to_list() == [f"Title {n}" for n in range(300)]
    assert frame.schema["created_at"] == polars.Datetime("us", "Asia/Kolkata")
    assert frame["created_at"][0] == NOON
    assert frame["associate_fields"].str.json_path_match("$.webform.a")[0] == "1"


def test_pandas(tickets: Any) -> None:
    pandas = pytest.importorskip("pandas")
    if not hasattr(pandas.DataFrame, "from_arrow"):
        pytest.skip("this pandas does not know the interface yet")
    frame = pandas.DataFrame.from_arrow(tickets.tickets.pull(DAY))
    assert len(frame) == 300
    assert frame["created_at"].iloc[0] == NOON
    assert str(frame["ticket_id"].dtype) in ("str", "string", "object")


def test_duckdb(tickets: Any) -> None:
    duckdb = pytest.importorskip("duckdb")
    pulled = tickets.tickets.pull(DAY)  # noqa: F841 - the query names it
    found = duckdb.sql("select count(*), min(title) from pulled").fetchall()
    assert found == [(300, "Title 0")]


def test_rows_that_were_taken_before_are_not_in_it(tickets: Any) -> None:
    pages = tickets.tickets.pull(DAY)
    assert next(pages).title == "Title 0"
    assert pa.table(pages).num_rows == 299
    assert list(pages) == []


def test_an_error_midway_is_told(tickets: Any) -> None:
    tickets.emulator.faults = FaultPlan.rate(1, kinds=["half_body"])
    with pytest.raises(Exception, match="broke off"):
        pa.table(tickets.tickets.pull(DAY))
    tickets.emulator.faults = FaultPlan.rate(1, kinds=["failed"])
    with pytest.raises(Exception, match="the service refused it"):
        pa.table(tickets.tickets.pull(DAY))


def test_no_tickets_are_columns_without_rows(tickets: Any) -> None:
    table = pa.table(tickets.tickets.pull("2001-01-01"))
    assert (table.num_rows, table.column_names[:2]) == (0, ["ticket_id", "task_id"])
    assert table.column_names[-1] == "extra"


async def test_the_async_way(emulator: KaptureEmulator, client: KaptureClient) -> None:
    for n in range(5):
        emulator.seed(created=NOON, title=f"{n}")
    table = await client.tickets.pull(DAY).to_arrow()
    assert hasattr(table, "__arrow_c_stream__")
    assert pa.table(table)["title"].to_pylist() == ["0", "1", "2", "3", "4"]
    empty = pa.table(await client.tickets.pull("2001-01-01").to_arrow())
    assert empty.num_rows == 0


async def test_zones(emulator: KaptureEmulator) -> None:
    for zone, name in (("Europe/Berlin", "Europe/Berlin"), (NOON.astimezone().tzinfo, "UTC")):
        async with KaptureClient(
            base_url=emulator.url, token=emulator.token, timezone=zone
        ) as client:
            table = pa.table(await client.tickets.pull(DAY).to_arrow())
            assert table.schema.field("created_at").type.tz == name


def test_lists_without_columns_say_so() -> None:
    with SyncSupportClient("https://support.example.com", apikey="k", access_token="t") as client:
        with pytest.raises(TypeError, match="no columns"):
            pa.table(client.tickets.iter())


def test_batches_come_while_the_day_arrives() -> None:
    with subprocess.Popen(
        [sys.executable, str(SERVER), "20000"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with SyncKaptureClient(base_url=url, token="t") as client:
            reader = pa.RecordBatchReader.from_stream(client.tickets.pull(DAY))
            batch = reader.read_next_batch()
            with urllib.request.urlopen(f"{url}/sent") as reply:
                sent, size = map(int, reply.read().split())
            assert 4096 <= batch.num_rows < 4400
            assert sent < 0.8 * size  # what the system holds of it included
            rest = sum(batch.num_rows for batch in reader)
            assert batch.num_rows + rest == 20_000
        server.stdin.close()
