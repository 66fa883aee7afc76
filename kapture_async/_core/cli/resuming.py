"""The ``resume`` command: go on with a push without typing it again."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from ..errors import JournalError
from ..push.journal.facts import Job
from ..push.journal.reading import job_at
from ..push.recorder import JournalFile
from .advice import push_command
from .endreport import show_commands
from .note import Note, beside
from .options import Target, target_options
from .progress import Progress
from .pushend import end_of, failure_as_json, show_end
from .pushfile import push_file
from .pushing import PushRun
from .pushoptions import STDIN, PushOptions, push_options
from .reconciling import target_of
from .running import run
from .screen import console, say, warn
from .service import Service, Work
from .standing import standing_of


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
    job = job_at(path, restored=restored)
    service_of = work.service_of
    note = Note.of(job)
    trouble = "no command line is noted in it" if note is None else note.trouble_with_file()
    arguments: list[str] = [STDIN, "--format", "csv"] if note is None or note.file is None else []
    if note is not None:
        arguments += [*([note.file] if note.file else []), *note.arguments]
    if note is None or note.file is None or not _same(beside(note.file), path):
        arguments += ["--journal", path]
    service = service_of(None)
    if trouble is None and note is not None:
        arguments += note.target
        if note.headers and not any(one.startswith("--header") for one in again):
            warn(f"the push had extra headers ({', '.join(note.headers)}); they are not noted")
    given, target = _read(work.options, service.target, [*arguments, *again])
    if trouble is None:
        say(f"pushing {given.file} once more", stderr=True)
        return push_file(given, target, service_of(given))
    target = target_of(standing_of(path, restored=restored), target)
    return _push_held(path, job, trouble, given, target, service, note)


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
            progress=Progress("Pushing what the journal holds", lambda _: None), journaled=True
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
        show_commands(console(stderr=True), "And", ways)
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
