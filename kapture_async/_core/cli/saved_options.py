"""What a journal notes of the command line that fills it, so that it can be gone on with.

No secret is ever in it: of headers only the names, of tokens only the files they stand in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

from attrs import asdict, evolve, frozen

from ..errors import JournalError
from ..journal.reader import ReadJournal
from ..journal.records import Job
from ..push.sources import Columns

SUFFIX = ".journal"
_VERSION = 1


@frozen(kw_only=True)
class Note:
    """A command line, to be typed again by ``resume``.

    Attributes:
        file: the pushed file, in full; ``None`` if it was standard input.
        arguments: the other arguments of ``push``.
        target: those that say where to and as whom.
        headers: names of extra headers that were given with their values.
        timeout: seconds for a request.
        size, changed: of the file when the push began.
        read_to_end: every row of the file has its place in the journal.
    """

    file: str | None
    arguments: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    timeout: float | None = None
    size: int | None = None
    changed: int | None = None
    read_to_end: bool = False

    def as_text(self) -> str:
        """It as a journal keeps it."""
        return json.dumps({"version": _VERSION, "command": "push", **asdict(self)})

    @classmethod
    def of(cls, job: Job) -> Self | None:
        """What a journal has noted; ``None`` if no command line made it."""
        return cls.read(job.source)

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """The reverse of :meth:`as_text`; ``None`` for anything else."""
        try:
            said = json.loads(text or "")
            if said.pop("version") != _VERSION or said.pop("command") != "push":
                return None
            for name in ("arguments", "target", "headers"):
                said[name] = tuple(said[name])
            return cls(**said)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    @property
    def source(self) -> str:
        """What the rows came from, in a word or two."""
        return "standard input" if self.file is None else os.path.basename(self.file)

    def is_of_same_rows(self, other: Note) -> bool:
        """Whether it is of the very same file, unchanged, read in the same way."""
        mine, theirs = (
            (note.file, note.size, note.changed, note.arguments) for note in (self, other)
        )
        return self.file is not None and mine == theirs

    def trouble_with_file(self) -> str | None:
        """Why the file is not what it was when it was pushed; ``None`` if it is."""
        if self.file is None:
            return "the rows came from standard input"
        try:
            found = os.stat(self.file)
        except OSError as error:
            return f"{self.file}: {(error.strerror or 'cannot be read').lower()}"
        if (found.st_size, found.st_mtime_ns) != (self.size, self.changed):
            return f"{self.file} was changed since the last push"
        return None


def seen_now(note: Note) -> Note:
    """The note with the file's size and time as they are now."""
    try:
        found = os.stat(note.file or "")
    except OSError:
        return note
    return evolve(note, size=found.st_size, changed=found.st_mtime_ns)


def beside(file: str) -> str:
    """Where the journal of a file is, unless another place is named."""
    return file + SUFFIX


def job_in(path: str, *, restored: bool = False) -> Job | None:
    """What the journal at this path is for; ``None`` if there is none.

    Args:
        path: where it would be.
        restored: it is an older copy; see :meth:`.ReadJournal.open_to_read`.

    Raises:
        JournalError: there is something, and it is no sound journal.
    """
    if not os.path.lexists(path):
        return None
    with ReadJournal.open_to_read(path, restored=restored) as journal:
        return journal.job


def shape_of(
    columns: Columns,
    used: Mapping[str, str],
    fixed: Mapping[str, str],
    further: Mapping[str, str | None],
) -> str:
    """How rows are made from the columns of a file, as a journal keeps and compares it.

    Args:
        columns: which column goes where, as it was asked for.
        used: as it turned out.
        fixed: what rows get that lack it.
        further: other settings that change what is sent.
    """
    shape: dict[str, Any] = {"columns": dict(used), "fixed": dict(fixed)}
    if columns.extra and not columns.extra_as_list:
        shape["extra"] = "object"
    shape |= {name: value for name, value in further.items() if value}
    return json.dumps(shape, sort_keys=True, ensure_ascii=False)


def check_operation(path: str, stored: Job, operation: str) -> None:
    """See that a journal is of the same kind of push.

    Raises:
        JournalError: it is of another.
    """
    if stored.operation != operation:
        raise JournalError(
            f"the journal {path!r} is of {stored.operation}, and this is {operation}",
            next_step="Name another journal with --journal. `status` and `resume` go on with "
            "that one, whatever it is of.",
        )


def check_shape(path: str, stored: Job, keys: str | None, shape: str) -> None:
    """Compare with what a journal was made with, in words that name the option to mend.

    Raises:
        JournalError: its rows were made in another way.
    """
    found: list[str] = []
    if stored.keys != keys:
        found.append(f"--key was {_named(stored.keys)}, and is {_named(keys)}")
    if stored.shape != shape:
        try:
            then, now = json.loads(stored.shape or "{}"), json.loads(shape)
        except ValueError:
            then, now = {}, {}
        for part in sorted({*then, *now}):
            one, other = then.get(part), now.get(part)
            if isinstance(one or {}, dict) and isinstance(other or {}, dict):
                found += _differences(part, one or {}, other or {})
            elif one != other:
                found.append(f"{part} was {_named(one)}, and is {_named(other)}")
        if len(found) == (stored.keys != keys):
            found.append("its rows were made in another way")
    if found:
        raise JournalError(
            f"the journal {path!r} belongs to another push of other rows: {'; '.join(found)}",
            next_step="Give the options that it was made with, or name another journal with "
            "--journal. A new journal knows nothing of what the old one has pushed.",
        )


def _differences(part: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    words = {"columns": "came from the column", "fixed": "was filled in with"}.get(part, "was")
    return [
        f"{name} {words} {_named(then.get(name))}, now {_named(now.get(name))}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]


def _named(value: Any) -> str:
    return "none" if value is None else repr(value)[:60]


def whole_paths(arguments: Sequence[str], *options: str) -> tuple[str, ...]:
    """The arguments, with the paths that these options take in full."""
    before = ("", *arguments)
    return tuple(
        os.path.abspath(argument) if option in options else argument
        for option, argument in zip(before, arguments, strict=False)
    )


def without(arguments: Sequence[str], *options: str) -> list[str]:
    """The arguments without these options and their values."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in options:
            skip = True
        else:
            kept.append(argument)
    return kept
