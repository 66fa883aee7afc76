"""Standard output and error that never decide how a command ends.

A ticket that was created stays created when its id cannot be printed: the pipe is closed, the disk
is full, the terminal is gone, its encoding has no such letter. So what cannot be written is
remembered and dropped, and told at the end. A command whose output *is* its work (a pull to
standard output) asks for the error instead: :func:`data_to_stdout`.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import Any, TextIO

_KEPT = 64 * 1024
"""Bytes of a command's output that are kept to be told elsewhere."""


class Output(io.RawIOBase):
    """The raw end of a standard stream; a failure to write is remembered, not raised.

    Attributes:
        failure: why it could not be written, once that is so. Nothing is written from then on.
        lost: the beginning of what was not written.
        raises: raise the failure, once, instead.
    """

    def __init__(self, raw: io.RawIOBase | None) -> None:
        self._raw = raw
        self.failure: OSError | None = None if raw is not None else OSError("closed")
        self.lost = bytearray()
        self._forgets = False
        self.raises = False

    def write(self, data: Any) -> int:
        """Write all of it."""
        left = memoryview(data).cast("B")
        while left and self.failure is None and self._raw is not None:
            try:
                written = self._raw.write(left)
                if written is None:  # a pipe that does not block, and is full
                    select.select([], [self._raw], [])
                    continue
            except OSError as error:
                self.failure = error
                if self.raises:
                    raise
                break
            left = left[written:]
        if not self._forgets:
            self.lost += left[: _KEPT - len(self.lost)]
        return len(data)

    def forget_lost(self) -> None:
        """Keep nothing of what is not written: it is of no use elsewhere."""
        self._forgets = True
        self.lost.clear()

    def writable(self) -> bool:
        """Always; see the class."""
        return True

    def fileno(self) -> int:
        """The file descriptor, where there is one."""
        if self._raw is None:
            raise io.UnsupportedOperation("fileno")
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        return self._raw is not None and self._raw.isatty()


def guard_streams() -> None:
    """Put guarded streams in place of standard output and error, for the rest of the process."""
    # A closed descriptor would be given to the next file that is opened: the journal, say.
    with contextlib.suppress(OSError):
        while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(fd)
    sys.stdout, sys.stderr = _guarded(sys.stdout), _guarded(sys.stderr)


def _guarded(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed by the caller: `>&-`
        return io.TextIOWrapper(io.BufferedWriter(Output(None)), "utf-8", "replace")
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # put there by somebody else, who sees to it
    end = _raw_of(stream)
    if not isinstance(end, io.RawIOBase) or isinstance(end, Output):
        return stream
    with contextlib.suppress(OSError):
        stream.flush()
    output = Output(end)
    unbuffered = end is stream.buffer  # `python -u`
    buffer: Any = output if unbuffered else io.BufferedWriter(output)
    return io.TextIOWrapper(
        buffer,
        stream.encoding,
        "replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _raw_of(stream: Any) -> Any:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def output_of(stream: TextIO | None) -> Output | None:
    """The guarded end of a stream; ``None`` if it has none."""
    raw = _raw_of(stream)
    return raw if isinstance(raw, Output) else None


@contextlib.contextmanager
def data_to_stdout() -> Iterator[None]:
    """Inside, the output is the work: what cannot be written ends it.

    Raises:
        OSError: standard output could not be written; it is the output's ``failure``.
    """
    output = output_of(sys.stdout)
    if output is None:
        yield
        return
    if output.failure is not None:
        raise output.failure
    output.raises = True
    try:
        yield
        sys.stdout.flush()
    except SystemExit:
        sys.stdout.flush()
        raise
    finally:
        output.raises = False
        output.forget_lost()
