"""The Support emulator's ledger: writes only, no bytes of files, the same tickets after a
restart."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support_async.testing import KINDS, Fault, FaultPlan, Ledger, SupportEmulator

from .support_calls import (
    CATEGORIES,
    CREATE,
    DOWNLOAD,
    HISTORY,
    OTHER,
    REPLY,
    STATUS,
    TICKET,
    UPDATE,
    call,
    create,
    detail,
)


@pytest.fixture
def emulator() -> Iterator[SupportEmulator]:
    with SupportEmulator().in_thread() as emulator:
        yield emulator


def busy_day(emulator: SupportEmulator) -> None:
    """Do one of each: a ticket with a file, tags, a reply with a file, and closing it."""
    create(emulator, b"first", subject=" A subject ")
    call(emulator, "POST", UPDATE, [("ticket_id", "101"), ("tags", "2"), ("tags", "1")])
    fields = [("ticket", " 101 "), ("comment", "A reply"), ("attachment", b"second")]
    call(emulator, "POST", REPLY, fields)
    call(emulator, "POST", STATUS, {"ticket": "101", "status": "3"})
    create(emulator, subject="Other's", priority="3", category="4")


def test_writes_are_recorded_as_they_were_sent(emulator: SupportEmulator) -> None:
    busy_day(emulator)

    def file(content: bytes) -> dict[str, object]:
        return {
            "name": "sample.txt",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "content_type": "text/plain",
        }

    first = TICKET | {"subject": " A subject ", "attachment": file(b"first")}
    reply = {"ticket": " 101 ", "comment": "A reply", "attachment": file(b"second")}
    second = TICKET | {"subject": "Other's", "priority": "3", "category": "4"}
    assert [(entry.operation, entry.ticket_id, entry.payload) for entry in emulator.ledger] == [
        ("tickets.create", "101", first),
        ("tickets.update", "101", {"ticket_id": "101", "tags": ["2", "1"]}),
        ("tickets.reply", "101", reply),
        ("tickets.set_status", "101", {"ticket": "101", "status": "3"}),
        ("tickets.create", "102", second),
    ]


def test_one_tag_is_a_list_too_and_what_nobody_asked_for_is_kept(emulator: SupportEmulator) -> None:
    emulator.seed()
    fields = [("ticket_id", "101"), ("tags", "2"), ("x", "1"), ("x", "2")]
    call(emulator, "POST", UPDATE, fields)
    [entry] = emulator.ledger
    assert entry.payload == {"ticket_id": "101", "tags": ["2"], "x": ["1", "2"]}


def test_reads_and_refusals_are_not_recorded(emulator: SupportEmulator) -> None:
    emulator.seed()
    detail(emulator, "101")
    call(emulator, "GET", HISTORY)
    call(emulator, "GET", CATEGORIES)
    create(emulator, priority="9")
    call(emulator, "POST", STATUS, {"ticket": "101", "status": "2"})
    assert len(emulator.ledger) == 0
    assert emulator.requests[CREATE] == 1


def test_an_emulator_goes_on_with_an_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with SupportEmulator(ledger=path).in_thread() as emulator:
        busy_day(emulator)
        call(emulator, "POST", CREATE, TICKET, token=emulator.issue_token(email=OTHER))
        before = [detail(emulator, number) for number in ("101", "102")]
        history = call(emulator, "GET", HISTORY).data
        assert call(emulator, "GET", DOWNLOAD.format("901")).body == b"first"
    assert b"first" not in path.read_bytes()
    with SupportEmulator(ledger=path).in_thread() as emulator:
        assert [detail(emulator, number) for number in ("101", "102")] == before
        assert call(emulator, "GET", HISTORY).data == history
        # What is left of a file is that there was one.
        assert call(emulator, "GET", DOWNLOAD.format("901")).status == 404
        found = emulator.ticket("103")
        assert found is not None
        assert found.author == OTHER
        create(emulator)
        assert emulator.ticket("104") is not None
    assert [entry.number for entry in Ledger.read(path)] == [1, 2, 3, 4, 5, 6, 7]


def test_writes_to_seeded_tickets_are_no_trouble_to_the_next_emulator(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with SupportEmulator(ledger=path).in_thread() as emulator:
        emulator.seed()
        call(emulator, "POST", STATUS, {"ticket": "101", "status": "3"})
        create(emulator)
    with SupportEmulator(ledger=path).in_thread() as emulator:
        assert emulator.ticket("101") is None
        assert detail(emulator, "102")["ticket"]["id"] == 102


def test_the_file_says_who_called(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with SupportEmulator(ledger=path).in_thread() as emulator:
        create(emulator)
    fields = json.loads(path.read_text())
    assert list(fields) == [
        "number",
        "operation",
        "ticket_id",
        "time",
        "monotonic",
        "user",
        "payload",
    ]
    assert fields["user"] == "member@example.com"
    assert "member@example.com" not in repr(Ledger.read(path))


# Faults.


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_the_client_sees_and_what_was_executed(emulator: SupportEmulator, kind: str) -> None:
    fault = Fault(kind)
    held = kind.startswith("silence") or kind == "late"
    try:
        call(
            emulator,
            "POST",
            CREATE,
            list(TICKET.items()),
            headers=dict(fault.headers()),
            timeout=0.3 if held else 5,
        )
        seen = "whole"
    except (http.client.BadStatusLine, http.client.IncompleteRead) as error:
        gone = isinstance(error, http.client.RemoteDisconnected)
        seen = "none" if gone else "broken"
    except (ConnectionError, TimeoutError):
        seen = "none"
    assert seen == fault.answer
    if fault.executes:
        assert emulator.ledger.wait_for(1)
    assert len(emulator.ledger) == (2 if kind == "twice" else fault.executes)
    assert create(emulator).data == {}


def test_the_services_own_refusal(emulator: SupportEmulator) -> None:
    emulator.faults = FaultPlan.script(["failed;message=Not now"], only="tickets.create")
    assert call(emulator, "GET", CATEGORIES).status == 200
    answer = create(emulator)
    assert (answer.status, answer.errors) == (400, {"non_field_errors": ["Not now"]})
    assert create(emulator).status == 200


def test_plans_know_the_operations(emulator: SupportEmulator) -> None:
    paths = {
        "categories.list": ("GET", CATEGORIES),
        "tickets.history": ("GET", HISTORY),
        "attachments.download": ("GET", DOWNLOAD.format("5")),
        "login": ("POST", "/user/login/"),
    }
    for operation, (method, path) in paths.items():
        emulator.faults = FaultPlan.script(["status;status=418;body=empty"], only=operation)
        assert [call(emulator, *other).status == 418 for other in paths.values()] == [
            name == operation for name in paths
        ]
        assert call(emulator, method, path).status != 418


def test_what_is_remembered_of_large_requests_is_bounded(emulator: SupportEmulator) -> None:
    for _ in range(20):
        create(emulator, b"x" * 2**21)
    assert len(emulator.received) < 20
    assert sum(len(request.body) for request in emulator.received) <= 32 * 2**20
    assert emulator.requests[CREATE] == 20
