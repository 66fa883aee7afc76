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
    """The furthest point an attempt reached. Below :attr:`SENDING`, nothing was sent.

    Attributes:
        WAITING: waiting for a free connection slot, or not started at all.
        CONNECTING: resolving, connecting, TLS handshake, or taking a kept connection.
        SENDING: the first byte of the body was handed to the socket; from here on it may have
            happened.
        SENT: the whole body was handed to the socket.
        RECEIVING: the status line and headers of an answer arrived.
    """

    WAITING = 0
    CONNECTING = 1
    SENDING = 2
    SENT = 3
    RECEIVING = 4

    @property
    def label(self) -> str:
        """The phase as one lower-case word, for messages and logs."""
        return self.name.lower()


@define
class Attempt:
    """One attempt at one request, as an error or an event carries it. Holds no payload.

    Do not change it. It is not declared frozen, as one is made for every request, and that would
    cost half a microsecond.

    Attributes:
        number: 1 for the first attempt.
        started_at: wall clock at the start, seconds since the epoch.
        elapsed: seconds from start to end.
        phase: the furthest point reached.
        status: the HTTP status, if an answer began to arrive.
        failure: what ended it, in a few words; ``None`` if a whole answer arrived.
    """

    number: int
    started_at: float
    elapsed: float
    phase: Phase
    status: int | None = None
    failure: str | None = None


def renumbered(*attempts: Attempt) -> tuple[Attempt, ...]:
    """The attempts of several transfers, as those of one call."""
    return tuple(evolve(attempt, number=number) for number, attempt in enumerate(attempts, 1))
