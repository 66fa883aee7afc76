"""What SQLite and the file system say, in words a person can act on."""

from __future__ import annotations

import errno
import os
import sqlite3

from ...arguments import check_path_like
from ...errors import HelpdeskError, JournalError
from ..records import trouble

_RESUME = "Then run the same push again: it resumes where it stopped."

DAMAGED = (
    "Keep a copy of it, put a copy from before the damage in its place, and push with --restored "
    "(Python: restored=True): each row is then looked up in the helpdesk before it is sent, since "
    "an older copy does not know what was sent after it was made. A new journal would send every "
    "row again."
)
"""What to do with a journal that is damaged."""

_BY_CODE = {
    "SQLITE_FULL": ("the disk is full", f"Make room on the disk. {_RESUME}"),
    "SQLITE_READONLY": (
        "the file or its folder may not be written to",
        f"Permit it, or copy the journal elsewhere while no push runs. {_RESUME}",
    ),
    "SQLITE_PERM": ("the file may not be used", f"Permit it. {_RESUME}"),
    "SQLITE_CANTOPEN": (
        "the file cannot be opened, or its folder may not be written to",
        f"Look at the permissions of the folder. {_RESUME}",
    ),
    "SQLITE_BUSY": (
        "another program holds the file locked",
        f"Close the program that has it open. {_RESUME}",
    ),
    "SQLITE_LOCKED": ("the file is locked", f"Close the program that has it open. {_RESUME}"),
    "SQLITE_CORRUPT": (
        "the file is damaged",
        DAMAGED,
    ),
    "SQLITE_NOTADB": (
        "the file is not a journal: it is not an SQLite database, or its beginning is damaged",
        f"If it is not a journal, name another file. If it was one: {DAMAGED}",
    ),
    "SQLITE_IOERR": (
        "the disk failed to read or write",
        f"Look at the disk, and at the limits set on files. {_RESUME}",
    ),
    "SQLITE_TOOBIG": ("a row is larger than a journal can hold", "Push it without a journal."),
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
    errno.EFBIG: "the file would become larger than is permitted",
    errno.EMFILE: "too many files are open",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "a symbolic link leads in a circle",
}


def trouble_of(path: str, error: BaseException) -> JournalError:
    """What SQLite or the file system complains of, as our own error.

    The texts of SQLite name tables and columns, never values; so they may be shown.
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
        made = trouble(path, words, f"Correct that, or use another file. {_RESUME}")
    else:
        made = trouble(path, f"an error of this package, {type(error).__name__}: {error}")
    made.__cause__ = error
    return made


ODD = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError, AttributeError)
"""What reading a damaged file may raise: bytes that are no text, kinds of events there are not."""


def damage_of(path: str, error: BaseException) -> BaseException:
    """:func:`trouble_of` for what was only reading: there, whatever is odd is the file's fault."""
    if isinstance(error, HelpdeskError) or not isinstance(error, (OSError, sqlite3.Error, *ODD)):
        return error
    if isinstance(error, (OSError, sqlite3.Error)):
        return trouble_of(path, error)
    made = trouble(path, "the file is damaged: unexpected content", DAMAGED)
    made.__cause__ = error
    return made


def _is_unreadable(error: BaseException) -> bool:
    """Whether text in it is no text. SQLite's own words for that would show the text."""
    return isinstance(error, UnicodeError) or (
        isinstance(error, sqlite3.OperationalError) and str(error).startswith("Could not decode")
    )


def path_text(path: str | os.PathLike[str]) -> str:
    """The path as text, absolute, so that a change of the working directory changes nothing.

    Symbolic links are followed: whatever name it is called by, a journal has one lock.
    """
    check_path_like("journal", path)
    return os.path.realpath(os.fspath(path))
