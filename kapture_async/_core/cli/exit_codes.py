"""Exit codes, the same for both command lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from ..errors import (
    ConfigurationError,
    HelpdeskError,
    InvalidInputError,
    JournalError,
    StateError,
)
from ..push.report import Summary
from .startup import INTERRUPTED

DONE: Final = 0
REJECTED: Final = 1
USAGE: Final = 2
UNKNOWN: Final = 3
NOT_SENT: Final = 4
CONTRADICTION: Final = 5
CONFIRM: Final = 6
BUG: Final = 70

EXIT_CODES: Final = """\
\b
Exit codes, the same for all commands:
  0    done, and nothing is left open
  1    rejected; `plan`: keys to check
  2    wrong usage, or an unusable file, setting or journal
  3    in doubt: may or may not be in the helpdesk; `verify`: not proved
  4    not sent, or the helpdesk could not be reached
  5    the helpdesk disagrees with a recorded outcome
  6    stopped: needs your confirmation
  70   a bug in this program
  130  interrupted
If several hold: 130, then 5, 3, 2, 6, 4, 1.
"""

_ORDER = (INTERRUPTED, CONTRADICTION, UNKNOWN, USAGE, CONFIRM, NOT_SENT, REJECTED)


def code_of_push(
    summary: Summary,
    *,
    interrupted: bool = False,
    unreadable: bool = False,
    left_over: bool = False,
    broken_off: bool = False,
    to_confirm: bool = False,
    earlier: Mapping[str, int] = MappingProxyType({}),
) -> int:
    """The exit code of a push: the worst of what happened.

    Args:
        summary: of the rows that were tried.
        interrupted: Ctrl-C came.
        unreadable: the source could not be read to its end.
        left_over: rows were left that are in no count.
        broken_off: something other than the end of the rows ended it.
        to_confirm: it stopped until the user confirms.
        earlier: rows that were skipped, by the state that earlier runs left them in.
    """
    counts = summary.counts
    doubts = sum(earlier.get(state, 0) for state in ("unknown", "ambiguous", "probable"))
    facts = (
        (interrupted, INTERRUPTED),
        (counts["unknown"] + doubts > 0, UNKNOWN),
        (unreadable, USAGE),
        (to_confirm, CONFIRM),
        (counts["not_sent"] + earlier.get("not_sent", 0) > 0 or left_over, NOT_SENT),
        (broken_off, NOT_SENT),
        (counts["rejected"] + earlier.get("rejected", 0) > 0, REJECTED),
    )
    return next((code for holds, code in facts if holds), DONE)


def worst_of(codes: Iterable[int]) -> int:
    """The exit code of several calls, by the order in which those of a push are weighed."""
    found = set(codes)
    return next((code for code in _ORDER if code in found), DONE)


def code_of_error(error: HelpdeskError) -> int:
    """The exit code of a single call that failed."""
    if isinstance(error, (ConfigurationError, InvalidInputError, JournalError, StateError)):
        return USAGE
    return {"rejected": REJECTED, "unknown": UNKNOWN, "not_sent": NOT_SENT}[error.outcome]
