"""What this machine records about each journal outside its file, to recognise older copies.

A journal cannot tell by itself whether it is the newest copy: an older one looks the same. So each
run leaves a *mark* in the user's state directory, one small file per journal: the random nonce of
the last run, and the number of rows and events. A journal without that run, or with fewer rows or
events, is an older copy, or one that was used on its own since (every run has its own nonce). The
mark also names the contents of some rows, so that a new journal of the same rows is recognised; see
:func:`sketch_of`.

A mark is not synced and up to two seconds old: it is never ahead of the disk, so it is always true.
Without one nothing is known: another machine, another user, a state directory that was cleared or
is not writable. Two copies used on two machines are not detected.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b

from attrs import asdict, field, frozen

from .records import Counts, Job

logger = logging.getLogger("kapture_async.push")

VARIABLE = "KAPTURE_ASYNC_STATE"
"""Names another directory than the user's own."""
EVERY = 2.0
"""Seconds between two marks of a run."""
_VERSION = 1
_MOST = 1000
_OLDEST = 400 * 86400.0
_END = ".mark"


@frozen(kw_only=True)
class Mark:
    """The last known state of a journal.

    Attributes:
        job_id: of the journal.
        nonce: of its last run.
        rows, events: how many there were.
        path: where it was.
        at: when it was left.
        closed: no process had it open.
        doubts: rows that were in flight or in doubt.
        sent: rows that are in the helpdesk, or may be.
        contents: some of its rows; see :func:`sketch_of`.
    """

    job_id: str
    nonce: str
    rows: int
    events: int
    path: str
    at: float
    closed: bool
    doubts: int
    sent: int
    contents: str = field(default="", repr=False)

    @property
    def quiet(self) -> bool:
        """Whether nothing can have been executed after it without its journal knowing."""
        return self.closed and not self.doubts

    @property
    def is_there(self) -> bool:
        """Whether there is a file where its journal was."""
        return os.path.exists(self.path)


def is_ahead(mark: Mark, runs: Sequence[tuple[str, int, int]], rows: int, events: int) -> bool:
    """Whether this machine has seen rows or events that are missing from a journal.

    Args:
        mark: what was seen.
        runs: of the journal, the first one first: the nonce of each, and how many rows and events
            there were when it began.
        rows, events: how many there are.
    """
    reached = rows, events
    for nonce, *before in reversed(runs):
        if nonce == mark.nonce:
            return reached[0] < mark.rows or reached[1] < mark.events
        reached = before[0], before[1]
    return True


def folder() -> str:
    """Where the marks are."""
    named = os.environ.get(VARIABLE)
    if named:
        return named
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser(r"~\AppData\Local")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Application Support")
    else:
        base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "kapture-async")


