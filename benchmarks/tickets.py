"""Tickets as JSON, and passes over them: what the cases without a network share."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

from .answers import compact, pulled
from .job import Measured
from .machine import peak_bytes

PASSES = 5
UNKNOWN = {
    "brandNewKey": "kept",
    "sentiment": {"score": -0.25, "words": ["box", "empty"]},
    "leadingZeros": "007",
    "nothing": None,
    "largeNumber": 9007199254740993,
    "escaped": "it&apos;s",
}


def tickets(count: int, *, unknown: bool = False) -> bytes:
    """A JSON list of tickets as a pull gives them; with keys that no sheet knows, on request."""
    more: dict[str, Any] = UNKNOWN if unknown else {}
    return b"[" + b",".join(compact(pulled(number, **more)) for number in range(count)) + b"]"


class Passes:
    """The same work some times over, of which the middle one counts."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._times: list[tuple[float, float]] = []
        self.result: Any = None

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(PASSES):
            self.result = None  # let go of the pass before, outside the clocks
            started, worked = time.perf_counter(), time.process_time()
            yield self._data
            self._times.append((time.perf_counter() - started, time.process_time() - worked))

    def truth(self) -> Any:
        """What the data says."""
        return json.loads(self._data)

    def measured(self, done: int, *, lossless: bool | None = None) -> Measured:
        found = Measured(done=done, peak=peak_bytes())
        found.seconds = statistics.median(seconds for seconds, _ in self._times)
        found.cpu = statistics.median(worked for _, worked in self._times)
        if lossless is not None:
            found.values["lossless"] = int(lossless)
        return found
