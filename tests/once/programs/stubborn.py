"""Pushes and reconciles, again and again, until a round has changed nothing.

Made to be killed at any moment, and to meet everything that helpdesks do: whatever stops a push,
it goes on with the next round. The default settle time is shorter here than in the product: the
emulator is never later than that.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter

from source import odd_rows

from kapture_async import HelpdeskError, KaptureClient, PushStoppedError, Timeout
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.reconcile import reconcile

URL, TOKEN, JOURNAL, COUNT, TOLD = sys.argv[1:]
TIMEOUT = Timeout(total=max(0.3, int(COUNT) / 4000))
LOOKING = Timeout(total=max(0.4, int(COUNT) / 2000))
reconcile.SETTLE = 2 * (LOOKING.total or 0)

_told = os.open(TOLD, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def tell(*words: object) -> None:
    os.write(_told, ("\t".join(map(str, words)) + "\n").encode())


async def one_round(client: KaptureClient, *, probe: bool) -> bool:
    """Whether there must be another one, although it may have changed nothing."""
    try:
        async with client.tickets.push(odd_rows(int(COUNT)), journal=JOURNAL) as outcomes:
            async for outcome in outcomes:
                if outcome.name == "accepted":
                    value = outcome.row.value
                    tell("accepted", outcome.ticket_id or "", value["title"], outcome.checked)
    except PushStoppedError as stopped:
        tell("stopped", str(stopped).replace("\n", " "))
        if "another copy of this journal" in str(stopped):  # it says until when to wait
            await asyncio.sleep(0.2)
            return True
    except HelpdeskError as error:  # an older copy that could not read the lists
        tell("failed", type(error).__name__)
        return True
    tell("look")
    try:
        await client.with_options(timeout=LOOKING).tickets.reconcile(JOURNAL, probe=probe)
    except HelpdeskError as error:
        tell("look failed", type(error).__name__)
        return True
    return False


def states() -> Counter[str]:
    with ReadJournal.open_to_read(JOURNAL) as reader:
        return Counter(state.value for *_, state in reader.names())


async def main() -> None:
    async with KaptureClient(base_url=URL, token=TOKEN, timeout=TIMEOUT) as client:
        alike, before = 0, Counter[str]()
        while alike < 2:  # the second of them with a trial ticket
            again = await one_round(client, probe=alike > 0)
            now = states()
            # Stopped, or an older copy that must wait before it sends.
            again |= now.total() < int(COUNT) or now["not_sent"] > 0
            alike = 0 if again or now != before else alike + 1 if now["unknown"] else 2
            before = now


asyncio.run(main())
