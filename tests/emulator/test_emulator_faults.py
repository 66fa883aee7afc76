"""Every fault does what its kind says: to the answer, and to the ledger."""

from __future__ import annotations

import http.client
import json
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kapture_async.testing import BEHIND, KINDS, LIES, WEATHER, Fault, FaultPlan, KaptureEmulator

ADD = "/add-ticket-from-other-source.html/v.2.0"
GET = "/search-ticket-by-ticket-id.html/v.2.0"
BODY = [{"title": "T"}]


@pytest.fixture
def emulator() -> Iterator[KaptureEmulator]:
    with KaptureEmulator().in_thread() as emulator:
        yield emulator


def held(kind: str) -> bool:
    return kind.startswith("silence") or kind == "late"


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_the_client_sees_and_what_was_executed(
    emulator: KaptureEmulator, call: Callable[..., Any], kind: str
) -> None:
    fault = Fault(kind)
    try:
        call(emulator.url, ADD, BODY, X_Emulator_Fault=str(fault), timeout=0.5 if held(kind) else 5)
        seen = "whole"
    except (http.client.BadStatusLine, http.client.IncompleteRead) as error:
        gone = isinstance(error, http.client.RemoteDisconnected)
        seen = "none" if gone else "broken"
    except (ConnectionError, TimeoutError):
        seen = "none"
    assert seen == fault.answer
    if fault.executes:
        assert emulator.ledger.wait_for(1)
        assert [entry.payload for entry in emulator.ledger] == BODY * (2 if kind == "twice" else 1)
    else:
        assert len(emulator.ledger) == 0
    assert emulator.faulted == {kind: 1}
    # The emulator is well afterwards.
    assert call(emulator.url, ADD, BODY).json["status"] == "success"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("close_before", http.client.RemoteDisconnected),
        ("close_after", http.client.RemoteDisconnected),
        ("reset_early", ConnectionResetError),
        ("reset_before", ConnectionResetError),
        ("reset_after", ConnectionResetError),
        ("silence_before", TimeoutError),
        ("silence_after", TimeoutError),
        ("half_body", http.client.IncompleteRead),
        ("wrong_length;delta=1", http.client.IncompleteRead),
        ("garbage", http.client.BadStatusLine),
    ],
)
def test_how_a_broken_exchange_ends(
    emulator: KaptureEmulator, call: Callable[..., Any], fault: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        call(
            emulator.url,
            ADD,
            BODY,
            X_Emulator_Fault=fault,
            timeout=0.2 if "silence" in fault else 5,
        )


def test_reset_early_does_not_wait_for_the_body(emulator: KaptureEmulator) -> None:
    head = f"POST {ADD} HTTP/1.1\r\nContent-Length: 1000\r\nX-Emulator-Fault: reset_early\r\n\r\n"
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as client:
        client.sendall(head.encode())
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_late_executes_when_the_client_has_long_gone(
    emulator: KaptureEmulator, call: Callable[..., Any]
) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        call(emulator.url, ADD, BODY, X_Emulator_Fault="late;delay=0.4", timeout=0.05)
    assert emulator.ledger.wait_for(1)
    assert emulator.ledger.entries[0].monotonic - started >= 0.4


def test_stopping_the_emulator_cancels_what_is_late(call: Callable[..., Any]) -> None:
    with KaptureEmulator().in_thread() as emulator, pytest.raises(TimeoutError):
        call(emulator.url, ADD, BODY, X_Emulator_Fault="late;delay=60", timeout=0.05)
    assert len(emulator.ledger) == 0


def test_slow_drips_and_completes(emulator: KaptureEmulator, call: Callable[..., Any]) -> None:
    started = time.monotonic()
    answer = call(emulator.url, ADD, BODY, X_Emulator_Fault="slow;duration=0.2;pieces=4")
    assert answer.json["status"] == "success"
    assert time.monotonic() - started >= 0.14


def test_too_short_a_length_leaves_the_tail_in_the_connection(
    emulator: KaptureEmulator, wire: Callable[..., bytes], raw_add: Callable[..., bytes]
) -> None:
    both = wire(
        emulator.url, raw_add("a", "X-Emulator-Fault: wrong_length;delta=-9") + raw_add("b")
    )
    head, _, rest = both.partition(b"\r\n\r\n")
    [length] = [line[16:] for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
    assert rest[int(length) :].startswith(b'success"}'[-9:] + b"HTTP/1.1 200 OK")


def test_bad_json_has_the_length_it_promises(
    emulator: KaptureEmulator, call: Callable[..., Any]
) -> None:
    answer = call(emulator.url, ADD, BODY, X_Emulator_Fault="bad_json")
    assert answer.status == 200
    with pytest.raises(json.JSONDecodeError):
        _ = answer.json


def test_an_answer_may_come_again(
    emulator: KaptureEmulator, wire: Callable[..., bytes], raw_add: Callable[..., bytes]
) -> None:
    last = raw_add("b", "Connection: close")
    both = wire(emulator.url, raw_add("a", "X-Emulator-Fault: answer_twice") + last)
    assert both.count(b"HTTP/1.1 200 OK") == 3
    assert [entry.payload["title"] for entry in emulator.ledger] == ["a", "b"]
    both = wire(emulator.url, raw_add("c", "X-Emulator-Fault: answer_twice;later=true") + last)
    assert (both.count(b"HTTP/1.1 200 OK"), both.count(b'"title":"c"')) == (2, 2)
    assert [entry.payload["title"] for entry in emulator.ledger] == ["a", "b", "c"]  # no "b" again


def test_what_is_executed_twice_may_have_no_answer(
    emulator: KaptureEmulator, call: Callable[..., Any]
) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        call(emulator.url, ADD, BODY, X_Emulator_Fault="twice;lost=true")
    assert len(emulator.ledger) == 2
    assert Fault("twice", lost=True).answer == "none"


@pytest.mark.parametrize(
    ("fault", "status", "kind", "body"),
    [
        (Fault("status", status=429, retry_after="50, 47"), 429, "text/html", b"<h1>429"),
        (Fault("status", status=413), 413, "text/html", b"Request Entity Too Large"),
        (Fault("status", status=500, body="empty"), 500, "application/json;charset=UTF-8", b""),
        (Fault("status", body="json"), 503, "application/json;charset=UTF-8", b"Service Unav"),
    ],
)
def test_statuses(
    emulator: KaptureEmulator,
    call: Callable[..., Any],
    fault: Fault,
    status: int,
    kind: str,
    body: bytes,
) -> None:
    answer = call(emulator.url, ADD, BODY, **{"X_Emulator_Fault": str(fault)})
    assert answer.status == status
    assert answer.headers["Content-Type"] == kind
    assert answer.headers.get("Retry-After", "") == fault.settings["retry_after"]
    assert body in answer.body
    assert len(emulator.ledger) == 0


def test_a_status_may_follow_execution(emulator: KaptureEmulator, call: Callable[..., Any]) -> None:
    fault = Fault("status", status=504, executed=True)
    assert fault.executes
    assert call(emulator.url, ADD, BODY, X_Emulator_Fault=str(fault)).status == 504
    assert len(emulator.ledger) == 1


def test_a_redirect_leads_elsewhere(emulator: KaptureEmulator, call: Callable[..., Any]) -> None:
    answer = call(
        emulator.url, ADD, BODY, X_Emulator_Fault="redirect;status=302;location=http://a.invalid/"
    )
    assert (answer.status, answer.headers["Location"]) == (302, "http://a.invalid/")


def test_failed_is_the_vendors_own_refusal(
    emulator: KaptureEmulator, call: Callable[..., Any]
) -> None:
    answer = call(emulator.url, ADD, BODY, X_Emulator_Fault="failed;message=Try later")
    assert (answer.status, answer.json) == (200, {"message": "Try later", "status": "failed"})


def test_the_bomb_is_small_and_unpacks_to_much(
    emulator: KaptureEmulator, call: Callable[..., Any]
) -> None:
    answer = call(emulator.url, ADD, BODY, X_Emulator_Fault="bomb")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < 250_000
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    size, data = 0, answer.body
    while data and not unpacker.eof:
        size += len(unpacker.decompress(data, 2**24))
        data = unpacker.unconsumed_tail
    assert unpacker.eof  # the checksum is right
    assert size == 200 * 2**20 + 2


def test_an_emulator_that_does_not_listen_refuses(
    emulator: KaptureEmulator, call: Callable[..., Any]
) -> None:
    url = emulator.url
    kept = socket.create_connection(("127.0.0.1", emulator.port), timeout=5)
    kept.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert kept.recv(65536).startswith(b"HTTP/1.1 404 ")
    emulator.stop_listening()
    emulator.stop_listening()
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            call(url, ADD, BODY)
    assert kept.recv(1) == b""
    kept.close()
    emulator.listen_again()
    assert call(url, ADD, BODY).status == 200
    emulator.listen_again()
    assert call(url, ADD, BODY).status == 200


async def test_listening_can_be_turned_off_and_on_within_the_loop() -> None:
    async with KaptureEmulator() as emulator:
        emulator.stop_listening()
        emulator.listen_again()
        socket.create_connection(("127.0.0.1", emulator.port)).close()
        emulator.stop_listening()  # before the loop has turned
    async with KaptureEmulator() as emulator:
        emulator.stop_listening()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", emulator.port))


def test_a_script_is_consumed_in_order_of_arrival(
    emulator: KaptureEmulator, call: Callable[..., Any]
) -> None:
    emulator.faults = FaultPlan.script(
        [None, "status;status=502", Fault("status", status=429), None]
    )
    assert [call(emulator.url, ADD, BODY).status for _ in range(5)] == [200, 502, 429, 200, 200]


def test_a_plan_may_concern_one_operation_only(
    emulator: KaptureEmulator, call: Callable[..., Any]
) -> None:
    emulator.faults = FaultPlan.script(["status;status=502"], only="tickets.get")
    assert call(emulator.url, ADD, BODY).status == 200
    assert call(emulator.url, GET, {"ticket_ids": "1"}).status == 502


def test_a_rate_depends_on_seed_and_order_alone() -> None:
    def draw(seed: int) -> list[str]:
        plan = FaultPlan.rate(0.2, seed=seed)
        return [str(plan.next("tickets.add")) for _ in range(2_000)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    faults = [fault for fault in draw(1) if fault != "None"]
    assert 300 < len(faults) < 500
    assert set(faults) == {str(fault) for fault in WEATHER}


def test_other_operations_do_not_disturb_a_rate() -> None:
    alone = FaultPlan.rate(0.5, only="tickets.add")
    mixed = FaultPlan.rate(0.5, only="tickets.add")
    expected = [alone.next("tickets.add") for _ in range(50)]
    found = []
    for _ in range(50):
        assert mixed.next("tickets.get") is None
        found.append(mixed.next("tickets.add"))
    assert found == expected


def test_weather_strikes_in_every_phase() -> None:
    assert {(fault.executes, fault.answer) for fault in WEATHER} == {
        (False, "none"),
        (False, "whole"),
        (True, "none"),
        (True, "broken"),
        (True, "whole"),
    }


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset_after"),
        Fault("status", status=429, retry_after="50, 47"),
        Fault("status", retry_after="Wed, 21 Oct 2026 07:28:00 GMT", executed=True),
        Fault("late", delay=2),
        *WEATHER,
        *LIES,
        *BEHIND,
    ],
    ids=str,
)
def test_a_fault_survives_the_header(fault: Fault) -> None:
    assert Fault.parse(str(fault)) == fault
    assert fault.headers() == {"X-Emulator-Fault": str(fault)}
    assert isinstance(hash(fault), int)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        "late;delay=soon",
        "late;depth=1",
        "status;body=xml",
        "late;;",
        "status;executed=2",
    ],
)
def test_faults_that_make_no_sense_are_refused(
    emulator: KaptureEmulator, call: Callable[..., Any], text: str
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Fault.parse(text)
    answer = call(emulator.url, ADD, BODY, X_Emulator_Fault=text)
    assert (answer.status, len(emulator.ledger)) == (400, 0)


def test_plans_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        FaultPlan.rate(5)
    with pytest.raises(ValueError, match="at least one"):
        FaultPlan.rate(0.5, kinds=())
    with pytest.raises(ValueError, match="unknown fault"):
        FaultPlan.script(["explode"])
