"""Pushes, reconciles and pushes again, until nothing is left. Made to be killed at any moment.

What it hears of outcomes it tells a file at once, so that the test can hold it against them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from source import kapture_rows, support_rows

import kapture_async
import support_async
from kapture_async import JournalError, KaptureClient, PushStoppedError, SyncKaptureClient, Timeout
from kapture_async.events import RowKnown
from support_async import SupportClient

SERVICE, URL, TOKEN, JOURNAL, COUNT, TOLD = sys.argv[1:]
TIMEOUT = Timeout(total=0.3)
# A look brings a whole day of tickets in one answer.
LOOKING = Timeout(total=max(0.3, int(COUNT) / 10_000))
SETTLE = 2 * (LOOKING.total or 0)
FAILED = (kapture_async.HelpdeskError, support_async.HelpdeskError)

_told = os.open(TOLD, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def tell(*words: object) -> None:
    os.write(_told, ("\t".join(map(str, words)) + "\n").encode())


class Round:
    """One push: whether it left anything to do."""

    def __init__(self) -> None:
        self.left = 0

    def on_event(self, event: Any) -> None:
        if isinstance(event, RowKnown) and event.state not in {"accepted", "rejected"}:
            self.left += 1

    def note(self, outcome: Any) -> None:
        value = outcome.row.value
        title = value.get("title") or value.get("subject")
        tell(outcome.name, outcome.ticket_id or "", title)
        self.left += outcome.name in {"not_sent", "unknown"}


async def push_until_done(client: Any, rows: Any) -> None:
    while True:
        this = Round()
        push = client.tickets.push(rows(int(COUNT)), journal=JOURNAL, on_event=this.on_event)
        try:
            async with push as outcomes:
                async for outcome in outcomes:
                    this.note(outcome)
        except PushStoppedError:
            this.left += 1
        if not this.left:
            return
        tell("look")
        try:
            await client.with_options(timeout=LOOKING).tickets.reconcile(JOURNAL, settle=SETTLE)
        except JournalError:
            raise
        except FAILED as error:
            tell("look failed", type(error).__name__)


def push_until_done_in_sync(client: SyncKaptureClient) -> None:
    while True:
        this = Round()
        source = kapture_rows(int(COUNT))
        push = client.tickets.push(source, journal=JOURNAL, on_event=this.on_event)
        try:
            with push as outcomes:
                for outcome in outcomes:
                    this.note(outcome)
        except PushStoppedError:
            this.left += 1
        if not this.left:
            return
        tell("look")
        try:
            client.with_options(timeout=LOOKING).tickets.reconcile(JOURNAL, settle=SETTLE)
        except JournalError:
            raise
        except FAILED as error:
            tell("look failed", type(error).__name__)


async def main() -> None:
    if SERVICE == "support":
        async with SupportClient(
            URL, apikey="emulator-apikey", access_token=TOKEN, timeout=TIMEOUT
        ) as support:
            await push_until_done(support, support_rows)
    else:
        async with KaptureClient(base_url=URL, token=TOKEN, timeout=TIMEOUT) as client:
            await push_until_done(client, kapture_rows)


if SERVICE == "sync":
    with SyncKaptureClient(base_url=URL, token=TOKEN, timeout=TIMEOUT) as sync_client:
        push_until_done_in_sync(sync_client)
else:
    asyncio.run(main())
