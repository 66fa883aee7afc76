"""A push that is repeated until nothing more can be done without a person."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kapture_async import (
    AuthenticationError,
    ConnectError,
    HelpdeskError,
    KaptureClient,
    PushStoppedError,
    Reconciliation,
    Row,
)
from kapture_async._core.push.until_done import UntilDone, WaitingToPush, push_until_done
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

from ..clock import Clock
from .judge import each_once, judge
from .pushing import SETTLE, client_of, plain, titles

COME_BACK = Fault("status", status=429, retry_after="1000")
REFUSED = Fault("status", status=401)


class Until:
    """Pushes until done, and notes in which order things happened."""

    def __init__(self, client: KaptureClient, rows: Iterable[Any], journal: Path) -> None:
        self.client, self.rows, self.journal = client, iter(rows), journal
        self.clock = Clock.standing()
        self.steps: list[Any] = []
        self.lookup_errors: list[HelpdeskError] = []

    async def push(self) -> HelpdeskError | None:
        push = self.client.tickets.push(
            self.rows, journal=self.journal, from_journal=True, max_concurrency=1
        )
        self.steps.append("push")
        try:
            async with push as outcomes:
                async for _ in outcomes:
                    pass
        except PushStoppedError as error:
            return error
        return None

    async def reconcile(self) -> Reconciliation:
        self.steps.append("reconcile")
        if self.lookup_errors:
            raise self.lookup_errors.pop()
        return await self.client.tickets.reconcile(self.journal, settle=SETTLE)

    def waited(self, event: WaitingToPush) -> None:
        self.steps.append(event.seconds)

    async def go(self, **settings: Any) -> UntilDone:
        return await push_until_done(
            self.journal,
            self.push,
            self.reconcile,
            on_wait=self.waited,
            now=self.clock.now,
            sleep=self.clock.sleep,
            **settings,
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.install(monkeypatch.setattr)
    return clock


def scripted(*faults: Any) -> Any:
    return KaptureEmulator(faults=FaultPlan.script(list(faults)))


async def test_every_doubt_is_settled_and_every_absent_row_is_sent(journal: Path) -> None:
    lost = [None, "close_after", "close_before", None, None, "close_before"]
    async with scripted(*lost) as emulator, client_of(emulator) as client:
        until = Until(client, plain(*"abcdefgh"), journal)
        done = await until.go()
        assert done == UntilDone(passes=2, lookups=1)
        assert until.steps == ["push", "reconcile", "push"]
        each_once(emulator.ledger, "abcdefgh")
        assert judge(journal, emulator.ledger).accepted == 8


async def test_unsent_rows_are_not_held_up_by_the_settle_time(journal: Path) -> None:
    async with (
        scripted(None, "close_before", None, COME_BACK) as emulator,
        client_of(emulator) as client,
    ):
        until = Until(client, plain(*"abcdefgh"), journal)
        done = await until.go()
        # The rest of the source is in the helpdesk before anybody waits for the doubt.
        assert until.steps == ["push", 1000.0, "push", "reconcile", "push"]
        assert (done.stopped, done.lookups) == (None, 1)
        each_once(emulator.ledger, "abcdefgh")


async def test_a_refused_token_ends_it_and_so_does_a_wait_beyond_its_patience(
    journal: Path, tmp_path: Path
) -> None:
    async with scripted(REFUSED) as emulator, client_of(emulator) as client:
        until = Until(client, plain(*"abc"), journal)
        done = await until.go()
        assert done.stopped is not None
        assert isinstance(done.stopped.__cause__, AuthenticationError)
        assert (until.steps, titles(emulator)) == (["push"], {})
    async with scripted(None, COME_BACK) as emulator, client_of(emulator) as client:
        until = Until(client, plain(*"abc"), tmp_path / "other")
        done = await until.go(patience=999)
        assert (done.stopped and done.stopped.retry_after, until.steps) == (1000.0, ["push"])
        # The rest is still there for whoever goes on.
        assert await until.go() == UntilDone(passes=1)
        each_once(emulator.ledger, "abc")


async def test_an_address_that_never_took_a_row_is_not_waited_for(journal: Path) -> None:
    async with KaptureEmulator() as emulator:
        url = emulator.url
    async with KaptureClient(base_url=url, token="t") as client:
        until = Until(client, plain(*"abc"), journal)
        push = partial(client.tickets.push, journal=journal, give_up_after=2)

        async def passing() -> HelpdeskError | None:
            until.steps.append("push")
            with pytest.raises(PushStoppedError) as caught:
                async with push(until.rows) as outcomes:
                    async for _ in outcomes:
                        pass
            return caught.value

        until.push = passing  # type: ignore[method-assign]
        done = await until.go()
        assert isinstance(done.stopped, PushStoppedError)
        assert (done.stopped.temporary, until.steps) == (True, ["push"])


async def test_a_lookup_that_fails_is_tried_again(journal: Path) -> None:
    async with scripted("close_before", None) as emulator, client_of(emulator) as client:
        until = Until(client, plain(*"ab"), journal)
        until.lookup_errors = [ConnectError("no")] * 2
        done = await until.go()
        steps = ["push", "reconcile", 5.0, "push", "reconcile", 10.0, "push", "reconcile", "push"]
        assert (done.stopped, until.steps) == (None, steps)
        each_once(emulator.ledger, "ab")


async def test_what_only_a_person_can_resolve_ends_it(journal: Path) -> None:
    async with scripted("close_before") as emulator, client_of(emulator) as client:
        until = Until(client, [Row({"title": "a"}, "1")], journal)  # no other ticket is shown
        assert await until.go() == UntilDone(passes=1, lookups=1)
        assert judge(journal, emulator.ledger).unknown == 1


async def test_rows_that_fail_alone_hold_nothing_up_for_ever(journal: Path) -> None:
    limit = [None, *[Fault("status", status=429)] * 400]
    async with scripted(*limit) as emulator, client_of(emulator) as client:
        until = Until(client, plain(*"ab"), journal)

        async def passing() -> None:
            until.steps.append("push")
            push = client.tickets.push(
                until.rows, journal=journal, from_journal=True, patience=0.05, keep_going=True
            )
            async with push as outcomes:
                async for _ in outcomes:
                    pass

        until.push = passing  # type: ignore[method-assign]
        done = await until.go()
        assert (done.stopped, done.lookups) == (None, 0)
        assert until.steps == ["push", 5.0, "push", 10.0, "push", 20.0, "push"]
        assert titles(emulator) == {"a": 1}
