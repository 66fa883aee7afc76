"""What to type next, from how a push stands."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from .formatting import count
from .journal_status import Open, Standing
from .options import Target
from .pushoptions import PushOptions
from .service import Service


def ways_on(
    standing: Standing,
    service: Service,
    *,
    push: Sequence[str] | None = None,
    target: Sequence[str] = (),
    unread: bool = False,
    first: str = "",
    refused_too: bool = False,
) -> list[tuple[str, str]]:
    """Commands to go on with, each with a few words on it.

    Args:
        standing: how the push stands.
        service: what is pushed to.
        push: the arguments of the push that has just been, if there was one.
        target: the arguments that say where to and as whom.
        unread: the source was not read to its end.
        first: what has to be done before anything is pushed.
        refused_too: refused rows may go once more as they are, once the cause is corrected.
    """
    journal, program = standing.path, service.program.split()
    if standing.owner is not None:
        watch = shlex.join([*program, "status", journal])
        return [("a process has the journal just now; look again in a while:", watch)]
    ways: list[tuple[str, str]] = []
    if standing.in_doubt:
        rows = count(standing.in_doubt, "row")
        command = [*program, "reconcile", journal, *target]
        ways.append((f"find out what became of the {rows} in doubt:", shlex.join(command)))
    if standing.unlisted:
        out = f"{os.path.basename(journal).removesuffix('.journal')}.doubts.csv"
        command = [*program, "doubts", journal, "--out", out]
        what = f"list all {count(standing.unlisted, 'row')} that may be in the helpdesk or not"
        ways.append((f"{what}, as a file:", shlex.join(command)))
    if standing.to_judge is not None:
        ways.append(_judge_way(standing, standing.to_judge, program))
    file = None if standing.note is None else standing.note.file
    rest = standing.unread is not None and file is not None  # a pipe cannot be read once more
    if standing.sendable or unread or rest:
        what = f"push the {count(standing.sendable, 'row')} not in the helpdesk"
        if unread or rest:
            what = "push the rest"
        if push is None and rest:
            what += f" of {standing.unread}"
        if push is not None:
            what = f"{first}{what}"
            words, command = f"{what}, by the same command:", [*program, service.command, *push]
        else:
            words, command = f"{what}:", [*program, "resume", journal]
        ways.append((words, shlex.join([*command, *target])))
    if refused_too and push is not None and standing.to_mend > standing.refused:
        rows = count(standing.to_mend - standing.refused, "row")
        words = f"once the cause is corrected, the same with the {rows} that were refused:"
        command = [*program, service.command, *push, "--rejected-too", *target]
        ways.append((words, shlex.join(command)))
    if standing.to_mend:
        rows = count(standing.to_mend, "row")
        out = f"{os.path.basename(journal).removesuffix('.journal')}.rejects.csv"
        command = [*program, "rejects", journal, "--out", out]
        what = f"get the {rows} that must be mended, as a file"
        if standing.to_mend > standing.refused:
            what += f" (as they are they go again with {service.command} --rejected-too)"
        ways.append((f"{what}:", shlex.join(command)))
    return ways


def ways_to_another_address(
    standing: Standing, service: Service, options: PushOptions, target: Target
) -> list[tuple[str, str]]:
    """Commands after a push to a wrong address, of which nothing is in the helpdesk: a journal is
    for one address, so the right one takes another."""
    ways: list[tuple[str, str]] = []
    if standing.in_doubt:
        rows = count(standing.in_doubt, "row")
        ways.append((f"look up the {rows} in doubt, before anything else:", service.look_up))
    number, start = 2, standing.path.removesuffix(".journal")
    while os.path.lexists(journal := f"{start}.{number}.journal"):
        number += 1
    where: dict[str, Any] = {**dict.fromkeys(target.where), "base_url": "BASE_URL"}
    again = push_command(service, evolve(options, journal=journal), evolve(target, **where))
    name = os.path.basename(standing.path)
    words = f"push to the right base URL, with a journal for that (or delete {name} first):"
    return [*ways, (words, again)]


def _judge_way(standing: Standing, row: Open, program: Sequence[str]) -> tuple[str, str]:
    """How to settle what no look can: for one of the rows."""
    rows = standing.counts.ambiguous + standing.counts.probable + standing.left_open
    ticket = row.ticket_ids[0] if len(set(row.ticket_ids)) == 1 else "TICKET_ID"
    command = [*program, "judge", standing.path, "--present", ticket]
    if row.key is None:
        command += ["--line", str(row.line)]
    else:
        command += ["--", row.key] if row.key.startswith("-") else [row.key]
    each = "say of the row" if rows == 1 else f"say of each of the {count(rows, 'row')}"
    return f"{each} that no look could settle what you found, --present or --absent:", (
        shlex.join(command)
    )


def push_command(service: Service, options: PushOptions, target: Target | None) -> str:
    """The push that options tell of, as it is typed."""
    where = [] if target is None else target.as_arguments()
    command = [*service.program.split(), service.command, *options.as_arguments(), *where]
    return shlex.join(command)
