"""What a push is fed with: rows from any iterable, sync or async."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
)
from typing import Any, Generic, TypeVar

from attrs import field, frozen

from ..errors import InvalidInputError

T = TypeVar("T")


@frozen
class Row(Generic[T]):
    """A row that knows its name and where it came from. Its repr shows no content.

    Attributes:
        value: what is to be sent.
        key: the caller's name for the row; stands in its outcome.
        line: where it began in its file, from 1.
        problem: why it cannot be sent; it then becomes a ``NotSent`` without being tried.
        keyed: the key is the row's own, and names it for good. A line number does not: it
            changes when a line is put in before it, so a journal goes by the content then.
        entry: the row of a journal whose place it takes, as the command ``rejects`` names it.
        content: what could be read of a row with a ``problem``, by wire names; a journal keeps
            it, so that the row can be mended.
    """

    value: T = field(repr=False)
    key: str | None = None
    line: int | None = None
    problem: InvalidInputError | None = None
    keyed: bool = True
    entry: str | None = None
    content: Any = field(default=None, repr=False)


Source = Iterable[T] | AsyncIterable[T]


class Rows:
    """Takes rows one by one from a sync or async source, for any number of workers.

    Raises:
        InvalidInputError: the source is no iterable, or is a single row by mistake.
    """

    def __init__(self, source: Source[Any]) -> None:
        self.at_once: Iterator[Any] | None = None
        """The source itself, if it keeps nobody waiting."""
        self._async: AsyncIterator[Any] | None = None
        self._then: AsyncIterator[Any] | None = None
        self._turn = asyncio.Lock()
        self._ended = False
        if isinstance(source, (str, bytes, dict)):
            raise InvalidInputError(
                f"a push takes an iterable of rows, not a single {type(source).__name__}"
            )
        if isinstance(source, AsyncIterable):
            self._async = aiter(source)
        elif isinstance(source, Iterable):
            self.at_once = iter(source)
        else:
            raise InvalidInputError(
                f"a push takes an iterable of rows, not {type(source).__name__}"
            )

    def then(self, rows: AsyncIterator[Any]) -> None:
        """Go on with these when the source is at its end."""
        if self.at_once is not None:
            self._async = _awaited(self.at_once)
            self.at_once = None
        self._then = rows

    async def take(self) -> Any:
        """The next row.

        Raises:
            StopAsyncIteration: there is none left.
            Exception: what the source itself raised.
        """
        if self.at_once is not None:
            for row in self.at_once:
                return row
            raise StopAsyncIteration
        assert self._async is not None
        async with self._turn:  # an async generator cannot be asked by two at once
            while True:
                if self._ended:  # asked once more, an iterator may wait for ever
                    raise StopAsyncIteration
                try:
                    return await anext(self._async)
                except asyncio.CancelledError:
                    raise
                except StopAsyncIteration:
                    if self._then is None:
                        self._ended = True
                        raise
                    self._async, self._then = self._then, None
                except BaseException:
                    self._ended = True
                    raise

    async def aclose(self) -> None:
        """Let an async generator that is left early clean up now, and not when it is collected."""
        if isinstance(self._async, AsyncGenerator):
            await self._async.aclose()


async def _awaited(rows: Iterator[Any]) -> AsyncIterator[Any]:
    for row in rows:
        yield row
