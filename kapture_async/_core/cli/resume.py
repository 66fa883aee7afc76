"""The ``resume`` command: go on with a push without typing it again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import click

from ..errors import JournalError
from ..journal.records import Job
from ..push.journaling import JournalFile
from ..push.report import Summary
from .console import console, say, show_commands, warn
from .exit_codes import code_of_push
from .journal_status import Standing, counts_json, standing_of
from .next_steps import push_command, ways_on
from .options import Target, target_options
from .progress import PushDisplay
from .pushend import end_of, failure_as_json, in_words, show_end
from .pushfile import push_file
from .pushing import PushRun
from .pushoptions import STDIN, PushOptions, push_options
from .reconcile import may_take_address, target_of
from .running import run
from .saved_options import Note, beside, without
from .service import Service, Work


def resume_push(
    path: str,
    again: Sequence[str],
    work: Work,
) -> int:
    """Go on with the push of a journal; returns the exit code.

    Args:
        path: of the journal.
        again: options of the push that are given anew.
        work: what it is of.
    """
    restored = "--restored" in again
    standing = standing_of(path, restored=restored)
    job, note = standing.job, standing.note
    if not again and _has_nothing_left(standing):
        left = Counter(counts_json(standing.counts))
        say(f"nothing is left to send: {in_words(standing)}", stderr=True)
        if ways := ways_on(standing, work.service_of(None)):
            show_commands(console(stderr=True), ways)
        return code_of_push(Summary(), earlier=left)
    service_of = work.service_of
    trouble = "no command line is noted in it" if note is None else note.trouble_with_file()
    arguments: list[str] = [STDIN, "--format", "csv"] if note is None or note.file is None else []
    if note is not None:
        arguments += [*([note.file] if note.file else []), *note.arguments]
    if note is None or note.file is None or not _same(beside(note.file), path):
        arguments += ["--journal", path]
    service = service_of(None)
    if trouble is None and note is not None:
        _, said = _read(work.options, service.target, [*arguments, *again])
        noted = list(note.target)
        if not may_take_address(job, said):
            noted = without(noted, *(f"--{name.replace('_', '-')}" for name in said.where))
        arguments += noted
        if note.headers and not any(one.startswith("--header") for one in again):
            warn(f"the push had extra headers ({', '.join(note.headers)}); they are not noted")
    given, target = _read(work.options, service.target, [*arguments, *again])
    if trouble is None:
        say(f"pushing {given.file} once more", stderr=True)
        return push_file(given, target, service_of(given))
    return _push_held(path, job, trouble, given, target_of(standing, target), service, note)


def _has_nothing_left(standing: Standing) -> bool:
    """Whether no row would be sent: none is left, and the file is as it was read to its end."""
    note = standing.note
    if standing.owner is not None or note is None or not note.read_to_end:
        return False
    return not standing.sendable and note.trouble_with_file() is None


def _push_held(
    path: str,
    job: Job,
    trouble: str,
    options: PushOptions,
    target: Target,
    service: Service,
    note: Note | None,
) -> int:
    """Push what the journal itself still holds."""
    if not job.payloads:
        raise JournalError(
            f"the journal {path!r} keeps no content of rows, and {trouble}",
            next_step="Push the file again, with this journal.",
        )
    warn(f"{trouble}; only what the journal itself holds is pushed")
    settings = target.settings()
    how = {
        "max_rate": options.max_rate,
        "keep_going": options.keep_going,
        "journal": JournalFile(path, job.keys, job.shape, job.source, options.again),
        "reference": service.place_in(job.place),
        "payloads": job.payloads,
        "from_journal": True,
        "restored": options.restored,
        "keys_exact": options.keys_exact,
        "new_keys": options.new_keys,
    }

    async def main() -> PushRun:
        pushing = PushRun(
            progress=PushDisplay("Pushing what the journal holds", lambda _: None), journaled=True
        )
        connection = service.connect(settings, options.max_concurrency, options.timeout)
        async with connection as (_, start):
            await pushing.go(start, [], **how)
        return pushing

    with failure_as_json(options):
        pushing = run(main)
    show_end(pushing, None, options, target, service)
    if note is not None and note.file is not None and os.path.exists(note.file):
        command = push_command(service, options, target)
        ways = [("rows of the file as it is now, which may be new:", command)]
        show_commands(console(stderr=True), ways, "Also")
    return end_of(pushing, options, target, service)


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _read(
    options: type[PushOptions], target: type[Target], arguments: Sequence[str]
) -> tuple[PushOptions, Target]:
    @click.command()
    @push_options(options)
    @target_options(target)
    def read(options: PushOptions, target: Target) -> tuple[PushOptions, Target]:
        return options, target

    found: tuple[PushOptions, Target] = read.main(
        args=list(arguments), prog_name="push", standalone_mode=False
    )
    return found
