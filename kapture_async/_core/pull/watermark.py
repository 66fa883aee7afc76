"""What an incremental export remembers from run to run, in one small file.

It holds ids, days and digests, and no word of a customer: the ids of the days that are read once
more, and of tickets that were open only once a run was asked to recheck those. It is
replaced in one step, and that step is what commits a run: before it the run has not happened,
after it the run has, down to the file with its rows, which is on the disk by then and gets its
name next. A run that is killed in between is finished by the next one. The hidden name of that
file is removed only when the state says that it has its own, so a hidden file that is missing
earlier was removed by another program.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from types import TracebackType
from typing import Any, Final, Self

import orjson
from attrs import Factory, asdict, define, fields

from ..arguments import check_path_like
from ..atomicfile import AtomicFile, publish, write_whole
from ..errors import StateError
from ..filelock import FileLock

VERSION: Final = 2
_KIND = "export state"
_ANOTHER = "Name another file, or begin a new state with --from."


@define(kw_only=True)
class Watermark:
    """The content of a state.

    Attributes:
        bound: digest of what the export is of: the service's address, zone and filters.
        place: the address, for people.
        start: the first day of all.
        kept_from: the first day that may be read again.
        newest: the last day that had a ticket, by the service's own data.
        newest_moment: when the newest ticket was created, by the same.
        ids: what was handed out, by the latest day that listed it, from the day before
            ``kept_from`` on, and around each day of ``short``.
        short: days of which the service gave fewer tickets than it says there are, so far.
        recheck: whether any run was asked to look at open tickets again.
        open: from then on, tickets that were open when last handed out, by day: id and digest.
        rows: rows in all finished outputs.
        runs: finished runs.
        partial: the hidden file of a run that has not committed.
        pending: the output of the last run, until it has its name, and what to say if it is lost.
    """

    bound: str
    place: str
    start: str
    kept_from: str
    newest: str | None = None
    newest_moment: str | None = None
    ids: dict[str, list[str]] = Factory(dict)
    short: list[str] = Factory(list)
    recheck: bool = False
    open: dict[str, dict[str, str]] = Factory(dict)
    rows: int = 0
    runs: int = 0
    partial: str | None = None
    pending: dict[str, Any] | None = None


def digest_of(parts: Mapping[str, Any]) -> str:
    """Stands for settings, of which some may be personal."""
    written = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.blake2b(written, digest_size=16).hexdigest()


class WatermarkFile:
    """The file, held against every other process while it is entered.

    Args:
        path: the file; it need not be there. Of a link, what it points to.
        bound, place: see :class:`Watermark`.
    """

    def __init__(self, path: str | os.PathLike[str], *, bound: str, place: str) -> None:
        check_path_like("state", path)
        self.path = os.path.realpath(os.fspath(path))
        self._bound = bound
        self._place = place
        self._lock = FileLock(self.path)
        self.watermark: Watermark | None = None

    def __enter__(self) -> Self:
        """Take it, read it, and finish what a run before has left unfinished.

        Raises:
            StateError: another process has it, it cannot be read, or it is of something else.
        """
        self._acquire()
        try:
            self.watermark = self._read()
            self._finish_earlier()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def new(self, start: str) -> Watermark:
        """The watermark of a first run, which begins with that day."""
        return Watermark(bound=self._bound, place=self._place, start=start, kept_from=start)

    def is_own(self, path: str) -> bool:
        """Whether a file is this one, or of its household, by whatever path it is named."""
        own = {_identity(name) for name in (self.path, self._lock.path)}
        return _identity(path) in own

    def begin(self, watermark: Watermark, output: AtomicFile) -> None:
        """Note which hidden file is being written, so that a killed run leaves none for ever.

        Raises:
            StateError: it cannot be written.
        """
        watermark.partial = output.temporary
        self._write(watermark)
        self.watermark = watermark

    def commit(self, watermark: Watermark, output: AtomicFile, *, rows: int, first: str) -> None:
        """Let a run have happened; then give its output its name.

        Args:
            watermark: what is known now.
            output: sealed.
            rows: how many are in it.
            first: the first day that was read for it.

        Raises:
            StateError: it cannot be written: the run has not happened. Or something stands in
                the output's place: the run has happened, and the next one tries again.
        """
        watermark.partial = None
        watermark.pending = {
            "temporary": output.temporary,
            "target": output.target,
            "rows": rows,
            "first": first,
        }
        self._write(watermark)  # the commit
        self.watermark = watermark
        self._finish_pending(watermark)

    # --- below: no public names -----------------------------------------------------------------

    def _acquire(self) -> None:
        refusal = self._lock.acquire(time.time())
        if refusal is None:
            return
        owner = refusal.owner
        if owner is not None:
            since = datetime.fromtimestamp(owner.since).astimezone().isoformat(" ", "seconds")
            raise StateError(
                f"process {owner.pid} on {owner.host} is exporting with {self.path!r} "
                f"since {since}",
                next_step="Wait until it ends, or stop it: the next run resumes.",
            )
        raise self._error(
            f"it cannot be locked: {refusal.words}", "Name a file on a disk of this machine."
        )

    def _read(self) -> Watermark | None:
        try:
            with open(self.path, "rb") as file:
                content = orjson.loads(file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(f"it cannot be read ({error.strerror})", _ANOTHER) from None
        except ValueError:
            content = None
        if not isinstance(content, dict) or content.pop("kind", None) != _KIND:
            raise self._error("it is not the state of an export, or it is damaged", _ANOTHER)
        version = content.pop("version", None)
        if version != VERSION:
            raise self._error(
                f"it was written by another version of this library (form {version}, and this one "
                f"knows form {VERSION})",
                _ANOTHER,
            )
        try:
            watermark = Watermark(**{name.name: content[name.name] for name in fields(Watermark)})
            days = [watermark.start, watermark.kept_from, watermark.newest or watermark.start]
            for day in (*days, *watermark.ids, *watermark.open, *watermark.short):
                date.fromisoformat(day)
        except (KeyError, TypeError, ValueError):
            raise self._error("it is damaged", _ANOTHER) from None
        if watermark.bound != self._bound:
            here = "other filters" if watermark.place == self._place else watermark.place
            raise self._error(
                f"it belongs to an export of {here}, and using it here would leave gaps",
                "Use a state of its own for each address, time zone and set of filters.",
            )
        return watermark

    def _finish_earlier(self) -> None:
        watermark = self.watermark
        if watermark is None:
            return
        if watermark.pending is not None:
            self._finish_pending(watermark)
        if watermark.partial is not None:
            with suppress(OSError):
                os.unlink(watermark.partial)

    def _finish_pending(self, watermark: Watermark) -> None:
        pending = watermark.pending
        assert pending is not None
        temporary, target = pending["temporary"], pending["target"]
        problem = ""
        if pending["rows"] and not (os.path.lexists(temporary) or os.path.lexists(target)):
            raise self._error(
                f"the {pending['rows']:,} rows of the finished run {watermark.runs:,} are in"
                f" no known file: {temporary!r} has gone, and {target!r} is not there",
                "Put one of the two back, also if you have moved the second yourself; the next "
                "run continues then. If both are lost, begin a new state with "
                f"--from {pending['first']}: it writes those days once more.",
            )
        try:
            # A hidden file with a second name has got it before, whatever that is called by now.
            # Where there are no hard links, the hidden file is gone once that was done.
            if os.path.lexists(temporary) and os.lstat(temporary).st_nlink == 1:
                publish(temporary, target)
        except OSError as error:
            problem = error.strerror or str(error)
        if problem:
            raise self._error(
                f"the rows of a finished run wait in {temporary!r} and cannot get their name "
                f"{target!r}: {problem}",
                f"Move {target!r} away; the next run gives them their name first.",
            )
        watermark.pending, watermark.partial = (
            None,
            temporary,
        )  # to be removed, now or by the next run
        self._write(watermark)
        with suppress(OSError):
            os.unlink(temporary)

    def _write(self, watermark: Watermark) -> None:
        content = {"kind": _KIND, "version": VERSION, **asdict(watermark, recurse=False)}
        try:
            write_whole(self.path, orjson.dumps(content, option=orjson.OPT_INDENT_2))
        except OSError as error:
            raise self._error(
                f"it cannot be written ({error.strerror or error})",
                "Make room, or permit it; then run it again.",
            ) from error

    def _error(self, words: str, step: str) -> StateError:
        return StateError(f"the state {self.path!r} cannot be used: {words}", next_step=step)


def _identity(path: str) -> str:
    """The same for the same file; also where the disk takes two spellings for one name."""
    return os.path.normcase(os.path.realpath(path)).casefold()
