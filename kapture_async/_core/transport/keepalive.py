"""Whether kept connections are used again."""

from __future__ import annotations

from typing import Any

_FIRST_PAUSE = 60.0
_LONGEST_PAUSE = 3600.0


class KeptConnections:
    """What is known of a server's kept connections.

    Some servers, and firewalls before them, close a kept connection without a word. A write that
    is sent on it just then gets no answer, and is in doubt. So after the first such death no write
    goes out on a kept connection for a while: 60 seconds, twice as long after each further
    one, an hour at most.
    """

    __slots__ = ("_pause", "avoided_until")

    def __init__(self) -> None:
        self.avoided_until = 0.0
        """By the loop's clock; 0 as long as none has died."""
        self._pause = _FIRST_PAUSE

    def died(self, now: float) -> None:
        """A kept connection was closed in place of an answer.

        Args:
            now: the loop's time.
        """
        if now < self.avoided_until:  # it was under way already
            return
        self.avoided_until = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def is_used_again(protocol: Any) -> bool:
    """Note that a connection is used, and tell whether it was before."""
    if getattr(protocol, "_kapture_used", False):
        return True
    protocol._kapture_used = True
    return False
