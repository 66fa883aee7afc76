"""A connection of the direct wire, in use or idle: it sends, and hears what comes back."""

from __future__ import annotations

import asyncio
import select
from typing import Any

import aiohttp

from .aiohttp_internals import (
    Lease,
    expect_answer,
    expect_nothing,
    hand_over,
    mark_used,
    read_in_small_pieces,
    wait_for_answer,
)
from .usual_answer import UsualAnswer, usual_answer

_CAN_POLL = hasattr(select, "poll")


class Connection(asyncio.Protocol):
    """An open connection. It takes the place of aiohttp's protocol, which a connector gave it.

    Args:
        lease: the connector's own.
        loop: the running loop.

    Attributes:
        handler: aiohttp's protocol: reads what is no usual answer, and learns of the end.
        transport: sends the bytes.
        content: the body of an answer that is arriving.
        used: a request went out on it before.
        spoiled: it is not to be used again: it is closed, or will be, or something came on it that
            nobody asked for.
        idle_since: by the loop's clock.
    """

    __slots__ = (
        *("_by_handler", "_lease", "_loop", "_poll", "_due", "content", "handler"),
        *("idle_since", "spoiled", "transport", "used"),
    )

    def __init__(self, lease: Lease, loop: asyncio.AbstractEventLoop) -> None:
        self._lease = lease
        self._loop = loop
        self._due = False
        self._by_handler = False
        self.handler = handler = lease.protocol
        assert handler.transport is not None
        self.transport: asyncio.Transport = handler.transport
        read_in_small_pieces(self.transport)
        self.used = mark_used(handler)  # a large body may have left on it, through the session
        self.content: aiohttp.StreamReader | None = None
        self.spoiled = handler.should_close or self.transport.is_closing()
        self.idle_since = 0.0
        socket = self.transport.get_extra_info("socket")
        self._poll: Any = None
        if _CAN_POLL and socket is not None:
            self._poll = select.poll()
            self._poll.register(socket.fileno(), select.POLLIN)
        expect_nothing(handler)
        self.transport.set_protocol(self)

    def has_news(self) -> bool:
        """Whether something arrived that the loop has not read yet, be it the end."""
        return self._poll is not None and bool(self._poll.poll(0))

    # --- one answer ------------------------------------------------------------------------------

    def expect(self) -> asyncio.Future[UsualAnswer | None]:
        """Get ready for one answer, of a request that has a body.

        Returns:
            The answer if it is a usual one; ``None`` if the handler has read its head.
        """
        self._due = True
        return wait_for_answer(self.handler, self._loop)

    def expect_by_handler(self, *, skip_payload: bool, silence: float | None) -> None:
        """Have the handler read one answer, whatever it is."""
        self._by_handler = True
        expect_answer(self.handler, skip_payload=skip_payload, silence=silence)

    def expect_nothing(self, now: float) -> bool:
        """The answer was read to its end: whatever comes now spoils the connection.

        Returns:
            Whether it may be used again.
        """
        if self._due:  # the request was not sent after all
            self._due = False
            hand_over(self.handler, None)
        if self._by_handler:
            self._by_handler = False
            self.content = None
            if self.handler.should_close:
                self.spoiled = True
            expect_nothing(self.handler)
        self.idle_since = now
        return not (self.spoiled or self.transport.is_closing())

    # --- what the transport tells ----------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        if self._due:
            self._due = False
            found = usual_answer(data)
            if found is not None:
                hand_over(self.handler, found)
                return
            self.expect_by_handler(skip_payload=False, silence=None)
        elif not self._by_handler:
            self.spoiled = True
        self.handler.data_received(data)

    def eof_received(self) -> None:
        """There will be no more; the transport closes."""
        self.spoiled = True
        self.handler.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self.spoiled = True
        self.handler.connection_lost(exc)

    def pause_writing(self) -> None:
        """Its buffer is full."""
        self.handler.pause_writing()

    def resume_writing(self) -> None:
        """Its buffer has room again."""
        self.handler.resume_writing()

    # --- its end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Close it in good order. May be called again."""
        self._poll = None
        self._lease.close()

    def abort(self) -> None:
        """Close it at once: what is still in its buffers is of no use."""
        self._poll = None
        self.transport.abort()
        self._lease.close()
        if self.content is not None and not self.content.is_eof():
            # A protocol that was closed does not tell whoever waits for the rest of a body.
            self.content.set_exception(aiohttp.ClientConnectionError("closed"))
