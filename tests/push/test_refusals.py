"""Refusals that are of no row, or of one row alone: what stops a push, and what does not."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from kapture_async import (
    Accepted,
    AuthenticationError,
    HelpdeskError,
    KaptureClient,
    NotFoundError,
    Outcome,
    PushStoppedError,
    RateLimitedError,
    Rejected,
    RejectedError,
    SyncKaptureClient,
    Unknown,
    ValidationError,
)
from kapture_async._core.journal.records import LATER
from kapture_async._core.push import throttle
from kapture_async._core.push.row_codec import SourceFile
from kapture_async._core.push.stop_rules import MOST_ALIKE, StopRules, kind_of
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator
from support_async import SupportClient
from support_async.testing import SupportEmulator

from ..scripted import Asked, added, answer, failed, scripted

SERVED = "tickets.add"


def rows(count: int) -> list[dict[str, Any]]:
    return [{"title": f"t{number}"} for number in range(count)]


def title_of(asked: Asked) -> str:
    title: str = orjson.loads(asked.body)[0]["title"]
    return title


async def push(
    url: str,
    count: int = 300,
    *,
    source: Any = None,
    file: SourceFile | None = None,
    **settings: Any,
) -> tuple[list[Outcome], PushStoppedError | None]:
    """Every outcome, and how the push was stopped."""
    seen: list[Outcome] = []
    stopped = None
    async with KaptureClient(base_url=url, token="t") as client:
        outcomes = client.tickets.push(rows(count) if source is None else source, **settings)
        if file is not None:
            outcomes._describe_source(file)
        try:
            async with outcomes:
                async for outcome in outcomes:
                    seen.append(outcome)
        except PushStoppedError as error:
            stopped = error
        assert len(seen) == outcomes.counts.rows - outcomes.counts.earlier
    return seen, stopped


def names(seen: list[Outcome]) -> Counter[str]:
    return Counter(outcome.name for outcome in seen)


# --- the first row ------------------------------------------------------------------------------


@pytest.mark.parametrize("journaled", [False, True])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_a_redirect_costs_one_row(tmp_path: Path, status: int, journaled: bool) -> None:
    moved = answer(b"", status, "Location: https://other.example.com/x")
    async with scripted(lambda _: moved) as served:
        journal = tmp_path / "j" if journaled else None
        seen, stopped = await push(served.url, journal=journal)
    assert len(served.asked) == 1
    assert names(seen)["unknown"] == 1
    assert names(seen)["rejected"] == 0
    assert stopped is not None
    assert "redirect" in stopped.message
    assert "base URL" in stopped.next_step
    assert stopped.wrong_address
    assert ("use another journal" in stopped.next_step) == journaled


PAGES = [b"<!doctype html><form></form>", b"\n <html><body>It works!</body></html>"]


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_costs_one_row(page: bytes) -> None:
    async with scripted(lambda _: answer(page, 200)) as served:
        seen, stopped = await push(served.url)
    assert len(served.asked) == 1
    assert names(seen)["unknown"] == 1
    assert stopped is not None
    assert stopped.wrong_address
    assert "the address answers with a web page" in stopped.message


async def test_a_page_after_an_acceptance_costs_only_its_row() -> None:
    def script(asked: Asked) -> bytes:
        return added(1) if asked.number == 1 else answer(PAGES[0], 200)

    async with scripted(script) as served:
        seen, stopped = await push(served.url, 10)
    assert stopped is None
    assert names(seen) == {"accepted": 1, "unknown": 9}


async def test_a_refused_permission_costs_one_row(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    """Of one ticket that is changed, it may be the refusal of that ticket."""
    emulator.faults = FaultPlan.script(["status;status=403"] * 5)
    with pytest.raises(PushStoppedError, match="after 1 row: the service forbids this call"):
        async with client.tickets.push(rows(1)) as outcomes:
            assert [one.name async for one in outcomes] == ["rejected"]
    changes = [{"ticket_id": str(713516551148 + n), "sub_status": "CL"} for n in range(4)]
    async with client.tickets.update_many(changes) as outcomes:
        assert [one.name async for one in outcomes] == ["rejected"] * 4


async def test_an_address_that_was_right_before_keeps_its_journal(
    emulator: KaptureEmulator, client: KaptureClient, tmp_path: Path
) -> None:
    """What is in the helpdesk is known by this journal alone: nobody is told to delete it."""
    journal = tmp_path / "j"
    async with client.tickets.push(rows(1), journal=journal) as outcomes:
        assert [one.name async for one in outcomes] == ["accepted"]
    emulator.faults = FaultPlan.script(["status;status=404"])
    with pytest.raises(PushStoppedError) as caught:
        async with client.tickets.push(rows(2), journal=journal) as outcomes:
            async for _ in outcomes:
                pass
    assert caught.value.wrong_address
    assert "another journal" not in caught.value.next_step


async def test_what_is_said_of_one_row_is_true(emulator: KaptureEmulator) -> None:
    async with KaptureClient(base_url=emulator.url, token="wrong") as client:
        with pytest.raises(PushStoppedError, match="after 1 row: ") as caught:
            async with client.tickets.push(rows(1)) as outcomes:
                assert [one.name async for one in outcomes] == ["rejected"]
    assert not caught.value.wrong_address
    assert "No further row of the source was read or sent." in str(caught.value)
    assert "rest" not in str(caught.value)


@pytest.mark.parametrize("what", ["push", "update_many", "customers"])
async def test_a_refused_token_costs_one_row(emulator: KaptureEmulator, what: str) -> None:
    async with KaptureClient(base_url=emulator.url, token="wrong") as client:
        if what == "push":
            outcomes: Any = client.tickets.push(rows(300))
        elif what == "update_many":
            changes = [{"ticket_id": str(713516551148 + n)} for n in range(300)]
            outcomes = client.tickets.update_many(changes, sub_status="PS", comment="c")
        else:
            people = [{"customer_name": f"n{n}", "phone": f"90000{n:05}"} for n in range(300)]
            outcomes = client.customers.push(people)
        with pytest.raises(PushStoppedError, match="wrong, expired or disabled") as caught:
            async with outcomes:
                async for _ in outcomes:
                    pass
    assert sum(emulator.requests.values()) == 1
    assert outcomes.counts.rejected == 1
    assert "token" in caught.value.next_step
    assert isinstance(caught.value.__cause__, AuthenticationError)
    assert len(emulator.ledger) == 0


async def test_a_refused_token_costs_one_row_of_support(support_emulator: SupportEmulator) -> None:
    async with SupportClient(
        support_emulator.url, apikey=support_emulator.apikey, access_token="wrong", allow_http=True
    ) as client:
        ticket = {"subject": "s", "comment": "c", "category": 1, "priority": "1"}
        outcomes = client.tickets.push([ticket] * 300)
        with pytest.raises(PushStoppedError, match="refused the access token"):
            async with outcomes:
                async for _ in outcomes:
                    pass
    assert sum(support_emulator.requests.values()) == 1


def test_a_refused_token_costs_one_row_of_the_sync_client(
    kapture_emulator: KaptureEmulator,
) -> None:
    with SyncKaptureClient(base_url=kapture_emulator.url, token="wrong") as client:
        with pytest.raises(PushStoppedError, match="wrong, expired or disabled"):
            with client.tickets.push(rows(300)) as outcomes:
                for _ in outcomes:
                    pass
    assert sum(kapture_emulator.requests.values()) == 1


@pytest.mark.parametrize("status", [404, 405])
async def test_a_wrong_path_costs_one_row(status: int) -> None:
    async with scripted(lambda _: answer(b"<h1>Not here</h1>", status)) as served:
        seen, stopped = await push(served.url)
    assert len(served.asked) == 1
    assert names(seen)["rejected"] == 1
    assert stopped is not None
    assert "base URL" in stopped.next_step


async def test_bad_rows_at_the_top_stop_nobody_and_go_one_at_a_time() -> None:
    most_before = 0

    def script(asked: Asked) -> bytes:
        nonlocal most_before
        if asked.number <= 120:
            most_before = served.most
            return failed("title is missing")
        return added(asked.number)

    async with scripted(script, delay=0.001) as served:
        seen, stopped = await push(served.url, 300)
    assert stopped is None
    assert names(seen) == {"accepted": 180, "rejected": 120}
    assert most_before == 1
    assert served.most > 1


async def test_with_keep_going_the_first_answer_lets_all_go() -> None:
    async with scripted(lambda _: failed("Queue not found"), delay=0.005) as served:
        seen, stopped = await push(served.url, 300, keep_going=True)
    assert stopped is None
    assert names(seen) == {"rejected": 300}
    assert served.most > 1


async def test_a_service_that_is_silent_from_the_first_row_on_costs_few_doubts() -> None:
    async with scripted(lambda _: b"") as served:
        seen, stopped = await push(served.url, 300)
    assert stopped is not None
    assert names(seen)["unknown"] == len(served.asked) == 20


# --- refusals that are alike --------------------------------------------------------------------

KEYS = ["Auth Key Expired", "Your API key has expired", "Token revoked", "Licence expired"]
ODD = ["Queue not found", "Ticket type 12 of 'Sales' not allowed", "nope"]


@pytest.mark.parametrize("words", [*KEYS, *ODD])
@pytest.mark.parametrize("status", [200, 400, 403])
async def test_fifty_alike_stop_the_push(words: str, status: int) -> None:
    def script(asked: Asked) -> bytes:
        n = asked.number
        return added(n) if n <= 20 else failed(f"{words} ({n} 'x{n}')", status)

    async with scripted(script) as served:
        seen, stopped = await push(served.url, 1000)
    assert stopped is not None
    assert f"{MOST_ALIKE} consecutive requests were refused alike" in stopped.message
    assert words.split()[0] in stopped.message
    kinds = names(seen)
    assert kinds["accepted"] == 20
    assert MOST_ALIKE <= kinds["rejected"] < 2 * MOST_ALIKE  # and what was in flight
    assert kinds["rejected"] + kinds["accepted"] == len(served.asked)


async def test_keep_going_tries_all() -> None:
    def script(asked: Asked) -> bytes:
        return added(1) if asked.number == 1 else failed("Auth Key Expired")

    async with scripted(script) as served:
        seen, stopped = await push(served.url, 400, keep_going=True)
    assert stopped is None
    assert names(seen) == {"accepted": 1, "rejected": 399}
    assert len(served.asked) == 400


async def test_refusals_of_the_row_itself_do_not_stop_it_and_hide_no_others() -> None:
    own = [
        "title is missing",
        "No Data found/ticket_id is missing",
        "lead already exists",
        "Invalid Format.callback_date should be yyyy-MM-dd hh:mm:ss.",
    ]
    async with scripted(lambda a: failed(own[a.number % 4])) as served:
        seen, stopped = await push(served.url, 300)
        assert stopped is None
        assert names(seen) == {"rejected": 300}

    def mixed(asked: Asked) -> bytes:
        if asked.number == 1:
            return added(1)
        return failed("title is missing" if asked.number % 3 == 0 else "Queue not found")

    async with scripted(mixed) as served:
        seen, stopped = await push(served.url, 1000)
        assert stopped is not None
        assert len(served.asked) < 200


async def test_an_acceptance_between_begins_the_count_again() -> None:
    def script(asked: Asked) -> bytes:
        return added(asked.number) if asked.number % 40 == 1 else failed("Queue not found")

    async with scripted(script) as served:
        seen, stopped = await push(served.url, 400, max_concurrency=1)
    assert stopped is None
    assert names(seen) == {"accepted": 10, "rejected": 390}


async def test_what_a_mass_refusal_left_goes_once_the_cause_is_corrected(tmp_path: Path) -> None:
    refused: list[bytes] = [failed("Auth Key Expired")]

    def script(asked: Asked) -> bytes:
        good = asked.number <= 5 or not refused
        return added(asked.number) if good else refused[0]

    path = str(tmp_path / "j")
    async with scripted(script) as served:
        seen, stopped = await push(served.url, 200, journal=path)
        assert stopped is not None
        refused[:] = [failed("Queue not found")]
        seen, stopped = await push(served.url, 200, journal=path)  # the key is renewed
        assert stopped is not None
        assert "Queue" in stopped.message
        refused.clear()
        seen, stopped = await push(served.url, 200, journal=path)
        assert stopped is None
        again = SourceFile(again=LATER | {"RejectedError"})
        seen, stopped = await push(served.url, 200, journal=path, file=again)
        assert stopped is None
        made = Counter(title_of(a) for a in served.asked[:5])
    assert len(made) == 5
    assert set(names(seen)) <= {"accepted"}
    assert {title_of(asked) for asked in served.asked} == {row["title"] for row in rows(200)}


# --- words of a limit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["Too many requests", "Daily API limit exceeded", "Rate limit reached, retry later"]
)
async def test_a_limit_in_words_is_waited_for_and_stops_the_push_if_it_does_not_end(
    monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(throttle, "_WORDED_LIMIT_WAIT", 0.01)
    ends_at = 60

    def script(asked: Asked) -> bytes:
        return failed(words) if 20 < asked.number <= ends_at else added(asked.number)

    async with scripted(script) as served:
        seen, stopped = await push(served.url, 100)
        assert stopped is None
        assert names(seen) == {"accepted": 100}  # none is lost to a limit that ends
        ends_at = 10**9
        served.asked.clear()
        seen, stopped = await push(served.url, 100)
    assert stopped is not None
    assert "max_rate" in stopped.next_step
    assert len(served.asked) < 20 + 2 * MOST_ALIKE
    left = [o for o in seen if isinstance(o, Rejected)]
    assert {type(outcome.error) for outcome in left} <= {RateLimitedError}  # a later run sends it


# --- one row that is told to slow down ----------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "concurrency", "retry_after"),
    [(0, 1, None), (0, 8, "0"), (0, 100, None), (49, 1, "0"), (49, 8, None), (49, 100, "0")],
)
async def test_one_row_that_is_always_told_to_slow_down_holds_up_nobody(
    which: int, concurrency: int, retry_after: str | None
) -> None:
    others_done = asyncio.Event()
    headers = [] if retry_after is None else [f"Retry-After: {retry_after}"]
    taken = 0

    def script(asked: Asked) -> bytes:
        nonlocal taken
        if title_of(asked) == f"t{which}" and taken < 399:
            return answer(b"slow down", 429, *headers)
        taken += 1
        if taken == 399:
            others_done.set()
        return added(asked.number)

    async with scripted(script) as served:
        async with asyncio.timeout(30):
            seen, stopped = await push(served.url, 400, max_concurrency=concurrency)
        tries = sum(title_of(asked) == f"t{which}" for asked in served.asked)
    assert stopped is None
    assert names(seen) == {"accepted": 400}
    assert 3 <= tries < 40


async def test_a_row_of_its_own_patience_ends_and_may_go_later(tmp_path: Path) -> None:
    def script(asked: Asked) -> bytes:
        if title_of(asked) == "t9":
            return answer(b"slow down", 429)
        return added(asked.number)

    async with scripted(script) as served:
        journal = tmp_path / "j"
        seen, stopped = await push(served.url, 100, journal=journal, patience=1.0)
        assert stopped is None
        assert names(seen) == {"accepted": 99, "rejected": 1}
        before = len(served.asked)
        await push(served.url, 100, journal=journal, patience=0.0)
        assert len(served.asked) == before + 1  # a later run tries it again


async def test_a_row_set_apart_has_an_outcome_however_the_push_ends() -> None:
    def script(asked: Asked) -> bytes:
        slow = title_of(asked) in ("t3", "t5")
        return answer(b"slow down", 429) if slow else added(asked.number)

    async with scripted(script) as served:
        async with KaptureClient(base_url=served.url, token="t") as client:
            outcomes = client.tickets.push(rows(100), max_concurrency=4)
            seen = []
            async with outcomes:
                async for outcome in outcomes:
                    seen.append(outcome)
                    if len(seen) == 98:
                        break
            seen += outcomes.unread()
    assert len(seen) == outcomes.counts.rows == 100
    kinds = names(seen)
    assert kinds["accepted"] == 98
    assert kinds["not_sent"] == 2


@pytest.mark.parametrize("status", [425, 429])
async def test_a_row_that_goes_again_keeps_its_reference(
    emulator: KaptureEmulator, client: KaptureClient, tmp_path: Path, status: int
) -> None:
    bodies: list[str] = []

    def script(asked: Asked) -> bytes:
        bodies.append(orjson.loads(asked.body)[0]["ticket_details"])
        return answer(b"", status) if asked.number <= 3 else added(asked.number)

    async with scripted(script) as served:
        async with asyncio.timeout(20):
            seen, _ = await push(served.url, 1, journal=tmp_path / "j")
    assert [type(outcome) for outcome in seen] == [Accepted] if status == 429 else True
    assert len(bodies) >= 3
    assert len(set(bodies)) == 1
    assert "ref:" in bodies[0]


async def test_slow_down_with_success_in_the_body_is_a_doubt_and_is_not_sent_again() -> None:
    success = answer({"status": "success", "ticket_id": "713516551148"}, 429, "Retry-After: 0")
    async with scripted(lambda a: success if a.number == 3 else added(a.number)) as served:
        seen, stopped = await push(served.url, 10, max_concurrency=1)
    assert stopped is None
    assert len(served.asked) == 10
    assert [outcome.name for outcome in seen if not isinstance(outcome, Accepted)] == ["unknown"]


async def test_any_faults_of_single_rows_are_no_mass_refusal(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    kinds: list[Any] = [Fault("failed"), Fault("status", status=403)]
    emulator.faults = FaultPlan.rate(0.3, kinds=kinds, seed=3)
    async with client.tickets.push(rows(500)) as outcomes:
        seen = [outcome async for outcome in outcomes]
    assert len(seen) == 500
    assert not any(isinstance(outcome, Unknown) for outcome in seen)
    assert len(emulator.ledger) == names(seen)["accepted"]


# --- the count itself ---------------------------------------------------------------------------


def refusal(
    cls: type[HelpdeskError] = RejectedError,
    words: str = "no",
    status: int = 200,
    *,
    about_data: bool = False,
) -> HelpdeskError:
    error = cls("it was refused", vendor_message=words, status=status)
    error.about_data = about_data
    return error


def told(errors: list[HelpdeskError], operation: str = SERVED, accepted: int = 1) -> int | None:
    """After how many refusals the push is stopped."""
    rules = StopRules(operation)
    rules.accepted = accepted
    for number, error in enumerate(errors, 1):
        if rules.after_try(error) is not None:
            return number
    return None


@pytest.mark.parametrize(
    "make",
    [
        lambda n: refusal(words=f"Ticket {n} is locked"),
        lambda n: refusal(words=f"Queue 'q{n}' not found"),
        lambda n: refusal(words=f'No such "{n}"'),
        lambda n: refusal(words=f"user{n}@example.com is unknown"),
        lambda n: refusal(words="NO  " if n % 2 else "no"),
        lambda n: refusal(ValidationError, "bad", 400),
        lambda n: refusal(RateLimitedError, "limit exceeded"),
    ],
)
def test_what_is_alike(make: Callable[[int], HelpdeskError]) -> None:
    assert told([make(n) for n in range(200)]) == MOST_ALIKE


@pytest.mark.parametrize(
    "make",
    [
        lambda n: refusal(ValidationError, "title is missing", about_data=True),
        lambda n: refusal(NotFoundError, "No Data found", about_data=True),
        lambda n: refusal(RateLimitedError, "slow down", 429),
        lambda n: refusal(words="abcdefghij"[n % 10] * (1 + n % 5)),
        lambda n: refusal(status=400 + n),
    ],
)
def test_what_is_not_alike_or_of_the_row(make: Callable[[int], HelpdeskError]) -> None:
    assert told([make(n) for n in range(200)]) is None


def test_the_first_row() -> None:
    assert told([refusal(AuthenticationError)], accepted=0) == 1
    assert told([refusal(NotFoundError, status=404)], accepted=0) == 1
    # An update of what is not there may be answered like this.
    assert told([refusal(NotFoundError, status=404)], "tickets.update", accepted=0) is None
    assert told([refusal(ValidationError, about_data=True)], accepted=0) is None
    assert told([refusal(AuthenticationError)]) is None


def test_no_number_of_kinds_grows_without_bound() -> None:
    rules = StopRules(SERVED)
    rules.accepted = 1
    for number in range(5000):
        words = "".join(chr(97 + int(digit)) for digit in str(number))
        assert rules.after_try(refusal(words=words)) is None
    assert len(rules._alike) <= 1001


def test_kinds_hold_no_more_than_words() -> None:
    assert kind_of(refusal(words="Ticket 12 of 'Ann' is gone")) == (
        "RejectedError",
        200,
        "ticket # of * is gone",
    )