@contextmanager
def kept_in(where: str) -> Iterator[None]:
    """Keep marks in another folder for a while, so that a demo leaves none behind."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = where
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def read(job: Job) -> Mark | None:
    """The mark of a journal; ``None`` if there is none that can be read."""
    return _read(_path_of(job))


def write(mark: Mark, job: Job) -> None:
    """Replace the mark of a journal.

    Raises:
        OSError: it cannot be written.
    """
    where = folder()
    os.makedirs(where, mode=0o700, exist_ok=True)
    temporary = os.path.join(where, f".{secrets.token_hex(8)}.part")
    text = json.dumps({"version": _VERSION, **asdict(mark)})
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, _path_of(job))
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def of_same_target(job: Job) -> Iterator[Mark]:
    """The marks of other journals of the same service, operation and target."""
    start = f"{_place_of(job)}-"
    try:
        names = os.listdir(folder())
    except OSError:
        return
    for name in names:
        if name.startswith(start) and name.endswith(_END):
            mark = _read(os.path.join(folder(), name))
            if mark is not None and mark.job_id != job.job_id:
                yield mark


def every() -> Iterator[Mark]:
    """The marks of all journals."""
    try:
        names = os.listdir(folder())
    except OSError:
        return
    for name in names:
        mark = _read(os.path.join(folder(), name)) if name.endswith(_END) else None
        if mark is not None:
            yield mark


def tidy() -> None:
    """Remove marks that are too old, and the oldest where there are too many."""
    now = time.time()
    with suppress(OSError), os.scandir(folder()) as entries:
        found = sorted(
            (entry.stat().st_mtime, entry.path) for entry in entries if entry.name.endswith(_END)
        )
        for number, (at, path) in enumerate(found):
            if number < len(found) - _MOST or at < now - _OLDEST:
                with suppress(OSError):
                    os.unlink(path)


def _read(path: str) -> Mark | None:
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
        if said.pop("version") != _VERSION:
            return None
        return Mark(**said)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None


def _path_of(job: Job) -> str:
    return os.path.join(folder(), f"{_place_of(job)}-{job.job_id}{_END}")


def _place_of(job: Job) -> str:
    place = f"{job.service}\0{job.operation}\0{job.target}"
    return blake2b(place.encode(errors="replace"), digest_size=8).hexdigest()


class MarkWriter:
    """Leaves marks of a journal while a run has it open. A failure never stops a push.

    Args:
        job, path: of the journal.
        nonce: of the run.
        sketch: makes the sketch of the journal as it is.
    """

    def __init__(self, job: Job, path: str, nonce: str, sketch: Callable[[], str]) -> None:
        self._job, self._path, self._nonce = job, path, nonce
        self._sketch = sketch
        self._contents, self._sketched = "", 0
        self._works = True
        self._last = 0.0
        self._reached = (0, 0)

    def resume(self, mark: Mark) -> None:
        """Keep the sketch of the mark that is there."""
        self._contents, self._sketched = mark.contents, mark.rows

    def leave_soon(self, at: float, kinds: Mapping[str, int], events: int) -> None:
        """:meth:`leave`, if something changed, and not too often."""
        if time.monotonic() - self._last >= EVERY and self._reached != (
            sum(kinds.values()),
            events,
        ):
            self.leave(at, kinds, events)

    def leave(
        self, at: float, kinds: Mapping[str, int], events: int, *, closed: bool = False
    ) -> None:
        """Leave a mark.

        Args:
            at: the wall clock.
            kinds: how many rows have which kind of last event.
            events: how many there are.
            closed: the run is over.
        """
        counts, rows = Counts.of(kinds), sum(kinds.values())
        self._last, self._reached = time.monotonic(), (rows, events)
        if not self._works or not counts.rows:
            return
        doubts = counts.unknown + counts.ambiguous + counts.probable
        if counts.accepted + doubts and (closed or rows >= 2 * self._sketched):
            self._contents, self._sketched = self._sketch(), rows
        mark = Mark(
            job_id=self._job.job_id,
            nonce=self._nonce,
            rows=rows,
            events=events,
            path=self._path,
            at=at,
            closed=closed,
            doubts=doubts,
            sent=counts.accepted + doubts,
            contents=self._contents,
        )
        try:
            write(mark, self._job)
            if closed:
                tidy()
        except OSError as error:
            self._works = False
            logger.warning(
                "cannot write the mark of the journal in %s (%s): an older copy of it would not be "
                "recognised; set %s to a writable directory",
                folder(),
                error.strerror,
                VARIABLE,
            )


# --- sketches: a sample of rows that identifies a journal


FIRST, SMALLEST = 64, 1024
"""Digests in a sketch: of the first rows, and the smallest of all."""
_SHORT = 8
"""Bytes of a digest: enough that no two are equal by chance."""
TRIED = 64
"""How many rows of a push decide whether it pushes the same rows."""


def sketch_of(first: Iterable[bytes], least: Iterable[bytes]) -> str:
    """The sketch of a journal, as text, by which a new journal of the same rows is recognised.

    In whatever order the rows come, two journals of the same rows have the same smallest digests.
    The sketch of a small journal holds every row.

    Args:
        first: the digests of its first rows, :data:`FIRST` of them.
        least: the :data:`SMALLEST` digests of all.
    """
    found = {bytes(digest[:_SHORT]) for digest in (*first, *least)}
    return b"".join(sorted(found)).hex()


def is_in(digest: bytes, sketch: set[str]) -> bool:
    """Whether a row is in an unpacked sketch."""
    return digest[:_SHORT].hex() in sketch


def unpacked(sketch: str) -> set[str]:
    """A sketch as a set of digests."""
    size = 2 * _SHORT
    return {sketch[start : start + size] for start in range(0, len(sketch), size)}
