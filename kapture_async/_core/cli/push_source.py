"""What a push from the command line tells the journal of its source, and takes from it."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from attrs import evolve

from ..errors import JournalError
from ..journal.address import put_source
from ..journal.records import Job
from ..push.row_codec import SourceFile
from ..push.sources.rows import FileRows
from .console import say
from .options import Target
from .push_options import PushOptions
from .saved_options import SavedOptions, check_operation, check_shape, job_in, shape_of
from .service import Service
from .source_file import KEY, constants_of


def push_settings(options: PushOptions) -> dict[str, Any]:
    """The arguments of ``tickets.push`` beside its rows."""
    settings: dict[str, Any] = {"max_rate": options.max_rate, "keep_going": options.keep_going}
    if options.journal_path is not None:
        settings |= {
            "journal": options.journal_path,
            "reference": options.place,
            "payloads": not options.no_payload,
            "restored": options.restored,
            "new_journal": options.new_journal,
            "keys_exact": options.keys_exact,
            "new_keys": options.new_keys,
        }
    return settings


def held_push(
    job: Job, options: PushOptions, service: Service
) -> tuple[SourceFile, dict[str, Any]]:
    """How the rows are pushed that a journal itself holds: what it records of their file, and the
    arguments of ``tickets.push``."""
    source = SourceFile(job.keys, job.shape, job.source, options.again)
    how = push_settings(options) | {
        "reference": service.place_in(job.place),
        "payloads": job.payloads,
        "from_journal": True,
        "new_journal": False,
    }
    return source, how


def source_for(
    rows: FileRows, options: PushOptions, target: Target, service: Service
) -> SourceFile | None:
    """What the journal of a push records of its file; ``None`` if there is to be no journal.

    Raises:
        JournalError: it exists, and is of other rows.
    """
    path = options.journal_path
    if path is None:
        if not options.no_journal:
            say(
                "no journal: a pipe has no place for one; use --journal PATH to be able to resume",
                stderr=True,
            )
        return None
    shape = shape_of(options.columns, rows.used, constants_of(options, service), options.shaping)
    stored = job_in(path, restored=options.restored)
    if stored is not None:
        check_operation(path, stored, service.operation)
    if options.key == KEY:
        # Rows from a file that `rejects` made keep the names that the journal has for them.
        if stored is None:
            raise JournalError(
                f"there is no journal {path!r}, and --key {KEY} names rows as a journal does",
                next_step="Name the journal that the rows came from with --journal.",
            )
        return SourceFile(stored.keys, stored.shape, again=options.again)
    if stored is not None:
        check_shape(path, stored, options.keys, shape)
        say(f"resuming with {path}", stderr=True)
    saved = SavedOptions(
        file=None if options.from_pipe else os.path.abspath(options.file),
        options=options.to_save(),
        target=target.to_save(),
        headers=tuple(pair.partition("=")[0] for pair in target.headers),
    ).seen_now()
    before = None if stored is None else SavedOptions.read(stored.source)
    same = before is not None and before.file is not None and before.file == saved.file
    if before is not None and before.is_of_same_rows(saved):
        saved = evolve(saved, read_to_end=before.read_to_end)
    return SourceFile(options.keys, shape, saved.as_text(), options.again, same)


def save_the_end(options: PushOptions, source: SourceFile) -> None:
    """Record in the journal that its file was read to its end, and no row of it is missing.

    Without that, the journal alone does not show whether there are rows that it has never seen:
    after a kill, for example. If it cannot be recorded, the next push of the file does it.
    """
    saved = SavedOptions.read(source.saved)
    assert options.journal_path is not None
    if saved is not None and not saved.read_to_end:
        with contextlib.suppress(JournalError):
            put_source(
                options.journal_path, evolve(saved, read_to_end=True).as_text(), at=time.time()
            )
