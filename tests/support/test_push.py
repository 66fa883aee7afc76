"""Pushes of tickets with and without files against the emulator: the ledger is the judge.

The push itself is tested with the other service; here stands what is this one's own.
"""

from __future__ import annotations

import asyncio
import io
from collections import Counter, UserDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support_async import (
    Accepted,
    AuthenticationError,
    InvalidInputError,
    NewTicket,
    NotSent,
    OpenTicketLimitError,
    Outcome,
    PushStoppedError,
    Rejected,
    RetryPolicy,
    Row,
    SupportClient,
    Timeout,
    Unknown,
    ValidationError,
)
from support_async.events import PushPaused, PushStopped, RowFinished
from support_async.testing import Fault, FaultPlan, SupportEmulator

from ..weather import HASTY
from .made import TICKET, client_of, sent, told_of


def row(number: int) -> dict[str, Any]:
    return {**TICKET, "subject": f"t{number}"}


def rows(count: int) -> Iterator[dict[str, Any]]:
    return (row(number) for number in range(count))


async def drain(push: Any) -> list[Outcome]:
    async with push as outcomes:
        return [outcome async for outcome in outcomes]


@pytest.mark.parametrize("journaled", [False, True])
async def test_what_cannot_be_written_concerns_its_row_alone(
    client: SupportClient, tmp_path: Path, journaled: bool
) -> None:
    source = [row(0), {**row(1), "subject": "\ud800"}, row(2)]
    push = client.tickets.push(source, journal=tmp_path / "j" if journaled else None)
    seen = {outcome.index: outcome.name for outcome in await drain(push)}
    assert seen == {0: "accepted", 1: "not_sent", 2: "accepted"}


def check_against_ledger(emulator: SupportEmulator, outcomes: list[Outcome], count: int) -> None:
    """Every row has one outcome, and none contradicts what the server did."""
    assert sorted(outcome.index for outcome in outcomes) == list(range(count))
    executed = Counter(entry.payload["subject"] for entry in emulator.ledger.of("tickets.create"))
    assert max(executed.values(), default=0) <= 1, "sent twice"
    for outcome in outcomes:
        subject = outcome.row["subject"]
        if isinstance(outcome, Accepted):
            assert subject in executed
        elif isinstance(outcome, Rejected | NotSent):
            assert subject not in executed, outcome.reason
        else:
            assert isinstance(outcome, Unknown)


async def test_every_row_once(support_emulator: SupportEmulator, client: SupportClient) -> None:
    seen = await drain(client.tickets.push(rows(200), key=lambda row: row["subject"]))
    check_against_ledger(support_emulator, seen, 200)
    for outcome in seen:
        assert isinstance(outcome, Accepted)
        assert outcome.key == f"t{outcome.index}"
        assert (outcome.result, outcome.ticket_id) == (None, None)  # the service tells no id


