"""The ledger is the truth, in memory and in its file."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import KaptureEmulator, Ledger

ADD = "/add-ticket-from-other-source.html/v.2.0"
UPDATE = "/update-ticket-from-other-source.html/v.2.0"
GET = "/search-ticket-by-ticket-id.html/v.2.0"


def test_entries_are_numbered_and_decoded() -> None:
    ledger = Ledger()
    ledger.record("tickets.add", "1", {"title": "é"}, time_=5.0)
    ledger.record("tickets.update", "1", {"ticket_id": "1"})
    first, second = ledger
    assert (first.number, first.operation, first.ticket_id, first.time) == (
        1,
        "tickets.add",
        "1",
        5,
    )
    assert first.payload == {"title": "é"}
    assert second.monotonic >= first.monotonic
    assert ledger.of("tickets.update") == (second,)
    assert "é" not in repr(first)


def test_a_ledger_can_be_read_while_it_is_written() -> None:
    ledger = Ledger()

    def write() -> None:
        for number in range(2_000):
            ledger.record("tickets.add", str(number), {})

    writer = threading.Thread(target=write)
    writer.start()
    sizes = [len(ledger.entries) for _ in range(200)]
    assert ledger.wait_for(2_000)
    writer.join()
    assert sizes == sorted(sizes)
    assert not ledger.wait_for(2_001, timeout=0.01)


def test_the_file_has_one_line_per_executed_call(tmp_path: Path, call: Callable[..., Any]) -> None:
    path = tmp_path / "ledger.jsonl"
    with KaptureEmulator(ledger=path).in_thread() as emulator:
        ticket = call(emulator.url, ADD, [{"title": "T", "ticket_info": [{"a b": 1}]}]).json[
            "ticket_id"
        ]
        # Written before it was answered, so it is there now.
        [line] = path.read_text().splitlines()
        call(emulator.url, ADD, [{"title": ""}])
        call(emulator.url, UPDATE, [{"ticket_id": ticket, "sub_status": "CL"}])
        call(emulator.url, UPDATE, [{"ticket_id": "unknown", "sub_status": "CL"}])
        call(emulator.url, GET, {"ticket_ids": ticket})
    fields = json.loads(line)
    assert fields.pop("time") > 1_700_000_000
    assert fields.pop("monotonic") > 0
    assert fields == {
        "number": 1,
        "operation": "tickets.add",
        "ticket_id": ticket,
        "payload": {"title": "T", "ticket_info": [{"a b": 1}]},
    }
    assert Ledger.read(path) == list(emulator.ledger)
    assert [entry.operation for entry in emulator.ledger] == ["tickets.add", "tickets.update"]


def test_an_emulator_goes_on_with_an_existing_file(
    tmp_path: Path, call: Callable[..., Any]
) -> None:
    path = tmp_path / "ledger.jsonl"
    with KaptureEmulator(ledger=path).in_thread() as emulator:
        ticket = call(emulator.url, ADD, {"title": "T", "queue": "q"}).json["ticket_id"]
        call(emulator.url, UPDATE, {"ticket_id": ticket, "sub_status": "CL", "comment": "done"})
    with path.open("ab") as file:
        file.write(b'{"number":3,"oper')  # killed in the middle of a line
    with KaptureEmulator(ledger=path).in_thread() as emulator:
        details = call(
            emulator.url, GET, {"ticket_ids": ticket, "conversation_type": "notes"}
        ).json[0]
        assert details["task_details"]["substatus"] == "Closed"
        assert details["conversation_type"]["notes"] == [{"detail": "done"}]
        other = call(emulator.url, ADD, {"title": "U"}).json["ticket_id"]
    assert other != ticket
    assert [entry.number for entry in Ledger.read(path)] == [1, 2, 3]
    assert [entry.ticket_id for entry in Ledger.read(path)] == [ticket, ticket, other]


def test_a_closed_ledger_opens_its_file_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.record("a", "1", {})
    ledger.close()
    ledger.close()
    ledger.record("b", "2", {})
    ledger.close()
    assert [entry.operation for entry in Ledger.read(path)] == ["a", "b"]


def test_a_call_that_cannot_be_recorded_is_not_executed(
    tmp_path: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.jsonl"
    with KaptureEmulator(ledger=path).in_thread() as emulator:
        write = os.write

        def full(file: int, data: bytes) -> int:
            if data.startswith(b'{"number"'):
                return write(file, data[:10])
            if b"payload" in data:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(file, data)

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            answer = call(emulator.url, ADD, {"title": "T"})
        assert answer.status == 500
        assert len(emulator.ledger) == 0
        assert path.read_bytes() == b""
        assert call(emulator.url, ADD, {"title": "U"}).status == 200
    assert [entry.payload["title"] for entry in Ledger.read(path)] == ["U"]
