"""What to type next, from how a push stands."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from .options import Target
from .pushoptions import PushOptions
from .standing import Standing
from .words import count


def ways_on(
    standing: Standing,
    program: str,
    *,
    push: Sequence[str] | None = None,
    target: Sequence[str] = (),
    unread: bool = False,
) -> list[tuple[str, str]]:
    """Commands to go on with, each with a few words on it.

    Args:
        standing: how the push stands.
        program: the command line as it is typed.
        push: the arguments of the push that has just been, if there was one.
        target: the arguments that say where to and as whom.
        unread: the source was not read to its end.
    """
    journal = standing.path
    if standing.owner is not None:
        watch = shlex.join([*program.split(), "status", journal])
        return [("a process has the journal just now; look again in a while:", watch)]
    ways: list[tuple[str, str]] = []
    if standing.in_doubt:
        rows = count(standing.in_doubt, "row")
        command = [*program.split(), "reconcile", journal, *target]
        ways.append((f"find out what became of the {rows} in doubt:", shlex.join(command)))
    if standing.sendable or unread:
        what = f"push the {count(standing.sendable, 'row')} not in the helpdesk"
        if unread:
            what = "push the rest"
        if push is not None:
            words, command = f"{what}, by the same command:", [*program.split(), "push", *push]
        else:
            words, command = f"{what}:", [*program.split(), "resume", journal]
        ways.append((words, shlex.join([*command, *target])))
    if standing.to_mend:
        rows = count(standing.to_mend, "row")
        out = f"{os.path.basename(journal).removesuffix('.journal')}.rejects.csv"
        command = [*program.split(), "rejects", journal, "--out", out]
        what = f"get the {rows} that must be mended, as a file"
        if standing.to_mend > standing.refused:
            what += " (as they are they go again with push --rejected-too)"
        ways.append((f"{what}:", shlex.join(command)))
    return ways


def push_command(program: str, options: PushOptions, target: Target | None) -> str:
    """The push that options tell of, as it is typed."""
    where = [] if target is None else target.as_arguments()
    return shlex.join([*program.split(), "push", *options.as_arguments(), *where])