async def test_rows_of_every_kind_and_bad_ones_stop_nobody(
    support_emulator: SupportEmulator, client: SupportClient, tmp_path: Path
) -> None:
    class Evil(UserDict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise OSError("evil")

    problem = InvalidInputError("line 7 has too few cells")
    good: list[Any] = [
        NewTicket(**row(0)),
        row(1),
        Row(row(2), key="k", line=3),
        Row(NewTicket(**row(3)), key="k2"),
    ]
    here: list[Any] = [
        {},
        {**row(4), "subject": " "},
        {**row(5), "title": "x"},
        {**row(6), "category": "Sales"},
        {**row(7), "comment": "\ud800"},
        {**row(8), "attachment": 7},
        Evil(row(9)),
        "not a row",
        None,
        Row(None, key="broken", problem=problem),
        {**row(10), "attachment": tmp_path / "none.txt"},
        {**row(11), "attachment": tmp_path},
        {**row(12), "attachment": ("a.bin", bytes(2 * 2**20 + 1))},
        {**row(13), "attachment": io.StringIO("text")},
    ]
    there: list[Any] = [{**row(20), "category": 99}, {**row(21), "priority": 9}]
    push = client.tickets.push([*good, *here, *there])
    seen = {outcome.index: outcome for outcome in await drain(push)}
    kinds = [Accepted] * len(good) + [NotSent] * len(here) + [Rejected] * len(there)
    assert [type(seen[index]) for index in range(len(kinds))] == kinds
    for outcome in seen.values():
        if isinstance(outcome, NotSent):
            assert isinstance(outcome.error, InvalidInputError)
        elif isinstance(outcome, Rejected):
            assert isinstance(outcome.error, ValidationError)
            assert outcome.error.fields
    assert (seen[2].key, seen[3].key, seen[13].key) == ("k", "k2", "broken")
    assert "too few" in seen[13].reason
    assert len(support_emulator.ledger) == len(good)
    assert sent(support_emulator) == len(good) + len(there)


async def test_a_path_is_read_when_its_turn_comes(
    support_emulator: SupportEmulator, client: SupportClient, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(3)]
    tickets = [NewTicket(**row(number), attachment=path) for number, path in enumerate(paths)]
    push = client.tickets.push(tickets, max_concurrency=1)
    paths[0].write_bytes(b"0")
    seen = []
    async with push as outcomes:
        async for outcome in outcomes:
            seen.append(type(outcome))
            if outcome.index == 0:
                paths[2].write_bytes(b"2")  # the worker is busy with the second at most
    assert seen[0] is Accepted
    assert seen[2] is Accepted
    told = {
        entry.payload["subject"]: entry.payload["attachment"] for entry in support_emulator.ledger
    }
    assert told["t0"] == told_of("0.txt", b"0", "text/plain")
    assert told["t2"] == told_of("2.txt", b"2", "text/plain")


async def test_many_files_at_once_are_not_mixed_up(
    support_emulator: SupportEmulator, client: SupportClient, tmp_path: Path
) -> None:
    def source() -> Iterator[Mapping[str, Any]]:
        for number in range(40):
            content = f"content of {number}".encode() * 1000
            path = tmp_path / f"{number}.txt"
            path.write_bytes(content)
            forms = [
                path,
                (path.name, path),
                (path.name, content),
                (path.name, io.BytesIO(content)),
            ]
            yield {**row(number), "attachment": forms[number % 4]}

    seen = await drain(client.tickets.push(source(), max_concurrency=16))
    assert {type(outcome) for outcome in seen} == {Accepted}
    for entry in support_emulator.ledger:
        number = int(entry.payload["subject"][1:])
        content = f"content of {number}".encode() * 1000
        assert entry.payload["attachment"] == told_of(f"{number}.txt", content, "text/plain")


async def test_the_same_open_file_on_many_rows_is_sent_whole_each_time(
    support_emulator: SupportEmulator, client: SupportClient, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 4096
    path = tmp_path / "log.bin"
    path.write_bytes(content)
    with path.open("rb", buffering=0) as opened:
        source = [{**row(number), "attachment": opened} for number in range(24)]
        seen = await drain(client.tickets.push(source, max_concurrency=12))
    assert {type(outcome) for outcome in seen} == {Accepted}
    wanted = told_of("log.bin", content, "application/octet-stream")
    assert [entry.payload["attachment"] for entry in support_emulator.ledger] == [wanted] * 24


async def test_an_open_file_is_sent_whole_again_after_slow_down(
    support_emulator: SupportEmulator,
) -> None:
    support_emulator.faults = FaultPlan.script(["status;status=429;retry_after=0.01"] * 2)
    opened = io.BytesIO(b"x" * 100_000)
    events: list[Any] = []
    async with client_of(support_emulator) as client:
        source = [{**row(0), "attachment": ("a.bin", opened)}]
        [outcome] = await drain(client.tickets.push(source, on_event=events.append))
    assert isinstance(outcome, Accepted)
    assert outcome.attempts == 3
    [entry] = support_emulator.ledger
    assert entry.payload["attachment"]["size"] == 100_000
    assert any(isinstance(event, PushPaused) for event in events)
    assert sum(isinstance(event, RowFinished) for event in events) == 1


@pytest.mark.parametrize("envelope", ["wrapped", "bare"])
async def test_too_many_open_tickets_stop_the_push(envelope: Any) -> None:
    seen: list[Outcome] = []
    events: list[Any] = []
    async with (
        SupportEmulator(open_ticket_limit=20, envelope=envelope) as emulator,
        client_of(emulator) as client,
    ):
        push = client.tickets.push(
            rows(5000), max_concurrency=4, give_up_after=10, on_event=events.append
        )
        with pytest.raises(PushStoppedError, match="too many open tickets") as caught:
            async with push as outcomes:
                async for outcome in outcomes:
                    seen.append(outcome)
        check_against_ledger(emulator, seen, push.counts.rows)
        assert len(emulator.ledger) == 20
        assert sent(emulator) == len(seen)
    assert (push.counts.accepted, push.counts.in_flight) == (20, 0)
    assert 10 <= push.counts.rejected < 20
    for outcome in seen:
        if isinstance(outcome, Rejected):
            assert isinstance(outcome.error, OpenTicketLimitError)
    told = str(caught.value)
    assert told.startswith("support tickets.create: the push stopped after 3")
    assert "10 rows in a row failed" in told
    assert "No further row of the source was read or sent." in told
    assert [event for event in events if isinstance(event, PushStopped)]


async def test_never_giving_up_is_possible() -> None:
    async with SupportEmulator(open_ticket_limit=5) as emulator, client_of(emulator) as client:
        seen = await drain(client.tickets.push(rows(60), keep_going=True))
        check_against_ledger(emulator, seen, 60)
    assert Counter(outcome.name for outcome in seen) == {"accepted": 5, "rejected": 55}


async def test_a_token_that_expires_in_the_middle_is_renewed_once(
    support_emulator: SupportEmulator,
) -> None:
    asked = 0

    async def provider() -> str:
        nonlocal asked
        asked += 1
        return support_emulator.issue_token()

    async with client_of(support_emulator, token_provider=provider) as client:
        seen: list[Outcome] = []
        async with client.tickets.push(rows(300), max_concurrency=16) as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)
                if len(seen) == 100:
                    support_emulator.expire_tokens()
    check_against_ledger(support_emulator, seen, 300)
    assert {type(outcome) for outcome in seen} == {Accepted}
    assert asked == 2


async def test_a_refused_token_stops_the_push(support_emulator: SupportEmulator) -> None:
    seen: list[Outcome] = []
    async with client_of(support_emulator, access_token="wrong") as client:
        with pytest.raises(PushStoppedError, match="refused the access token"):
            async with client.tickets.push(rows(5000), give_up_after=20) as outcomes:
                async for outcome in outcomes:
                    seen.append(outcome)
    assert {type(outcome) for outcome in seen} == {Rejected}
    assert all(isinstance(getattr(o, "error", None), AuthenticationError) for o in seen)
    assert len(seen) == 1
    assert sent(support_emulator) == 1


async def test_no_token_at_all_stops_the_push(support_emulator: SupportEmulator) -> None:
    def provider() -> str:
        raise OSError("no network")

    seen: list[Outcome] = []
    async with client_of(support_emulator, token_provider=provider) as client:
        with pytest.raises(PushStoppedError, match="could not get an access token"):
            async with client.tickets.push(rows(5000), give_up_after=20) as outcomes:
                async for outcome in outcomes:
                    seen.append(outcome)
    assert {type(outcome) for outcome in seen} == {NotSent}
    assert not support_emulator.requests


async def test_faults_at_every_phase_never_make_an_outcome_lie() -> None:
    async with SupportEmulator(faults=FaultPlan.rate(0.3, seed=4, kinds=HASTY)) as emulator:
        async with client_of(
            emulator, timeout=Timeout(total=0.5), retry=RetryPolicy(attempts=3, first_wait=0.001)
        ) as client:
            source = ({**row(n), "attachment": ("a.txt", b"x" * n)} for n in range(1, 201))
            push = client.tickets.push(source, max_concurrency=16, give_up_after=None, patience=2)
            seen = await drain(push)
        check_against_ledger(emulator, seen, 200)
    kinds = Counter(outcome.name for outcome in seen)
    assert kinds["accepted"] > 10  # on a busy machine, time-outs strike others than the silent
    assert kinds["unknown"] > 5


async def test_leaving_early_finishes_what_is_in_flight(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    push = client.tickets.push(rows(10_000), max_concurrency=4)
    seen = []
    async with push as outcomes:
        async for outcome in outcomes:
            seen.append(outcome)
            if len(seen) == 10:
                break
    check_against_ledger(support_emulator, seen + push.unread(), push.counts.rows)
    assert len(support_emulator.ledger) == push.counts.rows < 40


async def test_a_second_cancellation_cuts_off_and_stays_truthful(
    support_emulator: SupportEmulator,
) -> None:
    silent = [Fault("silence_after"), Fault("silence_before")] * 4
    support_emulator.faults = FaultPlan.script([None, *silent])  # alone until one is accepted
    async with client_of(support_emulator, max_connections=4, timeout=None) as client:
        push = client.tickets.push(rows(1000), max_concurrency=8)
        task = asyncio.ensure_future(drain(push))
        while sent(support_emulator) < 5:
            await asyncio.sleep(0.001)
        task.cancel()
        while push.stop_reason is None:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left = push.unread()
    # Four were on the wire; the others still waited for a connection.
    assert Counter(type(outcome) for outcome in left) == {Unknown: 4, NotSent: 4}


async def test_outcomes_show_no_personal_data(client: SupportClient) -> None:
    source = [
        {**row(0), "subject": "private", "comment": "private", "attachment": ("private", b"x")},
        {**row(1), "comment": "private", "category": 99},
        {**row(2), "comment": "private", "category": "private"},
    ]
    seen = await drain(client.tickets.push(source))
    assert len(seen) == 3
    assert "private" not in repr(seen) + "".join(outcome.reason for outcome in seen)


@pytest.mark.parametrize(
    "arguments",
    [
        {"source": {"subject": "one row"}},
        {"source": "rows.csv"},
        {"source": 7},
        {"source": NewTicket(**TICKET)},
        {"source": [], "max_concurrency": 0},
        {"source": [], "give_up_after": 0},
        {"source": [], "patience": -1},
    ],
    ids=repr,
)
def test_bad_arguments(arguments: dict[str, Any]) -> None:
    client = SupportClient("https://support.example.com", apikey="a", access_token="t")
    with pytest.raises(InvalidInputError):
        client.tickets.push(**arguments)
