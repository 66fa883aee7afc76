"""The journal of a push: where it is, and what it notes of the command line."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from attrs import evolve

from ..errors import JournalError
from ..journal.source import put_source
from ..push.journaling import JournalFile
from ..push.sources import FileRows
from .console import say
from .options import Target
from .pushoptions import PushOptions
from .rowsfile import KEY
from .saved_options import (
    Note,
    check_operation,
    check_shape,
    job_in,
    seen_now,
    shape_of,
    whole_paths,
    without,
)
from .service import Service


def push_settings(options: PushOptions, journal: JournalFile | None) -> dict[str, Any]:
    """What ``tickets.push`` is told beside its rows."""
    settings: dict[str, Any] = {"max_rate": options.max_rate, "keep_going": options.keep_going}
    if journal is not None:
        settings |= {
            "journal": journal,
            "reference": options.place,
            "payloads": not options.no_payload,
            "restored": options.restored,
            "new_journal": options.new_journal,
            "keys_exact": options.keys_exact,
            "new_keys": options.new_keys,
        }
    return settings


def journal_for(
    rows: FileRows, options: PushOptions, target: Target, service: Service
) -> JournalFile | None:
    """The journal of a push, with what it is to note; ``None`` if there is to be none.

    Raises:
        JournalError: there is one, and it is of other rows.
    """
    path = options.journal_path
    if path is None:
        if not options.no_journal:
            say(
                "a pipe has no place for a journal: name one with --journal PATH, and this push "
                "can be resumed",
                stderr=True,
            )
        return None
    shape = shape_of(options.columns, rows.used, service.filled_in, options.shaping)
    stored = job_in(path, restored=options.restored)
    if stored is not None:
        check_operation(path, stored, service.operation)
    if options.key == KEY:
        # Rows that `rejects` made into a file go on under the names the journal has for them.
        if stored is None:
            raise JournalError(
                f"the journal {path!r}: there is none, and --key {KEY} names rows as it does",
                next_step="Name the journal that the rows came from with --journal.",
            )
        return JournalFile(path, stored.keys, stored.shape, again=options.again)
    if stored is not None:
        check_shape(path, stored, options.keys, shape)
        say(f"going on with {path}", stderr=True)
    note = Note(
        file=None if options.from_pipe else os.path.abspath(options.file),
        arguments=whole_paths(
            without(options.as_arguments()[1:], "--journal"), *options.path_options
        ),
        target=whole_paths(target.as_arguments(), *target.path_options),
        headers=tuple(pair.partition("=")[0] for pair in target.headers),
        timeout=options.timeout,
    )
    note = seen_now(note)
    before = None if stored is None else Note.of(stored)
    same = before is not None and before.file is not None and before.file == note.file
    if before is not None and before.is_of_same_rows(note):
        note = evolve(note, read_to_end=before.read_to_end)
    return JournalFile(path, options.keys, shape, note.as_text(), options.again, same)


def note_the_end(journal: JournalFile) -> None:
    """Note in the journal that its file was read to its end, and nothing of it is missing.

    Until then nobody can tell from the journal alone whether there are rows that it has never
    seen: after a kill, say. If it cannot be noted, the next push of the file does.
    """
    note = Note.read(journal.source)
    if note is not None and not note.read_to_end:
        with contextlib.suppress(JournalError):
            put_source(journal.path, evolve(note, read_to_end=True).as_text(), at=time.time())
