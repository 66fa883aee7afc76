"""How far one attempt got, and what its operation does to the server.

These two facts decide everything that follows a failure: whether anything may have happened,
and whether it is safe to send again. The type of an exception cannot tell (aiohttp raises one
``TimeoutError`` for a full connection pool and for a silent server), so they are recorded.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from attrs import define, evolve

Effect = Literal["read", "write"]
"""``read`` may be repeated at will; ``write`` must not be, once it may have reached the server.

The HTTP verb says nothing here: one of the services reads by POST.
"""


class Phase(IntEnum):
    """The furthest point an attempt reached. Below :attr:`SENDING`, nothing was sent."""

    WAITING = 0
    """Waiting for a free connection slot, or not started at all."""
    CONNECTING = 1
    """Resolving, connecting, TLS handshake, or taking a kept-alive connection."""
    SENDING = 2
    """The first byte of the body was handed to the socket; from here on it may have happened."""
    SENT = 3
    """The whole body was handed to the socket."""
    RECEIVING = 4
    """The status line and headers of an answer arrived."""

    @property
    def label(self) -> str:
        """The phase as one lower-case word, for messages and logs."""
        return self.name.lower()


@define
class Attempt:
    """One try at one request, as an error or an event carries it. Holds no payload.

    Not to be changed; not declared frozen, as one is made for every request, and that would
    cost half a microsecond.
    """

    number: int
    """1 for the first try."""
    started_at: float
    """Wall clock at the start, seconds since the epoch."""
    elapsed: float
    """Seconds from the start to the end of the try."""
    phase: Phase
    """The furthest point reached."""
    status: int | None = None
    """The HTTP status, if an answer began to arrive."""
    failure: str | None = None
    """What ended it, in a few words; ``None`` if a whole answer arrived."""


def renumbered(*attempts: Attempt) -> tuple[Attempt, ...]:
    """The attempts of several transfers, as those of one call."""
    return tuple(evolve(attempt, number=number) for number, attempt in enumerate(attempts, 1))
