"""What a pull answers, as those need to know it who read at scale (kapture.md, section 4)."""

from __future__ import annotations

from typing import Any

from ._core.codec import Codec
from ._core.pull.arriving import RowsRule
from .models import TicketRow
from .service import ROWS_KEY, is_nothing_found, rows_of


def rows_rule(codec: Codec) -> RowsRule[TicketRow]:
    """Where the rows are, what makes tickets of them, and what says that there are none."""

    def decode(rows: list[dict[str, Any]]) -> list[TicketRow]:
        return [codec.decode(row, TicketRow) for row in rows]

    return RowsRule(
        key=ROWS_KEY,
        decode=decode,
        id_of=lambda row: row.ticket_id,
        rest_of=rows_of,
        says_none=is_nothing_found,
    )
