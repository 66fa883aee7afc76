"""What to type next, given how a push stands."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from ..journal.address import is_address, next_job, stem_of
from .console import count
from .journal_status import JournalStatus, Open
from .options import Target
from .push_options import PushOptions
from .service import Service


def next_steps(
    status: JournalStatus,
    service: Service,
    *,
    push: Sequence[str] | None = None,
    target: Sequence[str] = (),
    unread: bool = False,
    first: str = "",
    refused_too: bool = False,
) -> list[tuple[str, str]]:
    """Commands to type next, each with a few words on it.

    Args:
        status: how the push stands.
        service: what is pushed to.
        push: the arguments of the push that has just ended, if one has.
        target: the arguments that say where to and as whom.
        unread: the source was not read to its end.
        first: what has to be done before pushing.
        refused_too: offer to resend rejected rows as they are, once the cause is fixed.
    """
    journal, program = status.path, service.program.split()
    if status.owner is not None:
        watch = shlex.join([*program, "status", journal])
        return [("another process is using the journal; check again later:", watch)]
    steps: list[tuple[str, str]] = []
    if status.in_doubt:
        rows = count(status.in_doubt, "row")
        command = [*program, "reconcile", journal, *target]
        steps.append((f"look up the {rows} in doubt:", shlex.join(command)))
    if status.unlisted:
        out = f"{stem_of(journal)}.doubts.csv"
        command = [*program, "doubts", journal, "--out", out]
        what = f"list all {count(status.unlisted, 'row')} that may or may not be in the helpdesk"
        steps.append((f"{what}, in a file:", shlex.join(command)))
    if status.to_resolve is not None:
        steps.append(_resolve_step(status, status.to_resolve, program))
    file = None if status.saved is None else status.saved.file
    rest = status.unread is not None and file is not None  # a pipe cannot be read once more
    if push is not None and "--shard" in push:
        rest = False  # the rest of the file is for others
    if status.sendable or unread or rest:
        what = f"push the {count(status.sendable, 'row')} that are not in the helpdesk"
        if unread or rest:
            what = "push the rest"
        if push is None and rest:
            what += f" of {status.unread}"
        if push is not None:
            what = f"{first}{what}"
            words, command = f"{what}, with the same command:", [*program, service.command, *push]
        else:
            words, command = f"{what}:", [*program, "resume", journal]
        steps.append((words, shlex.join([*command, *target])))
    if refused_too and push is not None and status.to_fix > status.refused:
        rows = count(status.to_fix - status.refused, "row")
        words = f"once the cause is fixed, also resend the {rows} that were rejected:"
        command = [*program, service.command, *push, "--rejected-too", *target]
        steps.append((words, shlex.join(command)))
    if status.to_fix:
        rows = count(status.to_fix, "row")
        out = f"{stem_of(journal)}.rejects.csv"
        command = [*program, "rejects", journal, "--out", out]
        what = f"write the {rows} to fix to a file"
        if status.to_fix > status.refused:
            what += f" (or resend them as they are: {service.command} --rejected-too)"
        steps.append((f"{what}:", shlex.join(command)))
    return steps


def steps_to_another_address(
    status: JournalStatus, service: Service, options: PushOptions, target: Target
) -> list[tuple[str, str]]:
    """Commands after a push to a wrong address: a journal is for one address, so the right one
    needs another journal."""
    steps: list[tuple[str, str]] = []
    if status.in_doubt:
        rows = count(status.in_doubt, "row")
        steps.append((f"first look up the {rows} in doubt:", service.look_up))
    if is_address(status.path):
        journal: str = next_job(status.path)
    else:
        number, start = 2, status.path.removesuffix(".journal")
        while os.path.lexists(journal := f"{start}.{number}.journal"):
            number += 1
    where: dict[str, Any] = {**dict.fromkeys(target.where), "base_url": "BASE_URL"}
    again = push_command(
        service,
        evolve(options, journal=journal, job=None, journal_schema=None),
        evolve(target, **where),
    )
    name = stem_of(status.path) if is_address(status.path) else os.path.basename(status.path)
    words = f"push to the right base URL with a new journal (or delete {name} first):"
    return [*steps, (words, again)]


def _resolve_step(status: JournalStatus, row: Open, program: Sequence[str]) -> tuple[str, str]:
    """How to resolve what no lookup could, for one of the rows."""
    rows = status.counts.ambiguous + status.counts.probable + status.left_open
    ticket = row.ticket_ids[0] if len(set(row.ticket_ids)) == 1 else "TICKET_ID"
    command = [*program, "resolve", status.path, "--present", ticket]
    if row.key is None:
        command += ["--line", str(row.line)]
    else:
        command += ["--", row.key] if row.key.startswith("-") else [row.key]
    each = "the row" if rows == 1 else f"each of the {count(rows, 'row')}"
    return f"record for {each} that no lookup could resolve: --present or --absent:", (
        shlex.join(command)
    )


def push_command(service: Service, options: PushOptions, target: Target | None) -> str:
    """The push with these options, as it is typed."""
    where = [] if target is None else target.as_arguments()
    command = [*service.program.split(), service.command, *options.as_arguments(), *where]
    return shlex.join(command)
