"""Figures from runs: medians, spreads, ratios, and when there is none to be had.

Ratios are taken against the mean of the two runs of the reference before and after a few
contenders: a machine that gets slower or faster meanwhile does so on both sides of each. The two
runs against each other are the control: what they differ by is noise, and so is any difference
between contenders that is not larger.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LOW, HIGH = 0.95, 1.05
ENOUGH = 5


@dataclass(frozen=True)
class Spread:
    """The middle of some values, and their ends."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        if not values:
            return None
        return cls(statistics.median(values), min(values), max(values), len(values))

    def text(self, digits: int = 2) -> str:
        """Such as ``0.91 [0.88-0.94]``."""
        low, high = f"{self.low:.{digits}f}", f"{self.high:.{digits}f}"
        return f"{self.median:.{digits}f} [{low}-{high}]"


def ratios(
    values: Sequence[float | None],
    first: Sequence[float | None],
    second: Sequence[float | None],
) -> list[float]:
    """Each value over the mean of the reference's two runs around it.

    Where one of the three failed, there is no ratio.
    """
    found = []
    for value, one, other in zip(values, first, second, strict=True):
        if value is not None and one and other:
            found.append(value / ((one + other) / 2))
    return found


def control(first: Sequence[float | None], second: Sequence[float | None]) -> Spread | None:
    """The reference against itself: its second run over its first."""
    pairs = zip(first, second, strict=True)
    return Spread.of([other / one for one, other in pairs if one and other])


def refusal(found: Spread | None, rounds: int, enough: int = ENOUGH) -> str:
    """Why a control allows no verdict, such as ``noise: control 0.91``; empty if it does."""
    if found is None:
        return "the reference failed"
    if rounds < enough:
        return f"{rounds} of {enough} rounds"
    if not LOW <= found.median <= HIGH:
        return f"noise: control {found.median:.2f}"
    return ""


def order(names: Sequence[str], number: int) -> list[str]:
    """Who runs in which order in a round: forwards, then backwards, in turns."""
    return list(names) if number % 2 == 0 else list(reversed(names))
