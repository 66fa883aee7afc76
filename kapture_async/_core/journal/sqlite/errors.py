"""Errors of SQLite and the file system, as messages a user can act on."""

from __future__ import annotations

import errno
import os
import sqlite3

from ...arguments import check_path_like
from ...errors import HelpdeskError, JournalError
from ..records import trouble

_RESUME = "Then run the same push again: it resumes where it stopped."

DAMAGED = (
    "Keep a copy of it, replace it by a copy from before the damage, and push with --restored "
    "(Python: restored=True): each row is then looked up in the helpdesk before it is sent, "
    "because an older copy does not know what was sent later. A new journal would send every row "
    "again."
)
"""What to do with a damaged journal."""

_BY_CODE = {
    "SQLITE_FULL": ("the disk is full", f"Free some space. {_RESUME}"),
    "SQLITE_READONLY": (
        "the file or its folder is not writable",
        f"Change that, or move the journal elsewhere while no push is running. {_RESUME}",
    ),
    "SQLITE_PERM": ("access to the file was denied", f"Change its permissions. {_RESUME}"),
    "SQLITE_CANTOPEN": (
        "the file cannot be opened, or its folder is not writable",
        f"Check the permissions of the folder. {_RESUME}",
    ),
    "SQLITE_BUSY": (
        "another program has locked the file",
        f"Close the program that has it open. {_RESUME}",
    ),
    "SQLITE_LOCKED": ("the file is locked", f"Close the program that has it open. {_RESUME}"),
    "SQLITE_CORRUPT": (
        "the file is damaged",
        DAMAGED,
    ),
    "SQLITE_NOTADB": (
        "the file is not a journal: it is not an SQLite database, or its header is damaged",
        f"If it is not a journal, use another file. If it was one: {DAMAGED}",
    ),
    "SQLITE_IOERR": (
        "the disk failed to read or write",
        f"Check the disk, and the limits on file size. {_RESUME}",
    ),
    "SQLITE_TOOBIG": ("a row is too large for a journal", "Push it without a journal."),
}

_BY_ERRNO = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "there is no such folder",
    errno.EISDIR: "it is a folder",
    errno.EFBIG: "the file would exceed the allowed size",
    errno.EMFILE: "too many files are open",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "a symbolic link points to itself",
}


def trouble_of(path: str, error: BaseException) -> JournalError:
    """An error of SQLite or the file system, as our own.

    SQLite's messages name tables and columns, never values, so they can be shown.
    """
    if isinstance(error, JournalError):
        return error
    made: JournalError
    if _is_unreadable(error):
        made = trouble(path, "the file is damaged: unexpected content", DAMAGED)
    elif isinstance(error, sqlite3.Error):
        name = str(getattr(error, "sqlite_errorname", "") or "")
        family = "_".join(name.split("_")[:2])
        words, next_step = _BY_CODE.get(family, ("SQLite failed", None))
        detail = f"{name}: {error}" if name else f"{type(error).__name__}: {error}"
        made = trouble(path, f"{words} ({detail})", next_step)
    elif isinstance(error, OSError):
        words = _BY_ERRNO.get(error.errno or 0) or error.strerror or type(error).__name__
        made = trouble(path, words, f"Fix that, or use another file. {_RESUME}")
    else:
        made = trouble(path, f"internal error, {type(error).__name__}: {error}")
    made.__cause__ = error
    return made


ODD = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError, AttributeError)
"""What reading a damaged file may raise: bytes that are not text, unknown kinds of events."""


def damage_of(path: str, error: BaseException) -> BaseException:
    """:func:`trouble_of` for reading, where any odd value is the file's fault."""
    if isinstance(error, HelpdeskError) or not isinstance(error, (OSError, sqlite3.Error, *ODD)):
        return error
    if isinstance(error, (OSError, sqlite3.Error)):
        return trouble_of(path, error)
    made = trouble(path, "the file is damaged: unexpected content", DAMAGED)
    made.__cause__ = error
    return made


def _is_unreadable(error: BaseException) -> bool:
    """Whether a text in it cannot be decoded. SQLite's own message would show that text."""
    return isinstance(error, UnicodeError) or (
        isinstance(error, sqlite3.OperationalError) and str(error).startswith("Could not decode")
    )


def path_text(path: str | os.PathLike[str]) -> str:
    """The path as text, absolute, so that a change of the working directory changes nothing.

    Symbolic links are followed: a journal has one lock, whatever name it is opened by.
    """
    check_path_like("journal", path)
    return os.path.realpath(os.fspath(path))
