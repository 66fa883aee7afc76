"""One process at a time has a file: a lock of the operating system, and the owner's name in it.

The lock is on a file of its own, ``<file>-lock``, because SQLite loses its own locks on a file
when anyone in the process closes it. It frees itself when its process ends, however that ends. The
file goes away with an orderly end; one that is left behind blocks nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
import weakref

from attrs import frozen

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_PATIENCE = 0.3  # seconds; for a process that is just ending, or one that only looks
_FAR = 1 << 30  # where Windows locks: what is locked cannot be read there


@frozen
class Owner:
    """A process that has a file, or a journal, open for writing."""

    pid: int
    """0 if it could not leave its name."""
    host: str
    since: float

    @property
    def is_this_process(self) -> bool:
        """Whether it is this process."""
        return self.pid == os.getpid() and self.host == socket.gethostname()


@frozen
class LockRefusal:
    """Why a lock could not be taken.

    Attributes:
        words, next_step: why, and what to do.
        held: another process has it, or this one.
        owner: which, if it left its name.
    """

    words: str
    next_step: str = ""
    held: bool = False
    owner: Owner | None = None


class FileLock:
    """The lock of one file, held from :meth:`acquire` to :meth:`release`."""

    def __init__(self, path: str) -> None:
        self.path = f"{path}-lock"
        self._fd: int | None = None

    def acquire(self, at: float) -> LockRefusal | None:
        """Take it. Returns why not, if that is so.

        Args:
            at: the wall clock, for the owner's name.
        """
        until = time.monotonic() + _PATIENCE
        while (refusal := self._try()) is not None:
            if not refusal.held or time.monotonic() > until:
                return refusal
            time.sleep(0.02)
        owner = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": at})
        assert self._fd is not None
        with contextlib.suppress(OSError):  # a full disk; the lock holds without it
            if hasattr(os, "fchmod"):
                os.fchmod(self._fd, 0o600)  # whatever the umask takes away
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, owner.encode())
        _held.add(self)
        return None

    def _try(self) -> LockRefusal | None:
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o600)
        except OSError as error:
            if not os.path.isdir(os.path.dirname(self.path)):
                return LockRefusal(
                    "there is no such folder", "Make the folder, or name another file."
                )
            return LockRefusal(
                f"its lock file {self.path!r} cannot be made ({error.strerror})",
                "Make its folder writable, or name another file.",
            )
        try:
            # The last owner may have removed the file between our two steps.
            if _lock(fd) and _is_at(fd, self.path):
                self._fd = fd
                return None
        except OSError as error:
            os.close(fd)
            return LockRefusal(
                f"its file system does not support locks ({error.strerror})",
                "Put it on a disk of this machine.",
            )
        os.close(fd)
        owner = _read_owner(self.path)
        return LockRefusal("another process has it", held=True, owner=owner)

    @property
    def held(self) -> bool:
        """Whether it is held here."""
        return self._fd is not None

    def release(self) -> None:
        """Give it back. Does nothing if it is not held."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        _held.discard(self)
        with contextlib.suppress(OSError):
            if _is_at(fd, self.path):  # removed while it is held: see _try
                os.unlink(self.path)
        os.close(fd)

    def forget(self) -> None:
        """Close it in a forked child. The parent keeps the lock, and only the parent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)


def owner_of(path: str) -> Owner | None:
    """Who has the lock of a file right now; ``None`` if no process has.

    An owner that could not write its name has pid 0.
    """
    try:
        fd = os.open(f"{path}-lock", os.O_RDWR | _NO_FOLLOW)
    except OSError:
        return None
    try:
        if _lock(fd, shared=True):
            return None
    except OSError:
        return None
    finally:
        os.close(fd)
    return _read_owner(f"{path}-lock") or Owner(0, "", 0.0)


def _read_owner(path: str) -> Owner | None:
    try:
        with open(path, "rb") as file:
            said = json.loads(file.read(1000))
        return Owner(int(said["pid"]), str(said["host"]), float(said["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _lock(fd: int, *, shared: bool = False) -> bool:
    """Lock, without waiting. False if someone else has it, in this process or another."""
    try:
        if sys.platform == "win32":
            os.lseek(fd, _FAR, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            # flock, not lockf: it holds between two openers within one process as well.
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_held):
        lock.forget()
    _held.clear()


if hasattr(os, "register_at_fork"):
    # Else a child that outlives its parent would keep the parent's lock.
    os.register_at_fork(after_in_child=_after_fork)
