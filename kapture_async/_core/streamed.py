"""An answer that has begun to arrive, and is judged when all of it that matters is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import ReplyTooLargeError
from .jsontext import charset_in
from .phase import Attempt
from .response import ResponseContext
from .transport.request import RawReply
from .transport.streaming import OpenReply


class StreamedResponse:
    """The head of an answer, its body on the way, and the service's rule of success.

    Args:
        reply: the answer.
        judge: the rule of success.
        judgement: makes what that rule needs, from a whole reply.
        cap: the most decoded bytes of the body.
    """

    def __init__(
        self,
        reply: OpenReply,
        judge: Callable[[ResponseContext], Any],
        judgement: Callable[[RawReply], ResponseContext],
        cap: int,
    ) -> None:
        self._reply = reply
        self._judge = judge
        self._judgement = judgement
        self._cap = cap

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The tries it took until it began to arrive."""
        return self._reply.attempts

    @property
    def charset(self) -> str:
        """The charset that its head declares; empty if none."""
        return charset_in(self._reply.headers.get("Content-Type", ""))

    def check_size(self) -> None:
        """See whether its head already says that it is too large.

        Raises:
            ReplyTooLargeError: it does.
        """
        headers = self._reply.headers
        length = headers.get("Content-Length", "")
        if "Content-Encoding" in headers or not (length.isascii() and length.isdigit()):
            return
        if int(length) > self._cap:
            raise self.about(b"").error(
                ReplyTooLargeError, f"the answer unpacks to more than {self._cap:,} bytes"
            )

    async def next_chunk(self) -> bytes | None:
        """See :meth:`OpenReply.next_chunk`."""
        return await self._reply.next_chunk()

    def rest(self) -> None:
        """See :meth:`OpenReply.rest`."""
        self._reply.rest()

    async def go_on(self) -> None:
        """See :meth:`OpenReply.go_on`."""
        await self._reply.go_on()

    def close(self) -> None:
        """Let go of the connection. Calling it again does nothing."""
        self._reply.close()

    def about(self, body: bytes) -> ResponseContext:
        """What makes errors about this answer; ``body`` is what of it is quoted, if anything."""
        return self._judgement(
            RawReply(
                status=self._reply.status,
                headers=self._reply.headers,
                body=body,
                attempts=self._reply.attempts,
            )
        )

    def judged(self, body: bytes) -> ResponseContext:
        """The judgement of the answer by a body that stands for the one that came.

        Raises:
            HelpdeskError: what the rule of success says of it.
        """
        judgement = self.about(body)
        judgement.body = self._judge(judgement)
        return judgement
