"""Files that appear under their name whole, or not at all: downloads, exports, journals, reports.

What is written to a folder goes into a hidden ``.kapture-….part`` file there first, which only its
owner may read. Whoever writes one holds a lock on it, so one without a lock was left behind by a
killed run, and the next run in that folder removes it.

Everything here blocks; async code calls it from a thread.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO
from typing import Any

from .arguments import check_flag, check_path_like
from .errors import InvalidInputError

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_OURS = re.compile(r"\.kapture-[0-9a-f]{32}\.part")
_SQLITE_SUFFIXES = ("-journal", "-wal", "-shm")
_HOUR = 3600.0
_REST = 100.0  # a folder is scanned for at most one part in so many of the time, however full it is
_rest_until: dict[str, float] = {}
_BUFFER = 256 * 1024
_TAKE_ANOTHER = "use another name, or pass overwrite=True"


class AtomicFile:
    """One file to be: :meth:`begin`, write, :meth:`finish`. :meth:`discard` it at any time.

    Write to :attr:`file`, which is buffered, or with :meth:`write`, which is not; not with both.
    The methods may be called from several threads: a :meth:`discard` that comes while another one
    runs waits for it, and what comes after it does nothing but raise ``RuntimeError``.

    Args:
        to: the file to make. A relative path counts from the working directory of now; ``~`` has
            no meaning.
        overwrite: whether an ordinary file that is there may be replaced. A symbolic link is
            replaced itself; what it points to stays as it is.
        folder: ``to`` may be a folder, too: one that exists, or a text that ends in a separator.
            Then :meth:`begin` is told the name.

    Raises:
        InvalidInputError: the folder is missing or cannot be written to, the file exists and
            ``overwrite`` is false, or what exists is not an ordinary file. Nothing was made.
    """

    def __init__(
        self, to: str | os.PathLike[str], *, overwrite: bool = False, folder: bool = False
    ) -> None:
        check_flag("overwrite", overwrite)
        check_path_like("the file to write", to)
        text = os.fspath(to)
        try:
            # Joined, not "made absolute": cutting ".." out of a text leads elsewhere if the part
            # before it is a symbolic link.
            path = text if os.path.isabs(text) else os.path.join(os.getcwd(), text)
            self._folder, name = os.path.split(path)
            if folder and (name in {"", os.curdir, os.pardir} or os.path.isdir(path)):
                self._folder, path = path, ""
            _check_folder(self._folder, text)
            if path and (problem := _problem_with(path, overwrite=overwrite)):
                raise _refusal(text, *problem)
        except (OSError, ValueError) as error:  # ValueError: a lone surrogate
            if isinstance(error, InvalidInputError):
                raise
            raise _refusal(text, getattr(error, "strerror", None) or str(error)) from error
        self.target = path
        """Its path, absolute; empty as long as a folder was given and no name for the file."""
        self.overwrite = overwrite
        self.temporary = ""
        """The path of the hidden file, once that is known."""
        self._part: PartFile | None = None
        self._raw: FileIO | None = None
        self._file: BufferedWriter | None = None
        self._over = False
        self._lock = threading.RLock()

    def keep_after_a_kill(self) -> None:
        """Let the hidden file outlive a killed run, for a caller who has noted its path: once it
        is sealed, it holds rows that no later run reads again.
        """
        self.temporary = os.path.join(self._folder, f".{secrets.token_hex(16)}.part")

    def begin(self, name: str = "") -> None:
        """Make the hidden file.

        Args:
            name: the file's name, if a folder was given. Make it safe first.

        Raises:
            FileExistsError: a file of that name exists, and may not be overwritten.
            OSError: the file system refuses.
            RuntimeError: begun or discarded before.
        """
        with self._lock:
            if self._over or self._part is not None:
                raise RuntimeError("this file was begun before, or it is over")
            target = self.target
            if not target:
                if name != os.path.basename(name) or name in {"", os.curdir, os.pardir}:
                    raise ValueError("a file's name must be one part of a path")
                target = os.path.join(self._folder, name)
            _check_again(target, overwrite=self.overwrite)
            self._part = PartFile(self._folder, self.temporary)
            self.target, self.temporary = target, self._part.path
            self._raw = FileIO(self._part.descriptor, "r+b")

    @property
    def file(self) -> BufferedWriter:
        """Where to write, between :meth:`begin` and :meth:`seal`."""
        if self._file is None:
            self._file = BufferedWriter(self._begun(), _BUFFER)
        return self._file

    def write(self, data: bytes) -> None:
        """Add to the hidden file.

        Raises:
            OSError: the disk is full, or fails. What was written stays: :meth:`restart` or
                :meth:`discard` it.
            RuntimeError: not begun, or over.
        """
        with self._lock:
            raw = self._begun()
            left = memoryview(data)
            while left:  # a disk that fills up takes a part first, and refuses the rest
                left = left[raw.write(left) :]

    def restart(self) -> None:
        """Empty the hidden file. Raises as :meth:`write`."""
        with self._lock:
            raw = self._begun()
            raw.seek(0)
            raw.truncate()

    def seal(self) -> None:
        """See that all is on the disk, and close the hidden file. Raises as :meth:`write`."""
        with self._lock, naming(self.target):
            raw = self._begun()
            if self._file is not None:
                self._file.flush()
            os.fsync(raw.fileno())
            # Windows renames no open file, and network file systems report late failures here.
            self._close()

    def publish(self) -> None:
        """Give the sealed file its name, in one step.

        Raises:
            FileExistsError: something has appeared under that name, and may not be overwritten;
                it was left alone.
            OSError: the file system refuses. Nothing is there, or the old file is untouched.
        """
        with self._lock:
            if self._over or self._part is None:
                raise RuntimeError("this file was not begun, or it is over")
            if self.overwrite:
                _check_again(self.target, overwrite=True)
            publish(self.temporary, self.target, overwrite=self.overwrite)
            self._over = True
            self._part.release()

    def finish(self) -> None:
        """:meth:`seal`, then :meth:`publish`."""
        with self._lock:
            self.seal()
            self.publish()

    def discard(self, *, wait: bool = True) -> bool:
        """Leave nothing behind but what was published. Never raises ``OSError``.

        Args:
            wait: for a method that runs in another thread; if false, nothing is done then.

        Returns:
            Whether it was done.
        """
        if not self._lock.acquire(blocking=wait):
            return False
        try:
            self._over = True
            with suppress(OSError):  # the error that led here matters more
                self._close()
            if self._part is not None:
                self._part.release()
        finally:
            self._lock.release()
        return True

    def _begun(self) -> FileIO:
        if self._over or self._raw is None:
            raise RuntimeError("this file was not begun, or it is over")
        return self._raw

    def _close(self) -> None:
        raw, self._raw, buffered, self._file = self._raw, None, self._file, None
        try:
            if buffered is not None:
                buffered.close()
        finally:
            if raw is not None:
                raw.close()


def write_whole(path: str, content: bytes, *, mode: int = 0o600) -> None:
    """Make or replace a file in one step; it is on the disk when this returns.

    Raises:
        OSError: the file system refuses; the old content is untouched.
    """
    part = PartFile(os.path.dirname(path))
    try:
        with naming(path), open(part.descriptor, "wb") as file:
            if mode != 0o600:
                os.chmod(part.path, mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        publish(part.path, path, overwrite=True)
    finally:
        part.release()


def publish(temporary: str, target: str, *, overwrite: bool = False) -> None:
    """Give a file its name in one step. Its hidden name may remain: the caller removes it.

    Raises:
        FileExistsError: another file has that name, and may not be overwritten.
        OSError: the file system refuses.
    """
    if overwrite:
        os.replace(temporary, target)
    else:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise _appeared(target) from None
        except (AttributeError, NotImplementedError, OSError):
            # No hard links: FAT, Android, some network file systems. They say so in many ways,
            # and if it was for another reason, that shows below.
            _publish_without_links(temporary, target)
    sync_folder(os.path.dirname(target))


def _publish_without_links(temporary: str, target: str) -> None:
    # An empty file takes the name, which only one can; then the whole one takes its place. For
    # that moment the name stands for an empty file: the best there is without links.
    try:
        placeholder = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600)
    except FileExistsError:
        raise _appeared(target) from None
    try:
        ours = os.fstat(placeholder)
    finally:
        os.close(placeholder)
    try:
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            # Its inode may be another file's by now; an empty file is no loss in any case.
            there = os.lstat(target)
            if os.path.samestat(there, ours) and there.st_size == 0:
                os.unlink(target)
        raise


def sync_folder(folder: str) -> None:
    """See that the names in a folder are on the disk, where the system can do that."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Let errors of the disk name the file that they are about."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, path) from None


