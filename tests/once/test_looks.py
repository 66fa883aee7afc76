"""Looks that see too little: what they do not show is not taken for absent."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
from attrs import evolve

from kapture_async.testing import FaultPlan, KaptureTwin
from support_async import SupportClient, Timeout
from support_async.testing import SupportTwin
from support_async.testing.twin import PASSWORD

from .judge import each_once, judge
from .pushing import SETTLE, client_of, keyed, plain, push, titles

LAST_IS_LOST = [None, None, None, None, "close_after"]


class Short(KaptureTwin):
    """Shows three tickets of a day at most, and does not say so."""

    most: int | None = 3

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        if self.operation(request) != "tickets.pull":
            return reply
        body = orjson.loads(reply.body)
        if isinstance(body["message"], list):  # and not a text that says there is nothing
            body["message"] = body["message"][: self.most]
        return evolve(reply, body=orjson.dumps(body))


async def test_a_day_that_comes_back_short(journal: Path) -> None:
    async with Short(faults=FaultPlan.script(LAST_IS_LOST)) as twin, client_of(twin) as client:
        rows = plain("a", "b", "c", "d", "e")
        await push(client, rows, journal, max_concurrency=1)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (len(found.open), found.absent, found.unseen) == (1, [], 1)
        assert (await push(client, rows, journal)).states == {"accepted": 4, "unknown": 1}
        twin.most = None
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (len(found.present), found.unseen) == (1, 0)
        assert (await push(client, rows, journal)).names == []
        each_once(twin.ledger, "abcde")
        judge(journal, twin.ledger)


async def test_without_a_witness_a_look_is_believed(journal: Path) -> None:
    async with Short(faults=FaultPlan.script(["close_before"])) as twin, client_of(twin) as client:
        await push(client, keyed(a="one"), journal)
        assert len((await client.tickets.reconcile(journal, settle=SETTLE)).absent) == 1
        assert (await push(client, keyed(a="one"), journal)).names == ["accepted"]
        assert titles(twin) == Counter(["one"])


async def test_looking_as_somebody_else(journal: Path) -> None:
    """Each user of the support service sees nothing but his own tickets."""
    subjects = "abcde"
    rows = [
        {"subject": subject, "comment": "text", "category": "3", "priority": "1"}
        for subject in subjects
    ]
    async with SupportTwin(faults=FaultPlan.script(LAST_IS_LOST)) as twin:
        settings: dict[str, Any] = {"apikey": twin.apikey, "timeout": Timeout(total=SETTLE / 2)}
        async with SupportClient(twin.url, access_token=twin.token, **settings) as client:
            await push(client, rows, journal, max_concurrency=1)  # type: ignore[arg-type]
            async with SupportClient(twin.url, **settings) as other:
                await other.login("other@example.com", PASSWORD)
                found = await other.tickets.reconcile(journal, settle=SETTLE)
                assert (len(found.open), found.absent, found.unseen) == (1, [], 4)
            found = await client.tickets.reconcile(journal, settle=SETTLE)
            assert (len(found.present), found.unseen) == (1, 0)
            await push(client, rows, journal)  # type: ignore[arg-type]
        each_once(twin.ledger, subjects)
        judge(journal, twin.ledger)
