"""Exit codes, the same for both command lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..errors import ConfigurationError, HelpdeskError, InvalidInputError
from ..push.report import Summary

DONE: Final = 0
REJECTED: Final = 1
USAGE: Final = 2
UNKNOWN: Final = 3
NOT_SENT: Final = 4
BUG: Final = 70
INTERRUPTED: Final = 130

EXIT_CODES: Final = """\
\b
Exit codes:
  0    all accepted
  1    some rejected
  2    wrong usage, or input that cannot be read
  3    some unknown: they may or may not be in the helpdesk
  4    some not sent
  130  interrupted
If several hold: 130, then 3, 2, 4, 1.
"""


def code_of_push(
    summary: Summary,
    *,
    interrupted: bool = False,
    unreadable: bool = False,
    left_over: bool = False,
) -> int:
    """The exit code of a push; the worst of what happened decides."""
    facts = (
        (interrupted, INTERRUPTED),
        (summary.counts["unknown"] > 0, UNKNOWN),
        (unreadable, USAGE),
        (summary.counts["not_sent"] > 0 or left_over, NOT_SENT),
        (summary.counts["rejected"] > 0, REJECTED),
    )
    return next((code for holds, code in facts if holds), DONE)


def worst_of(codes: Iterable[int]) -> int:
    """The exit code of several calls, by the order in which those of a push are weighed."""
    found = set(codes)
    return next((code for code in (UNKNOWN, USAGE, NOT_SENT, REJECTED) if code in found), DONE)


def code_of_error(error: HelpdeskError) -> int:
    """The exit code of a single call that failed."""
    if isinstance(error, (ConfigurationError, InvalidInputError)):
        return USAGE
    return {"rejected": REJECTED, "unknown": UNKNOWN, "not_sent": NOT_SENT}[error.outcome]
