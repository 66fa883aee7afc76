"""An answer whose body is read as it arrives."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from ..errors import ClientStateError, HelpdeskError
from ..phase import Attempt
from .call_state import Failure, OpenAnswer


class SelfDelimiting:
    """A rule for the heads of answers whose bodies tell where they end, as JSON does.

    Such a body may come compressed or without a length; a file may not. Give it as ``is_file``.
    """

    def __call__(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether the body is to be read as it arrives: unless the status is a failure."""
        return 200 <= status < 300


class OpenReply:
    """The head of a file, and its body on the way. It holds a connection slot.

    Args:
        answer: what arrived.
        attempts: the attempts so far.
        release: called when the connection slot is free again.
        broke_off: makes the error for a body that does not come to its end.
        acquire: gets a connection slot once more.
    """

    def __init__(
        self,
        answer: OpenAnswer,
        attempts: tuple[Attempt, ...],
        *,
        release: Callable[[], None],
        broke_off: Callable[[Failure], HelpdeskError],
        acquire: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers  # case-insensitive
        self.attempts = attempts
        self._body = answer.body
        self._release = release
        self._acquire = acquire
        self._has_slot = True
        self._broke_off = broke_off
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._whole = False
        self._failure: HelpdeskError | None = None

    async def next_chunk(self) -> bytes | None:
        """Decoded bytes, never empty; ``None`` when all of them have come, and only then.

        A cancellation loses nothing: it can be called again.

        Raises:
            OutcomeUnknownError: the body broke off, or is more than is accepted.
            ClientStateError: it was closed before its end.
        """
        if self._whole:
            return None
        if self._failure is not None:
            raise self._failure
        if not self._open:
            raise ClientStateError(
                "the answer was closed before its end", next_step="Request it again."
            )
        chunk = await self._body.next_chunk()
        if isinstance(chunk, bytes):
            return chunk
        self.close()
        if chunk is not None:
            self._failure = self._broke_off(chunk)
            raise self._failure
        self._whole = True
        return None

    def close(self) -> None:
        """Let go of the connection and of its slot. Calling it again does nothing."""
        if self._open:
            self._open = False
            self._body.close()
            if self._has_slot:
                self._release()

    def release_slot(self) -> None:
        """Lend the connection slot to others while nothing is read.

        An answer that waits for its reader would otherwise keep that very reader from making
        any other call.
        """
        if self._open and self._has_slot and self._acquire is not None:
            self._has_slot = False
            self._release()

    async def reacquire_slot(self) -> None:
        """Take a connection slot again, if it was lent, to read on."""
        if self._open and not self._has_slot and self._acquire is not None:
            await self._acquire()
            self._has_slot = True
            if not self._is_open():  # closed while it waited for the slot
                self._release()

    def _is_open(self) -> bool:
        return self._open

    def __del__(self) -> None:
        # Dropped, perhaps by a thread that has nothing to do with the loop.
        if getattr(self, "_open", False):
            self._open = False
            with suppress(RuntimeError):  # the loop is closed: no one waits for the slot
                self._loop.call_soon_threadsafe(self._body.close)
                if self._has_slot:
                    self._loop.call_soon_threadsafe(self._release)
            warnings.warn(
                "a download was dropped before its end: use it in an `async with` statement, or "
                "call aclose()",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return f"<OpenReply {self.status}{'' if self._open else ' (closed)'}>"
