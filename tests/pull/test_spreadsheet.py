"""CSV out, CSV in gives the same text; nobody else's file is touched."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapture_async import InvalidInputError, KaptureClient
from kapture_async._api import INDIA, codec_of
from kapture_async._core.pull.sinks import CsvSink
from kapture_async._core.push.sources.columns import Columns
from kapture_async._core.push.sources.csv import CsvRows
from kapture_async._core.spreadsheet import harmless, is_ours, plain
from kapture_async.tickets.export import file_shape
from kapture_async.tickets.models import TicketRow

from .raw import answering

DANGEROUS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
TEXTS = st.text(st.sampled_from(f"'a {DANGEROUS}\",;"), min_size=1, max_size=6)


@given(st.one_of(TEXTS, st.text()))
def test_the_guard_comes_off_again(text: str) -> None:
    guarded = harmless(text)
    assert plain(guarded) == text
    assert guarded[:1] not in set(DANGEROUS)


def _rows(data: bytes, **fields: str) -> list[Any]:
    rows = CsvRows(io.BytesIO(data), Columns(fields=fields), build=dict)
    return [row.value for row in rows]


@pytest.mark.parametrize("excel", [False, True])
@given(text=TEXTS)
def test_what_was_pulled_is_pushed_as_it_was(excel: bool, text: str) -> None:
    file = io.BytesIO()
    sink = CsvSink(file, file_shape(INDIA, excel=excel))
    sink.put([codec_of(INDIA).decode({"ticketId": "1", "taskTitle": text}, TicketRow)])
    assert file.getvalue().startswith(b"\xef\xbb\xbf") == excel
    assert _rows(file.getvalue(), title="taskTitle") == [{"title": text}]


def test_a_file_of_somebody_else_keeps_its_apostrophes() -> None:
    assert _rows(b"title,email\n'-quoted-',x\n", title="title") == [{"title": "'-quoted-'"}]
    assert not is_ours(["title", "ticketId"])


def test_rejects_are_read_back_unguarded() -> None:
    file = io.StringIO()
    csv.writer(file).writerows(
        [["_key", "_line", "_reason", "_ticket", "title", "'=x"], ["1", "2", "r", "", "'=1+1", "a"]]
    )
    found = _rows(file.getvalue().encode(), title="title", other="=x")
    assert found == [{"title": "=1+1", "other": "a"}]


async def test_a_mark_for_excel_is_for_csv_only(tmp_path: Path) -> None:
    body = '{"message":[{"ticketId":"1","taskTitle":"हिन्दी"}],"status":"success"}'
    async with (
        answering(body.encode()) as server,
        KaptureClient(base_url=server.url, token="t") as client,
    ):
        await client.tickets.export(tmp_path / "a.csv", start="2024-04-19", excel=True)
        await client.tickets.export(tmp_path / "b.csv", start="2024-04-19")
        with pytest.raises(InvalidInputError, match="excel"):
            await client.tickets.export(tmp_path / "c.jsonl", start="2024-04-19", excel=True)
    marked, bare = (tmp_path / "a.csv").read_bytes(), (tmp_path / "b.csv").read_bytes()
    assert marked == b"\xef\xbb\xbf" + bare
