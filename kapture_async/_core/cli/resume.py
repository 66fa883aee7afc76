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
from .exit_codes import EXIT_CODES, code_of_push
from .journal_status import Standing, counts_json, standing_of
from .next_steps import push_command, ways_on
from .options import Target, journal_argument, parse
from .push import push_file, push_held
from .push_end import in_words
from .push_options import STDIN, SUFFIX, PushOptions
from .reconcile import target_of
from .service import Vendor, Work


def resume_push(path: str, again: Sequence[str], work: Work) -> int:
    """Resume the push of a journal; returns the exit code.

    Args:
        path: of the journal.
        again: options of the push that override the saved ones.
        work: what it is of.
    """
    standing = standing_of(path, restored="--restored" in again)
    saved = standing.saved
    service = work.service_of(None)
    if not again and _has_nothing_left(standing):
        left = Counter(counts_json(standing.counts))
        say(f"nothing left to send: {in_words(standing)}", stderr=True)
        show_commands(console(stderr=True), ways_on(standing, service))
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
    target = target_of(standing, given)
    if trouble is None:
        say(f"resuming the push of {options.file}", stderr=True)
        return push_file(options, target, work.service_of(options))
    if not standing.job.payloads:
        raise JournalError(
            f"the journal {path!r} does not hold the content of rows, and {trouble}",
            next_step="Push the file again, with this journal.",
        )
    warn(f"{trouble}; pushing only the rows that the journal itself holds")
    code = push_held(standing.job, evolve(options, journal=path), target, service)
    if saved is not None and saved.file is not None and os.path.exists(saved.file):
        command = push_command(service, options, target)
        ways = [("rows of the file as it is now, which may be new:", command)]
        show_commands(console(stderr=True), ways, "Also")
    return code


def _has_nothing_left(standing: Standing) -> bool:
    """Whether no row would be sent: none is left, and the file is as it was read to its end."""
    saved = standing.saved
    if standing.owner is not None or saved is None or not saved.read_to_end:
        return False
    return not standing.sendable and saved.trouble_with_file() is None


def _is_beside(file: str | None, journal: str) -> bool:
    return file is not None and os.path.realpath(file + SUFFIX) == os.path.realpath(journal)


@exit_codes(EXIT_CODES)
@journal_argument
@click.argument("again", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF PUSH]...")
def resume(vendor: Vendor, journal: str, again: tuple[str, ...]) -> int:
    """Resume the push of JOURNAL, with the file and the options saved in it.

    Options of push may follow, and override the saved ones. Secrets are not saved: they come
    from the environment or from files, as for the push. If the file is missing or has
    changed, only the rows that the journal itself holds are pushed."""
    return resume_push(journal, again, vendor.work_of(journal, restored="--restored" in again))


resume.command_settings = {"context_settings": {"ignore_unknown_options": True}}  # type: ignore[attr-defined]
