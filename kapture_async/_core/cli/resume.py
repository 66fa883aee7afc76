"""The ``resume`` command: continue a push without typing it again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import click
from attrs import evolve

from ..errors import JournalError
from ..push.report import Summary
from .commands import exit_codes
from .console import console, say, show_commands, warn
from .exit_codes import code_of_push
from .journal_status import JournalStatus, counts_json, read_status
from .next_steps import next_steps, push_command, show_next
from .options import SUFFIX, Target, journal_argument, parse
from .push import push_file, push_held
from .push_end import in_words
from .push_options import STDIN, PushOptions
from .reconcile import target_of
from .service import Vendor, Work


def resume_push(path: str, again: Sequence[str], work: Work) -> int:
    """Resume the push of a journal; returns the exit code.

    Args:
        path: of the journal.
        again: options of the push that override the saved ones.
        work: what it is of.
    """
    status = read_status(path, restored="--restored" in again)
    saved = status.saved
    service = work.service_of(None)
    if not again and _has_nothing_left(status):
        left = Counter(counts_json(status.counts))
        say(f"nothing left to send: {in_words(status)}", stderr=True)
        show_next(console(stderr=True), next_steps(status, service))
        return code_of_push(Summary(), earlier=left)
    trouble = "it holds no saved options" if saved is None else saved.trouble_with_file()
    options: PushOptions
    given: Target
    options, given = parse(
        (work.options, service.target),
        again,
        {} if saved is None else saved.options,
        file=(None if saved is None else saved.file) or STDIN,
    )
    if options.journal is None and (saved is None or not _is_beside(saved.file, path)):
        options = evolve(options, journal=path)
    target = target_of(status, given)
    if trouble is None:
        return push_file(options, target, work.service_of(options))
    if not status.job.payloads:
        raise JournalError(
            f"the journal {path!r} does not hold the content of rows, and {trouble}",
            next_step="Push the file again, with this journal.",
        )
    warn(f"{trouble}; pushing only the rows that the journal itself holds")
    code = push_held(status.job, evolve(options, journal=path), target, service)
    if saved is not None and saved.file is not None and os.path.exists(saved.file):
        command = push_command(service, options, target)
        steps = [("rows of the file as it is now, which may be new:", command)]
        show_commands(console(stderr=True), steps, "Also")
    return code


def _has_nothing_left(status: JournalStatus) -> bool:
    """Whether no row would be sent: none is left, and the file is as it was read to its end."""
    saved = status.saved
    if status.owner is not None or saved is None or not saved.read_to_end:
        return False
    return not status.sendable and saved.trouble_with_file() is None


def _is_beside(file: str | None, journal: str) -> bool:
    return file is not None and os.path.realpath(file + SUFFIX) == os.path.realpath(journal)


@exit_codes
@journal_argument
@click.argument("again", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF PUSH]...")
def resume(vendor: Vendor, journal: str, again: tuple[str, ...]) -> int:
    """Resume the push of JOURNAL, with the file and the options saved in it.

    Options of push may follow, and override the saved ones. Secrets are not saved: they come
    from the environment or from files, as for the push. If the file is missing or has
    changed, only the rows that the journal itself holds are pushed."""
    return resume_push(journal, again, vendor.work_of(journal, restored="--restored" in again))


resume.command_settings = {"context_settings": {"ignore_unknown_options": True}}  # type: ignore[attr-defined]
