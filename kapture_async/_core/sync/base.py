"""What the generated sync clients stand on: their bases, and blocking pages and downloads."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, ClassVar, Generic, Never, Protocol, Self, TypeVar

from ..download.download import Download
from ..errors import ClientStateError
from ..pull.arrow import frame_for
from ..pull.pages import Pages
from .portal import Portal


class Closable(Protocol):
    """What a client must have to get a sync client."""

    async def aclose(self) -> None:
        """Close the client."""


ClientT = TypeVar("ClientT", bound=Closable)
InnerT = TypeVar("InnerT")
T = TypeVar("T")


class SyncClient(Generic[ClientT]):
    """Base of the generated clients: the async client, and the loop it runs in."""

    _inner: ClientT
    _portal: Portal
    _owner: bool
    _async_name: ClassVar[str]

    def _bind(self, inner: ClientT, portal: Portal | None = None) -> None:
        """Take an async client; without ``portal`` it gets one of its own, closed with it."""
        self._inner = inner
        self._owner = portal is None
        self._portal = portal or Portal(
            aclose=inner.aclose,
            async_name=self._async_name,
            # The class itself says the package that shows it, and not where its code is.
            hidden_module=next(
                vars(c)["__init__"] for c in type(self).__mro__ if "_async_name" in vars(c)
            ).__module__,
        )

    @classmethod
    def _wrap(cls, inner: ClientT, portal: Portal | None = None) -> Self:
        self = cls.__new__(cls)
        self._bind(inner, portal)
        return self

    def _close(self, aclose: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Close the inner client, and the loop if it is this client's own."""
        if self._owner:
            self._portal.close(aclose)
        else:
            self._portal.finish(aclose)

    def __repr__(self) -> str:
        if not hasattr(self, "_inner"):  # a refused setting; tracebacks show it half made
            return f"<{type(self).__name__}, not made>"
        return _repr_like(self, self._inner)


class SyncResource(Generic[InnerT]):
    """Base of the generated resources: the async resource, and the loop it runs in."""

    def __init__(self, inner: InnerT, portal: Portal) -> None:
        self._inner = inner
        self._portal = portal

    def __repr__(self) -> str:
        return _repr_like(self, self._inner)


def _repr_like(outer: object, inner: object) -> str:
    return repr(inner).replace(type(inner).__name__, type(outer).__name__, 1)


class SyncPages(Generic[T]):
    """Rows of one or more windows, handed out as they arrive.

    Iterate it for rows, or :meth:`pages` for whole pages; each continues where the other stopped.
    It can be iterated once. Leaving early is fine; ``with`` or :meth:`close` then stops at
    once what is being fetched ahead.
    """

    __module__ = "kapture_async"  # also where support_async shows it

    def __init__(self, portal: Portal, pages: Pages[T]) -> None:
        self._portal = portal
        self._pages = pages
        self._page: Iterator[T] = iter(())
        self._begun = False
        self._ended = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while True:
            for item in self._page:
                return item
            rows = self._fetch(self._pages.next_rows)
            if rows is None:
                raise StopIteration
            self._page = iter(rows)

    def pages(self) -> Iterator[list[T]]:
        """Iterate pages; the rest of a page already started comes first."""
        rest = list(self._page)
        if self._pages.midway:
            rest += self._fetch(self._pages.next_page) or []
        if rest:
            yield rest
        while (page := self._fetch(self._pages.next_page)) is not None:
            yield page

    def all(self) -> list[T]:
        """Fetch everything that is left into one list."""
        return list(self)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """All that is left as an Arrow stream (PyCapsule), for data frame libraries.

        ``polars.DataFrame(client.tickets.pull(...))`` is all it takes; the rows become columns
        while they arrive, some thousands at a time. It needs pyarrow, which the extra ``arrow``
        brings.

        Raises:
            ConfigurationError: pyarrow is not installed.
            TypeError: these rows have no columns.
        """
        reader = frame_for(self._pages).reader(self._blocks())
        stream: object = reader.__arrow_c_stream__(requested_schema)
        return stream

    def __array__(self, *args: object, **named: object) -> Never:
        """Refused: ``pandas.DataFrame(...)`` would make one column of objects of the rows.

        Raises:
            TypeError: always; it says what to call instead.
        """
        raise TypeError(
            "pandas.DataFrame(...) would make one column of objects of these rows: use "
            "pandas.DataFrame.from_arrow(...) (pandas 3), or "
            "pyarrow.RecordBatchReader.from_stream(...).read_pandas()"
        )

    def _blocks(self) -> Iterator[list[T]]:
        if rest := list(self._page):
            yield rest
        while (rows := self._fetch(self._pages.next_rows)) is not None:
            if rows:
                yield rows

    def close(self) -> None:
        """Stop fetching, and end the iteration. May be called again."""
        self._page = iter(())
        if self._begun and not self._ended:
            self._ended = True
            self._portal.finish(self._pages.aclose)
        self._ended = True

    def _fetch(self, ask: Callable[[], Coroutine[Any, Any, list[T] | None]]) -> list[T] | None:
        if self._ended:
            return None
        self._begun = True
        rows = self._portal.call(ask())
        if rows is None:
            self._ended = True
        return rows

    def __repr__(self) -> str:
        return repr(self._pages).replace(type(self._pages).__name__, type(self).__name__, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Left early and dropped, as after ``break``: nothing else can stop what is fetched ahead.
        if self._begun and not self._ended:
            self._portal.post(self._pages.aclose)


class SyncDownload:
    """One file on its way: a context manager, and inside it an iterator over its chunks.

    ::

        with client.attachments.stream("7") as download:
            print(download.filename, download.size)
            for chunk in download:
                ...

    The iteration ends only with the whole file. A transfer that breaks off raises its error, and
    reading on after that, or after a :meth:`close` before the end, raises
    :class:`ClientStateError`. Leaving early lets go of the connection. It serves one thread at
    a time.
    """

    def __init__(self, portal: Portal, download: Download) -> None:
        self._portal = portal
        self._download = download
        self._begun = False
        self._ended = False
        self._closed = False

    @property
    def filename(self) -> str:
        """The file's name as the service gives it, made safe for file systems.

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
            self._portal.finish(self._download.aclose)
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
                "a download can be entered once", next_step="Request the file again."
            )
        self._begun = True
        try:
            self._portal.call(self._download.__aenter__())
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
            self._portal.finish(lambda: self._download.__aexit__(exc_type, exc, traceback))

    def __del__(self) -> None:
        # Entered by hand and dropped: nothing else can let go of the connection.
        if self._begun and not self._closed:
            self._portal.post(self._download.aclose)

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
                next_step="Request the file again.",
            )
        try:
            return self._portal.call(call())
        except BaseException:
            # Also Ctrl-C: the bytes of this call may be lost, and what comes after them would
            # pass for the rest of the file.
            if self._begun:
                self._give_up()
            raise

    def _give_up(self) -> None:
        self._closed = True
        self._portal.post(self._download.aclose)
