"""One writer per journal: a lock of the operating system, and the owner's name in it.

The lock is on a file of its own, ``<journal>-lock``, because SQLite loses its own locks on a
file when anyone in the process closes it. It frees itself when its process ends, however that
ends. The file goes away with an orderly end; one that is left behind blocks nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
import weakref
from datetime import datetime

from ...errors import JournalError
from ..errors import trouble
from ..records import Owner

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_PATIENCE = 0.3  # seconds; for a process that is just ending, or one that only looks
_FAR = 1 << 30  # where Windows locks: what is locked cannot be read there


class Lock:
    """The lock of one journal, held from :meth:`acquire` to :meth:`release`."""

    def __init__(self, path: str) -> None:
        self._journal = path
        self.path = f"{path}-lock"
        self._fd: int | None = None

    def acquire(self, at: float) -> None:
        """Take it.

        Raises:
            JournalError: another process has it, or this one; names which and since when. Or
                the file cannot be made.
        """
        until = time.monotonic() + _PATIENCE
        while not self._try():
            if time.monotonic() > until:
                raise self._refusal()
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

    def _try(self) -> bool:
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o600)
        except OSError as error:
            if not os.path.isdir(os.path.dirname(self.path)):
                raise trouble(
                    self._journal,
                    "there is no such folder",
                    "Make the folder, or name another file.",
                ) from None
            raise trouble(
                self._journal,
                f"its lock file {self.path!r} cannot be made ({error.strerror})",
                "Make its folder writable, or name another file.",
            ) from error
        try:
            if not _lock(fd):
                os.close(fd)
                return False
            # The last owner may have removed the file between our two steps.
            if not _is_at(fd, self.path):
                os.close(fd)
                return False
        except OSError as error:
            os.close(fd)
            raise trouble(
                self._journal,
                f"its file system does not support locks ({error.strerror})",
                "Put it on a disk of this machine.",
            ) from error
        self._fd = fd
        return True

    def _refusal(self) -> JournalError:
        owner = _read_owner(self.path)
        if owner is None:
            who, step = "another process is pushing with it", "Wait until that process ends."
        elif owner.pid == os.getpid() and owner.host == socket.gethostname():
            who, step = "this process is pushing with it already", "Let that push end first."
        else:
            began = datetime.fromtimestamp(owner.since).astimezone().isoformat(" ", "seconds")
            who = f"process {owner.pid} on {owner.host} is pushing with it since {began}"
            step = "Wait until that process ends, or end it; a push can always be resumed."
        return trouble(self._journal, who, step)

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
    """Who is pushing with a journal right now; ``None`` if no process is.

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


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_held):
        lock.forget()
    _held.clear()


if hasattr(os, "register_at_fork"):
    # Else a child that outlives its parent would keep the parent's lock.
    os.register_at_fork(after_in_child=_after_fork)
