"""What to type next, given how a push stands: one command first, and what else is possible."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from ..journal.address import is_address, next_job, stem_of
from .console import clean, count, one_line
from .journal_status import JournalStatus, Open
from .options import Target
from .push_options import PushOptions
from .service import Service

if TYPE_CHECKING:
    from rich.console import Console

Step = tuple[str, str]
"""A few words, and the command that they are about."""


@frozen(kw_only=True)
class Ended:
    """What a push that has just ended adds to what its journal says.

    Attributes:
        push: the arguments of the push, if only the same command can resume it: its rows came
            from a pipe, or are a part of a file.
        unread: the source was not read to its end.
        first: what a person has to do before.
        options: further options that the next push needs.
        journal: another one, which has the same rows: what is safe starts there.
        listed: the file in which the doubts were listed.
    """

    push: Sequence[str] | None = None
    unread: bool = False
    first: str = ""
    options: Sequence[str] = ()
    journal: str | None = None
    listed: str = ""


def next_steps(status: JournalStatus, service: Service, ended: Ended | None = None) -> list[Step]:
    """What to do next, most urgent first; empty if nothing is left to do.

    Args:
        status: how the push stands.
        service: what is pushed to.
        ended: what the push that has just ended adds.
    """
    ended = ended or Ended()
    journal, program = status.path, service.program.split()

    def command(name: str, *words: str) -> str:
        return shlex.join([*program, name, *words])

    def push(*options: str) -> str:
        name, what = ("resume", [journal]) if ended.push is None else (service.command, ended.push)
        return command(name, *what, *options)

    if status.owner is not None:
        words = "another process is using the journal; look again later"
        return [(words, command("status", journal))]
    steps: list[Step] = []
    if ended.journal is not None:
        words = "another journal has these rows: see how its push stands"
        steps.append((words, command("status", ended.journal)))
    file = None if status.saved is None else status.saved.file
    rest = ended.unread or (status.unread is not None and file is not None)
    if ended.push is not None and "--shard" in ended.push:
        rest = False  # the rest of the file is for others
    if status.to_look_up or status.sendable or rest:
        first = ended.first or ("renew the token, then " if status.token_refused else "")
        does = []
        if status.to_look_up:
            does.append(f"look up the {count(status.to_look_up, 'row')} in doubt")
        if rest:
            does.append("push the rest" + (f" of {status.unread}" if status.unread else ""))
        elif status.sendable:
            does.append(f"push the {count(status.sendable, 'row')} that are not there")
        steps.append((first + " and ".join(does), push(*ended.options, "--until-done")))
    if status.to_resolve is not None:
        steps += _steps_to_resolve(status, status.to_resolve, command, ended.listed)
    if status.to_fix:
        words = f"write the {count(status.to_fix, 'row')} to fix to a file"
        out = f"{stem_of(journal)}.rejects.csv"
        steps.append((words, command("rejects", journal, "--out", out)))
    if status.in_doubt:
        words = f"only look up the {count(status.in_doubt, 'row')} in doubt"
        steps.append((words, command("reconcile", journal)))
    if status.unlisted and status.to_resolve is None:
        words = f"list the {count(status.unlisted, 'row')} that may or may not be there"
        out = f"{stem_of(journal)}.doubts.csv"
        steps.append((words, command("doubts", journal, "--out", out)))
    if status.to_fix > status.refused:
        rows = count(status.to_fix - status.refused, "row")
        words = f"once the cause is fixed, resend the {rows} that were rejected, as they are"
        steps.append((words, push("--rejected-too")))
    return steps


def show_next(screen: Console, steps: Sequence[Step], more: str = "") -> None:
    """The one command to type next.

    Args:
        screen: where.
        steps: what could be done, the most urgent first; the others are not shown.
        more: the command that shows the others.
    """
    if not steps:
        return
    words, command = steps[0]
    screen.print()
    screen.print(one_line(f"Next: {words}"), style="bold")
    screen.print(f"  {clean(command)}", soft_wrap=True)
    if len(steps) > 1 and more:
        screen.print(f"  (other steps: {clean(more)})", style="dim", soft_wrap=True)


def steps_to_another_address(
    status: JournalStatus, service: Service, options: PushOptions, target: Target
) -> list[Step]:
    """Commands after a push to a wrong address: a journal is for one address, so the right one
    needs another journal."""
    steps: list[Step] = []
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


def _steps_to_resolve(
    status: JournalStatus, row: Open, command: Callable[..., str], listed: str
) -> list[Step]:
    """How to resolve what no lookup could: one row by its name, several by a file."""
    journal = status.path
    rows = status.counts.ambiguous + status.counts.probable + status.left_open
    ticket = row.ticket_ids[0] if len(set(row.ticket_ids)) == 1 else "TICKET_ID"
    named = ["--line", str(row.line)] if row.key is None else [row.key]
    if row.key is not None and row.key.startswith("-"):
        named = ["--", row.key]
    one = command("resolve", journal, "--present", ticket, *named)
    if rows == 1:
        return [("record what you found of the row no lookup could resolve (or --absent)", one)]
    if listed:
        words = f"fill in what you find of the {count(rows, 'row')} in {listed}, then record it"
        return [(words, command("resolve", journal, "--from", listed))]
    out = f"{stem_of(journal)}.doubts.csv"
    words = f"list the {count(rows, 'row')} that no lookup could resolve, to fill in what you find"
    filled = command("resolve", journal, "--from", out)
    return [
        (words, command("doubts", journal, "--out", out)),
        ("record what you filled in there", filled),
        ("or record one row (--present or --absent)", one),
    ]


def push_command(service: Service, options: PushOptions, target: Target | None) -> str:
    """The push with these options, as it is typed."""
    where = [] if target is None else target.as_arguments()
    command = [*service.program.split(), service.command, *options.as_arguments(), *where]
    return shlex.join(command)
