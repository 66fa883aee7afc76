"""The blocking counterpart of a download."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from ..errors import ClientStateError
from .loop import PrivateLoop

T = TypeVar("T")


class AsyncDownload(Protocol):
    """What :class:`SyncDownload` needs of an async download."""

    @property
    def filename(self) -> str:
        """A safe name for the file."""
        ...

    @property
    def content_type(self) -> str:
        """What the service says it is; empty if it does not."""
        ...

    @property
    def size(self) -> int | None:
        """Bytes; ``None`` if it is not known beforehand."""

    @property
    def received(self) -> int:
        """Bytes handed out so far."""
        ...

    async def __aenter__(self) -> Any:
        """Send the request; nothing is left open if that fails."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        """Let go of the connection."""

    async def next_chunk(self) -> bytes | None:
        """The next bytes; ``None`` at the end."""

    async def read(self) -> bytes:
        """All bytes that are left."""
        ...

    async def aclose(self) -> None:
        """Let go of the connection; may be called at any time, and again."""


class SyncDownload:
    """One file on its way: a context manager, and inside it an iterator over its chunks.

    ::

        with client.attachments.stream("7") as download:
            print(download.filename, download.size)
            for chunk in download:
                ...

    The iteration ends only with the whole file. A transfer that breaks off raises its error, and
    to go on after that, or after a :meth:`close` before the end, raises
    :class:`ClientStateError`. Leaving early lets go of the connection. It serves one thread at
    a time.
    """

    def __init__(self, loop: PrivateLoop, download: AsyncDownload) -> None:
        self._loop = loop
        self._download = download
        self._begun = False
        self._ended = False
        self._closed = False

    @property
    def filename(self) -> str:
        """The file's name as the service gives it, made safe for people and file systems.

        Raises:
            ClientStateError: before ``with``.
        """
        return self._download.filename

    @property
    def content_type(self) -> str:
        """The file's media type as the service gives it; empty if it does not.

        Raises:
            ClientStateError: before ``with``.
        """
        return self._download.content_type

    @property
    def size(self) -> int | None:
        """The file's size in bytes; ``None`` if the service does not say.

        Raises:
            ClientStateError: before ``with``.
        """
        return self._download.size

    @property
    def received(self) -> int:
        """How many bytes were handed out so far."""
        return self._download.received

    def read(self) -> bytes:
        """All bytes that are left, in one piece; nothing after the end.

        Raises:
            HelpdeskError: the transfer broke off.
            ClientStateError: not begun by ``with``, or broken off or closed before the end.
        """
        if self._ended:
            return b""
        data = self._fetch(self._download.read)
        self._ended = True
        return data

    def close(self) -> None:
        """Let go of the connection. May be called at any time, and again."""
        if self._begun and not self._closed:
            self._closed = True
            self._loop.finish(self._download.aclose)
        self._closed = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = None if self._ended else self._fetch(self._download.next_chunk)
        if chunk is None:
            self._ended = True
            raise StopIteration
        return chunk

    def __enter__(self) -> Self:
        if self._begun or self._closed:
            raise ClientStateError(
                "a download can be entered once", next_step="Ask for the file anew."
            )
        self._begun = True
        try:
            self._loop.run(self._download.__aenter__())
        except BaseException:
            self._give_up()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._closed:
            self._closed = True
            self._loop.finish(lambda: self._download.__aexit__(exc_type, exc, traceback))

    def __del__(self) -> None:
        # Entered by hand and dropped: nobody else can let go of the connection.
        if self._begun and not self._closed:
            self._loop.post(self._download.aclose)

    def __repr__(self) -> str:
        if self._ended:
            state = "read to its end"
        elif self._closed:
            state = "closed"
        else:
            state = "open" if self._begun else "not begun"
        return f"<SyncDownload, {state}>"

    def _fetch(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self._closed:
            raise ClientStateError(
                "the download broke off or was closed before its end",
                next_step="Ask for the file anew.",
            )
        try:
            return self._loop.run(call())
        except BaseException:
            # Also Ctrl-C: the bytes of this call may be lost, and the end of what came after
            # them would be taken for the end of the whole file.
            if self._begun:
                self._give_up()
            raise

    def _give_up(self) -> None:
        self._closed = True
        self._loop.post(self._download.aclose)