# --- what may be there ---------------------------------------------------------------------------


def _refusal(text: str, problem: str, step: str = "use another place") -> InvalidInputError:
    step = f"{step[0].upper()}{step[1:]}."
    return InvalidInputError(f"cannot save to {text!r}: {problem}", next_step=step)


def _check_folder(folder: str, text: str) -> None:
    try:
        is_folder = stat.S_ISDIR(os.stat(folder).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        step = "make the folder, or use another place"
        raise _refusal(text, f"there is no folder {folder!r}", step) from None
    if not is_folder:
        raise _refusal(text, f"{folder!r} is not a folder")
    # Only a hint, but one that comes before the transfer and not after it.
    effective = os.access in os.supports_effective_ids
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        raise _refusal(text, f"the folder {folder!r} is not writable")


def _problem_with(target: str, *, overwrite: bool) -> tuple[str, str] | None:
    """Why a file cannot be made here, and what to do; ``None`` if it can."""
    try:
        mode = os.lstat(target).st_mode
        if stat.S_ISLNK(mode) and overwrite:
            # A link to a device (/dev/stdout is one) is as little a place for files as that.
            mode = os.stat(target).st_mode
    except FileNotFoundError:  # or a link that leads nowhere
        return None
    if stat.S_ISDIR(mode):
        return "it is a folder", "name a file in it, or use another place"
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        return "it is a device, a pipe or a socket", "use another place"
    return None if overwrite else ("it already exists", _TAKE_ANOTHER)


def _check_again(target: str, *, overwrite: bool) -> None:
    """The same after a request has gone out: the error must not say that nothing was sent."""
    if problem := _problem_with(target, overwrite=overwrite):
        words, step = problem
        raise FileExistsError(errno.EEXIST, f"{words}, and was left alone; {step}", target)


def _appeared(target: str) -> FileExistsError:
    words = f"it appeared in the meantime, and was left alone; {_TAKE_ANOTHER}"
    return FileExistsError(errno.EEXIST, words, target)


# --- hidden files --------------------------------------------------------------------------------


class PartFile:
    """One hidden file, made and locked: give its content a name, then :meth:`release` it.

    Args:
        folder: where; what killed runs have left there is removed first.
        path: a path of its own, which is not cleaned up after a kill; by default a new one.

    Attributes:
        path: its path.
        descriptor: it is open for reading and writing; closing it is the caller's business.

    Raises:
        OSError: the file system refuses.
    """

    def __init__(self, folder: str, path: str = "") -> None:
        clean(folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY
        while True:
            self.path = path or os.path.join(folder, f".kapture-{secrets.token_hex(16)}.part")
            self.descriptor = os.open(self.path, flags, 0o600)
            self._held: int | None = None
            try:
                if hasattr(os, "fchmod"):
                    os.fchmod(self.descriptor, 0o600)  # whatever the umask takes away
                if self._lock():
                    return
            except BaseException:
                os.close(self.descriptor)
                self.release()
                raise
            os.close(self.descriptor)  # another run's cleaning was quicker than the lock
            self.release()

    def _lock(self) -> bool:
        """Hold the lock as long as this object does, whoever closes the descriptor."""
        if fcntl is None:
            return True
        self._held = os.dup(self.descriptor)
        with suppress(OSError):  # a file system without locks: no one else gets one either
            fcntl.flock(self._held, fcntl.LOCK_EX)
        return os.fstat(self._held).st_nlink > 0

    def release(self) -> None:
        """Remove it under its hidden name, and let go of the lock. Never raises OSError."""
        with suppress(OSError):
            os.unlink(self.path)
        self._unlock()

    def _unlock(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            with suppress(OSError):
                os.close(held)

    def __del__(self) -> None:
        if getattr(self, "_held", None) is not None:  # forgotten: the next run may clean it up
            self._unlock()


def clean(folder: str) -> None:
    """Remove what killed runs have left, never what is being written. Never raises OSError.

    Args:
        folder: where they would be.
    """
    began = time.monotonic()
    if began < _rest_until.get(folder, 0.0):
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name):
                _remove_orphan(entry.path)
    took = time.monotonic() - began
    if len(_rest_until) > 1000:
        _rest_until.clear()
    _rest_until[folder] = began + _REST * took


def _remove_orphan(path: str) -> None:
    with suppress(OSError):
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            return
        if fcntl is None:  # there, what is open cannot be removed
            if time.time() - found.st_mtime > _HOUR:
                _unlink(path)
            return
        if found.st_uid != os.geteuid():
            return
        descriptor = os.open(path, os.O_RDWR | _NO_FOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _unlink(path)
        finally:
            os.close(descriptor)


def _unlink(path: str) -> None:
    os.unlink(path)
    for suffix in _SQLITE_SUFFIXES:
        with suppress(OSError):
            os.unlink(path + suffix)
