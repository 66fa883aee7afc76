"""What goes wrong with a journal, in words a person can act on."""

from __future__ import annotations

from ..errors import JournalError


def trouble(path: str, what: str, next_step: str | None = None) -> JournalError:
    """An error that names the journal and what is wrong with it."""
    return JournalError(f"the journal {path!r}: {what}", next_step=next_step)


def same_again(error: JournalError) -> JournalError:
    """The same error for another caller, so that no two raise (and grow) one object."""
    again = JournalError(error.message, next_step=error.next_step)
    again.__cause__ = error.__cause__
    return again
