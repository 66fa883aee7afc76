"""An attempt while it is under way, and the two ways it can end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from attrs import define, field

from ..phase import Attempt, Phase

FailureKind = Literal["connect", "timeout", "lost", "garbled", "too_large"]

IsFile = Callable[[int, Mapping[str, str]], bool]
"""Whether the head of an answer (its status and headers) is that of the file asked for."""


@define
class Answer:
    """A whole answer. What is only quoted may be cut; see :data:`~.settings.ERROR_BODY_CAP`."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Stream(Protocol):
    """The body of an answer, as it arrives."""

    async def next_chunk(self) -> bytes | Failure | None:
        """Decoded bytes; ``None`` at the end, a failure where it broke off."""

    def close(self) -> None:
        """Let go of the connection. May be called again."""


@define
class OpenAnswer:
    """The head of a file, whose body is still to come."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: Stream = field(repr=False)


@define
class Failure:
    """No usable answer. ``words`` is our own text; it holds no secret and no payload."""

    kind: FailureKind
    words: str
    permanent: bool = False


class LiveAttempt:
    """The attempt that is under way: where it is, and since when."""

    __slots__ = ("_clock", "hang_up", "number", "phase", "started_at", "status", "waits_for")

    def __init__(self) -> None:
        self.number = 0
        self.waits_for = "free connection slot"
        """What it waits for in :attr:`Phase.WAITING`."""
        self.hang_up: Callable[[], None] | None = None
        """Breaks off a body that is on its way out."""
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

    @property
    def missing(self) -> str:
        """What has not come yet."""
        if self.phase is Phase.WAITING:
            return self.waits_for
        return "connection" if self.phase is Phase.CONNECTING else "answer"

    def record(self, failure: str | None = None) -> Attempt:
        """The try as a value."""
        elapsed = time.perf_counter() - self._clock
        return Attempt(self.number, self.started_at, elapsed, self.phase, self.status, failure)
