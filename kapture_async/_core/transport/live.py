"""An attempt while it is under way, and the two ways it can end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from attrs import define, field

from ..phase import Attempt, Phase

FailureKind = Literal["connect", "timeout", "lost", "garbled", "too_large"]


@define
class Answer:
    """A whole answer. An error answer may be cut; see :data:`~.settings.ERROR_BODY_CAP`."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@define
class Failure:
    """No usable answer. ``words`` is our own text; it holds no secret and no payload."""

    kind: FailureKind
    words: str
    permanent: bool = False


class LiveAttempt:
    """The attempt that is under way: where it is, and since when."""

    __slots__ = ("_clock", "number", "phase", "started_at", "status")

    def __init__(self) -> None:
        self.number = 0
        self.phase = Phase.WAITING
        self.status: int | None = None
        self.started_at = 0.0
        self._clock = 0.0

    def begin(self) -> None:
        """Start the next try."""
        self.number += 1
        self.phase = Phase.WAITING
        self.status = None
        self.started_at = time.time()
        self._clock = time.perf_counter()

    def record(self, failure: str | None = None) -> Attempt:
        """The try as a value."""
        elapsed = time.perf_counter() - self._clock
        return Attempt(self.number, self.started_at, elapsed, self.phase, self.status, failure)
