"""Cells that no spreadsheet takes for formulas, and the way back: one rule for all CSV files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

MARK: Final = b"\xef\xbb\xbf"
"""What a file begins with so that Excel reads it as UTF-8."""

# What makes a spreadsheet take a text for a formula, also in the width of Chinese letters. A text
# that begins with apostrophes before it gets one more, so that taking one off gives the text.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")

_OF_REJECTS: Final = frozenset({"_line", "_reason"})
_OF_EXPORTS: Final = frozenset(
    {
        *("ticketId", "taskId", "taskTitle", "taskEnddate", "lastFollowUp", "nextFollowUp"),
        *("lastConvesationTime", "queueKey", "queueName", "assignedToName", "substatusKey"),
        *("mergedTicketId", "customerId", "creatorName", "primarySource", "lastSource"),
    }
)


def harmless(cell: str) -> str:
    """The cell with an apostrophe in front if a spreadsheet would take it for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def plain(cell: str) -> str:
    """The cell as it was before :func:`harmless`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def is_ours(header: Iterable[str]) -> bool:
    """Whether a CSV file with these columns was written by us, so that its cells are guarded.

    Other files are left alone: an apostrophe in them is part of the text.
    """
    names = set(header)
    return names >= _OF_REJECTS or len(names & _OF_EXPORTS) > 1
