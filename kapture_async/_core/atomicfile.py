"""Hidden files beside their place: private, locked while they are written, cleaned when orphaned.

What is written to a folder (a download, an export, a new journal) goes to ``.kapture-….part``
there first. Whoever writes one holds a lock on it, so what is not locked was left by a run that
was killed, and the next one in that folder removes it.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from contextlib import suppress
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_OURS = re.compile(r"\.kapture-[0-9a-f]{32}\.part")
_OF_SQLITE = ("-journal", "-wal", "-shm")
_HOUR = 3600.0
_REST = 100.0
"""A folder is looked through for one part in so many of the time, however full it is."""
_rest_until: dict[str, float] = {}


class PartFile:
    """One hidden file, made and locked: give its content a name, then :meth:`release` it.

    Attributes:
        path: its path.
        descriptor: it is open for reading and writing; closing it is the caller's business.
    """

    def __init__(self, folder: str) -> None:
        """Make it, and remove what killed runs have left in the folder.

        Raises:
            OSError: the file system refuses.
        """
        clean(folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY
        while True:
            self.path = os.path.join(folder, f".kapture-{secrets.token_hex(16)}.part")
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
            os.close(self.descriptor)  # somebody's cleaning was quicker than the lock
            self.release()

    def _lock(self) -> bool:
        """Hold the lock as long as this object does, whoever closes the descriptor."""
        if fcntl is None:
            return True
        self._held = os.dup(self.descriptor)
        with suppress(OSError):  # a file system without locks: nobody else gets one either
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
    for end in _OF_SQLITE:
        with suppress(OSError):
            os.unlink(path + end)
