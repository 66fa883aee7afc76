"""The options of a push, as its journal saves them for ``resume``.

Never a secret: of headers only the names, of tokens only the files that hold them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Self

from attrs import asdict, evolve, field, frozen

from ..errors import JournalError
from ..journal.address import exists
from ..journal.reader import ReadJournal
from ..journal.records import Job
from ..push.sources.columns import Columns

_VERSION = 2


@frozen(kw_only=True)
class SavedOptions:
    """What ``resume`` needs to repeat a push.

    Attributes:
        file: the pushed file, in full; ``None`` if it was standard input.
        options: of the push, by the names of their attributes.
        target: options that say where to and as whom, likewise.
        headers: names of extra headers that were given with their values.
        size, changed: of the file when the push started.
        read_to_end: every row of the file is in the journal.
    """

    file: str | None
    options: Mapping[str, Any] = field(factory=dict)
    target: Mapping[str, Any] = field(factory=dict)
    headers: tuple[str, ...] = ()
    size: int | None = None
    changed: int | None = None
    read_to_end: bool = False

    def as_text(self) -> str:
        """It as a journal stores it."""
        return json.dumps({"version": _VERSION, "command": "push", **asdict(self)})

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """The reverse of :meth:`as_text`; ``None`` for anything else."""
        try:
            said = json.loads(text or "")
            if said.pop("version") != _VERSION or said.pop("command") != "push":
                return None
            said["headers"] = tuple(said["headers"])
            said["options"], said["target"] = _renamed(said["options"]), dict(said["target"])
            return cls(**said)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    @property
    def timeout(self) -> float | None:
        """Seconds for a request; ``None`` for the default."""
        seconds = self.options.get("timeout")
        return float(seconds) if isinstance(seconds, (int, float)) else None

    @property
    def source(self) -> str:
        """Where the rows came from, in a word or two."""
        return "standard input" if self.file is None else os.path.basename(self.file)

    def is_of_same_rows(self, other: SavedOptions) -> bool:
        """Whether it is of the very same file, unchanged, read in the same way."""
        mine, theirs = (
            (each.file, each.size, each.changed, json.dumps(each.options, sort_keys=True))
            for each in (self, other)
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
            return f"{self.file} has changed since the last push"
        return None

    def seen_now(self) -> Self:
        """It with the file's size and time as they are now."""
        try:
            found = os.stat(self.file or "")
        except OSError:
            return self
        return evolve(self, size=found.st_size, changed=found.st_mtime_ns)


def _renamed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as journals of earlier versions have them, under the names of today."""
    found = dict(options)
    if fields := found.pop("extra", ()):
        found["map"] = [*found.get("map", ()), *fields]
    if shape := found.pop("extra_shape", None):
        found["object_shape"] = shape
    return found


def job_in(path: str, *, restored: bool = False) -> Job | None:
    """What the journal at this path is for; ``None`` if it does not exist.

    Args:
        path: where it would be.
        restored: it is an older copy; see :meth:`.ReadJournal.open_to_read`.

    Raises:
        JournalError: it is not a sound journal.
    """
    if not exists(path):
        return None
    with ReadJournal.open_to_read(path, restored=restored) as journal:
        return journal.job


def shape_of(
    columns: Columns,
    used: Mapping[str, str],
    fixed: Mapping[str, str],
    further: Mapping[str, Any],
) -> str:
    """How rows are made from the columns of a file, as a journal stores and compares it.

    Args:
        columns: which column goes where, by the options.
        used: which columns are used in fact.
        fixed: what rows get that lack it.
        further: other settings that change what is sent.
    """
    shape: dict[str, Any] = {"columns": dict(used), "fixed": dict(fixed)}
    if columns.nested and not columns.as_list:
        shape["extra"] = "object"
    shape |= {name: value for name, value in further.items() if value}
    return json.dumps(shape, sort_keys=True, ensure_ascii=False)


def check_operation(path: str, stored: Job, operation: str) -> None:
    """Check that a journal is of the same kind of push.

    Raises:
        JournalError: it is not.
    """
    if stored.operation != operation:
        raise JournalError(
            f"the journal {path!r} is of {stored.operation}, and this is {operation}",
            next_step="Name another journal with --journal. `status` and `resume` work with "
            "any journal.",
        )


def check_shape(path: str, stored: Job, keys: str | None, shape: str) -> None:
    """Compare the options with those that a journal was made with.

    Raises:
        JournalError: its rows were made in another way; the message names the options.
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
            f"the journal {path!r} belongs to a push of other rows: {'; '.join(found)}",
            next_step="Use the options that it was made with, or another journal with "
            "--journal. A new journal does not know what the old one has pushed.",
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
