"""Reading an answer, within its limits, the same way on both wires."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .call_state import CallState, Failure
from .settings import ERROR_BODY_CAP

if TYPE_CHECKING:
    from aiohttp import StreamReader

Translate = Callable[[Exception, CallState], Failure]


def too_large(cap: int, what: str = "answer unpacks to") -> Failure:
    """There is more than is accepted."""
    return Failure("too_large", f"the {what} more than {cap:,} bytes", True)


async def read_body(
    content: StreamReader, headers: Mapping[str, str], call: CallState, cap: int, *, quoted: bool
) -> bytes | None:
    """The whole body; ``None`` if it is larger than ``cap``. What is left is not read.

    One that is only ``quoted`` is cut instead.
    """
    if quoted:
        cap = min(cap, ERROR_BODY_CAP)
    length = _length(headers)
    encoded = "Content-Encoding" in headers
    call.note_activity()
    if length is not None and length > cap and not encoded and not quoted:
        return None
    # A Content-Length says nothing of what a compressed body unpacks to, so count.
    parts: list[bytes] = []
    size = 0
    async for part in content.iter_any():
        call.note_activity()
        size += len(part)
        if size > cap:
            if not quoted:
                return None
            parts.append(part[: cap - size])
            break
        parts.append(part)
    return b"".join(parts)


def never_whole(headers: Mapping[str, str], cap: int) -> Failure | None:
    """Why a file could never be known to be complete, by its head."""
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        # It was requested unpacked; compressed, a truncated file could not be detected.
        return Failure("garbled", "the file came compressed, which was not requested", True)
    length = _length(headers)
    if length is None and not _in_chunks(headers):
        # Only the end of the connection ends it, which also comes when the server dies.
        return Failure(
            "garbled", "the file came without a length: its end cannot be told from a break", True
        )
    return too_large(cap, "file has") if (length or 0) > cap else None


def _length(headers: Mapping[str, str]) -> int | None:
    """What ``Content-Length`` says; the parser has checked that it is a number."""
    text = headers.get("Content-Length")
    return None if text is None else int(text)


def _in_chunks(headers: Mapping[str, str]) -> bool:
    coding = headers.get("Transfer-Encoding", "").lower()
    return coding.rpartition(",")[2].strip() == "chunked"


class ArrivingBody:
    """The body of an answer on its way in, counted. See :class:`.call_state.Stream`.

    Args:
        content: where it arrives.
        call: whose answer it is.
        cap: the most bytes that are accepted.
        translate: makes a failure of what the HTTP library raises.
        done: called once, when no more is read: with whether the body was read to its end.
    """

    def __init__(
        self,
        content: StreamReader,
        call: CallState,
        cap: int,
        translate: Translate,
        done: Callable[[bool], None],
    ) -> None:
        self._content = content
        self._call = call
        self._cap = cap
        self._translate = translate
        self._done: Callable[[bool], None] | None = done
        self._size = 0

    async def next_chunk(self) -> bytes | Failure | None:
        try:
            part = await self._content.readany()
        except Exception as error:
            self.close()
            return self._translate(error, self._call)
        self._size += len(part)
        if self._size > self._cap:
            self.close()
            return too_large(self._cap, "file has")
        if not part:
            self._end(whole=True)
        return part or None

    def close(self) -> None:
        self._end(whole=False)

    def _end(self, *, whole: bool) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(whole)
