"""One list of scenarios through both clients: equal results, errors and requests.

The sync client has no code of its own to test, so this replaces a second test suite.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support_async import (
    NewTicket,
    Push,
    RetryPolicy,
    Status,
    SupportClient,
    SyncPush,
    SyncSupportClient,
    Timeout,
)
from support_async.testing import Fault, FaultPlan, SupportEmulator

from ..scenarios import Do, plain, told_by_async, told_by_sync
from .made import TICKET

START = 1_713_516_551.0
MINE, THEIRS, TAGGED = "101", "102", "103"
FILE, NO_FILE = "901", "909"


def new_emulator() -> SupportEmulator:
    emulator = SupportEmulator(faults=FaultPlan(), clock=lambda: START, open_ticket_limit=6)
    emulator.seed(subject="mine", comment="c")
    emulator.seed(subject="theirs", author="other@example.com")
    emulator.seed(subject="tagged", tags=[2, 3], status=Status.CLOSED)
    emulator.seed_reply(MINE, "answer")
    emulator.seed_attachment(MINE, "résumé.txt", b"0123456789" * 1000)
    return emulator


def raws(rows: Any) -> list[Any]:
    return [row.raw for row in rows]


def asking_for(fault: Fault) -> dict[str, Any]:
    return {**TICKET, "headers": fault.headers()}


def file_of(do: Do, folder: Path, **more: Any) -> tuple[str, bytes]:
    path = do.call(do.client.attachments.download(FILE, folder, **more))
    return path.name, path.read_bytes()


def outcomes_of(do: Do, *args: Any, **more: Any) -> list[Any]:
    push: Push[None] | SyncPush[None] = do.tickets.push(*args, max_concurrency=1, **more)
    return sorted(
        (o.index, o.name, o.key, o.reason, type(getattr(o, "error", None)).__name__)
        for o in do.outcomes(push)
    )


SCENARIOS: dict[str, Callable[[Do, Path], Any]] = {
    "categories": lambda do, _: raws(do.call(do.client.categories.list())),
    "tags": lambda do, _: raws(do.call(do.client.tags.list())),
    "create by fields": lambda do, _: do.call(
        do.tickets.create(subject="Grüße", comment="a\r\nb", category="04", priority=2)
    ),
    "create whole with a file": lambda do, _: do.call(
        do.tickets.create(NewTicket(**TICKET, attachment=('a"b.txt', b"x" * 5000)))
    ),
    "create with a path": lambda do, folder: (
        (folder / "p.txt").write_bytes(b"p"),
        do.call(do.tickets.create(**TICKET, attachment=folder / "p.txt")),
    )[1],
    "create bad": lambda do, _: do.call(do.tickets.create(**(TICKET | {"subject": " "}))),
    "create nothing": lambda do, _: do.call(do.tickets.create()),
    "create too large": lambda do, _: do.call(
        do.tickets.create(**TICKET, attachment=bytes(2 * 2**20 + 1))
    ),
    "create refused": lambda do, _: do.call(
        do.tickets.create(**(TICKET | {"category": 9, "priority": "9"}))
    ),
    "create over the limit": lambda do, _: [do.call(do.tickets.create(**TICKET)) for _ in range(7)],
    "create with a lost answer": lambda do, _: do.call(
        do.tickets.create(**asking_for(Fault("reset_after")))
    ),
    "create told to wait for long": lambda do, _: do.call(
        do.tickets.create(**asking_for(Fault("status", status=429, retry_after="99")))
    ),
    "create behind a small proxy": lambda do, _: do.call(
        do.tickets.create(**asking_for(Fault("status", status=413)), attachment=b"x")
    ),
    "silence": lambda do, _: do.call(
        do.copy(timeout=0.5).tickets.create(**asking_for(Fault("silence_before")))
    ),
    "create and find": lambda do, _: do.call(do.tickets.create_and_find(**TICKET)),
    "create and find in doubt": lambda do, _: do.call(
        do.tickets.create_and_find(NewTicket(**TICKET), headers=Fault("unknown_shape").headers())
    ),
    "history": lambda do, _: raws(
        do.call(do.tickets.history(offset=1, limit=5, subject="t", category=3, status="3"))
    ),
    "history of nothing": lambda do, _: do.call(do.tickets.history(subject="nothing")),
    "history bad": lambda do, _: do.call(do.tickets.history(limit=0)),
    "iter": lambda do, _: raws(do.rows(do.tickets.iter(limit=1))),
    "iter bad": lambda do, _: do.rows(do.tickets.iter(status="open")),
    "iter refused": lambda do, _: do.rows(
        do.tickets.iter(headers=Fault("status", status=403).headers())
    ),
    "get": lambda do, _: do.call(do.tickets.get(MINE)).raw,
    "get nothing": lambda do, _: do.call(do.tickets.get(999)),
    "get somebody else's": lambda do, _: do.call(do.tickets.get(THEIRS)),
    "a read is asked again": lambda do, _: do.call(
        do.tickets.get(MINE, headers=Fault("close_before").headers())
    ),
    "update": lambda do, _: do.call(do.tickets.update(MINE, tags=[1, 1, "2"], priority="3")),
    "update without tags": lambda do, _: do.call(do.tickets.update(MINE, tags=[])),
    "update refused": lambda do, _: do.call(do.tickets.update(MINE, tags=[77])),
    "set priority": lambda do, _: do.call(do.tickets.set_priority(TAGGED, 3)),
    "set priority without tags": lambda do, _: do.call(do.tickets.set_priority(MINE, 3)),
    "reply": lambda do, _: do.call(do.tickets.reply(MINE, "danke\r\n", attachment=b"\0")),
    "reply with nothing": lambda do, _: do.call(do.tickets.reply(MINE, "")),
    "close": lambda do, _: do.call(do.tickets.close(MINE)),
    "close twice": lambda do, _: [do.call(do.tickets.close(MINE)) for _ in range(2)],
    "reopen": lambda do, _: do.call(do.tickets.reopen(int(TAGGED))),
    "download": lambda do, folder: file_of(do, folder),
    "download nothing": lambda do, folder: do.call(do.client.attachments.download(NO_FILE, folder)),
    "download too much": lambda do, folder: file_of(do, folder, max_bytes=100),
    "download there already": lambda do, folder: (
        (folder / "a").write_bytes(b""),
        do.call(do.client.attachments.download(FILE, folder / "a")),
    )[1],
    "stream": lambda do, _: b"".join(do.outcomes(do.client.attachments.stream(FILE))),
    "stream nothing": lambda do, _: do.outcomes(do.client.attachments.stream(NO_FILE)),
    "login refused": lambda do, _: do.call(do.client.login("member@example.com", "wrong")),
    "login with nothing": lambda do, _: do.call(do.client.login("", "")),
    "push": lambda do, _: outcomes_of(
        do,
        [dict(TICKET), {}, NewTicket(**TICKET), 5, TICKET | {"category": 9}],
        key=lambda row: "k",
    ),
    "push of one row": lambda do, _: outcomes_of(do, dict(TICKET)),
    "push with a wrong token": lambda do, _: outcomes_of(
        do.copy(headers={"Authorization": "Bearer wrong"}), [dict(TICKET)] * 10, give_up_after=1
    ),
}

STAYS_HERE = {
    *("create bad", "create nothing", "create too large", "history bad", "iter bad"),
    *("update without tags", "reply with nothing", "login with nothing", "push of one row"),
    "download there already",
}
"""What is refused before it is sent; of all others both emulators must have heard."""

SETTINGS: dict[str, Any] = {
    "timeout": Timeout(total=5.0),
    "retry": RetryPolicy(attempts=2, first_wait=0.001),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_clients_tell_the_same_story(name: str, tmp_path: Path) -> None:
    told = []
    token = new_emulator().token
    for tell, cls in ((told_by_async, SupportClient), (told_by_sync, SyncSupportClient)):
        emulator = new_emulator()
        folder = tmp_path / "folder"
        folder.mkdir()
        story = tell(
            lambda do, folder=folder: SCENARIOS[name](do, folder),
            emulator,
            lambda cls=cls, emulator=emulator: cls(
                emulator.url, apikey=emulator.apikey, access_token=token, **SETTINGS
            ),
        )
        assert bool(story["requests"]) == (name not in STAYS_HERE)
        story["files"] = sorted((path.name, path.read_bytes()) for path in folder.iterdir())
        told.append(plain(story))
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    assert told[0] == told[1]
