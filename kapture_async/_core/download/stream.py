"""One file on its way in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

from ..errors import ClientStateError
from ..phase import Attempt
from ..transport.streaming import OpenReply
from .names import filename_of, safe_filename


class Download:
    """A file as it arrives: an async context manager, and inside it an iterator over its chunks.

    ::

        async with client.attachments.stream("901") as download:
            print(download.filename, download.size)
            async for chunk in download:
                ...

    Leaving early closes the connection. What breaks off raises, so a loop that ends by itself
    has had the whole file.

    Args:
        begin: sends the request and judges the head of the answer.
        default_name: the file's name where the service gives none.
    """

    def __init__(
        self, begin: Callable[[], Coroutine[Any, Any, OpenReply]], *, default_name: str
    ) -> None:
        self._begin = begin
        self._default_name = default_name
        self._reply: OpenReply | None = None
        self._used = False
        self._closed = False
        self._received = 0

    @property
    def filename(self) -> str:
        """A name for the file, as the service gives it, made safe: never a path.

        Raises:
            ClientStateError: the download has not begun; so for the other properties.
        """
        disposition = self._head.headers.get("Content-Disposition")
        return safe_filename(filename_of(disposition), self._default_name)

    @property
    def content_type(self) -> str:
        """The media type as the service gives it; empty if it does not."""
        return self._head.headers.get("Content-Type", "")

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, if that is known beforehand."""
        length = self._head.headers.get("Content-Length", "")
        return int(length) if length.isascii() and length.isdigit() else None

    @property
    def received(self) -> int:
        """Bytes that were handed out so far."""
        return self._received

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The tries it took until the file began to arrive."""
        return self._head.attempts

    async def next_chunk(self) -> bytes | None:
        """Some bytes, never none; ``None`` when all of the file has come, and only then.

        Raises:
            OutcomeUnknownError: the rest did not come (:class:`NoReplyError`,
                :class:`ReplyTimeoutError`), or is more than is accepted
                (:class:`ReplyTooLargeError`). It is a read: it is safe to begin again.
            ClientStateError: it was closed before its end.
        """
        chunk = await self._head.next_chunk()
        if chunk is not None:
            self._received += len(chunk)
        return chunk

    async def read(self) -> bytes:
        """All that is left, in one piece.

        Raises:
            OutcomeUnknownError: as :meth:`next_chunk`.
        """
        return b"".join([chunk async for chunk in self])

    async def aclose(self) -> None:
        """Close the connection. It may be called at any time, and again."""
        self._used = self._closed = True
        if self._reply is not None:
            self._reply.close()

    def __aiter__(self) -> Download:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.next_chunk()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def __aenter__(self) -> Download:
        if self._used:
            raise ClientStateError(
                "a download runs once", next_step="Call stream() again for another one."
            )
        self._used = True
        reply = await self._begin()
        if self._closed:  # by somebody else, meanwhile
            reply.close()
        self._reply = reply
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def _head(self) -> OpenReply:
        if self._reply is None:
            raise ClientStateError(
                "the download has not begun", next_step="Use it as `async with ... as download`."
            )
        return self._reply

    def __repr__(self) -> str:
        state = "not begun" if self._reply is None else f"{self._received:,} bytes received"
        return f"<Download, {state}>"
