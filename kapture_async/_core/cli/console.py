"""Text for a person: cleaned, worded and laid out; and standard streams that never fail a command.

What comes from a service or a file is made harmless before it is shown.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import HelpdeskError
from ..jsontext import OddObject, own_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

# --- text ------------------------------------------------------------------------------------

# CSI, then OSC and its kin up to their end, then any other escape.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# Control characters, and those that turn the direction of the text around them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNSAFE_IN_JSON = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def clean(text: str) -> str:
    """The text without escape sequences and control characters; line ends and tabs stay."""
    text = _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))
    return text.encode("utf-8", "replace").decode()


def one_line(text: str, longest: int | None = None) -> str:
    """The text, cleaned, on one line, and cut if it is too long."""
    text = " ".join(clean(text).split())
    if longest is not None and len(text) > longest:
        return text[: longest - 1].rstrip() + "…"
    return text


def json_line(value: Any) -> str:
    """A value as one line of JSON that no terminal takes for commands, and that any encoding of
    standard output can hold. An object that keeps its own bytes is otherwise written as it came."""
    narrow = not (sys.stdout.encoding or "").lower().startswith("utf")
    if isinstance(value, OddObject) and value.own is not None:
        text = own_text(value).decode()
        if narrow:
            text = _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)
    else:
        text = json.dumps(value, ensure_ascii=narrow, default=dict)
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def duration(seconds: float) -> str:
    """A length of time: ``8.2 ms``, ``1.93 s``, ``4:05``, ``1:02:03``."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    return clock(seconds)


def clock(seconds: float) -> str:
    """A length of time in whole seconds: ``0:07``, ``4:05``, ``1:02:03``."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def count(number: int, word: str) -> str:
    """A number and its noun: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def percent(share: float) -> str:
    """A share in percent, never rounded up to 100."""
    return f"{int(share * 10000) / 100:g} %"


def name_of(key: str | None, line: int | None) -> str:
    """A row's name for a person: its key, or else its line."""
    if key is not None:
        return key if line is None else f"{key} (line {line})"
    return "a row without a name" if line is None else f"line {line}"


# --- outcomes --------------------------------------------------------------------------------

WORDS = {
    "accepted": "accepted",
    "rejected": "rejected",
    "not_sent": "not sent",
    "unknown": "unknown",
}
STYLES = {"accepted": "green", "rejected": "yellow", "not_sent": "cyan", "unknown": "red"}
MEANINGS = {
    "accepted": "the service confirmed it",
    "rejected": "the service refused it; it had no effect",
    "not_sent": "it never left this machine; safe to send, after fixing it if necessary",
    "unknown": "it may or may not have happened; look it up, never resend it blindly",
}

# --- lines and tables ------------------------------------------------------------------------


def console(*, stderr: bool = False) -> Console:
    """A rich console that takes no text for markup, emoji or syntax."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def is_live(screen: Console) -> bool:
    """Whether lines on it can be redrawn."""
    return screen.is_terminal and not screen.is_dumb_terminal


def say(text: str, *, style: str = "", stderr: bool = False) -> None:
    """A line for the person at the terminal, wrapped there and left whole in a pipe."""
    screen = console(stderr=stderr)
    screen.print(clean(text), style=style, soft_wrap=not screen.is_terminal)


def warn(text: str) -> None:
    """A line about something that is not as it should be, and does not stop the work."""
    labelled(("warning", text, "yellow"))


def show_error(error: HelpdeskError, *, about: str = "") -> None:
    """What happened and whether anything was sent; below it the safe next step.

    Args:
        error: what is shown.
        about: what it concerns, where that is one of several.
    """
    story = str(error).removesuffix(error.next_step).strip()
    if about:
        story = f"{about}: {story}"
    labelled(("error", story, "bold red"), ("next", error.next_step, "bold"))


def labelled(*lines: tuple[str, str, str]) -> None:
    """Lines on stderr: a label in its style, and a text that is indented where it is wrapped."""
    from rich.table import Table
    from rich.text import Text

    screen = console(stderr=True)
    if not screen.is_terminal:
        for label, text, _ in lines:
            screen.print(f"{label}: {one_line(text)}", soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 1, 0, 0))
    for label, text, style in lines:
        grid.add_row(Text(f"{label}:", style=style), Text(one_line(text)))
    screen.print(grid)


def heading(screen: Console, text: str) -> None:
    """A line that begins a part of a report."""
    screen.print()
    screen.print(one_line(text), style="bold")
    screen.print()


_COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "word": {"min_width": 11, "no_wrap": True},
    "state": {"min_width": 15, "no_wrap": True},
    "number": {"justify": "right", "no_wrap": True},
    "name": {"no_wrap": True, "overflow": "ellipsis", "max_width": 30},
    "bar": {"no_wrap": True, "overflow": "crop"},
    "line": {"no_wrap": True, "overflow": "ellipsis"},
    "text": {},
}


def table(columns: str, rows: Iterable[Sequence[RenderableType]]) -> Table:
    """An indented table without lines.

    Args:
        columns: what they hold: ``word``, ``state``, ``number``, ``name``, ``bar``, ``line`` (one
            line each), ``text``.
        rows: a cell for each column; plain text is shown as it is.
    """
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=1)
    for column in columns.split():
        grid.add_column(**_COLUMNS[column])
    for row in rows:
        grid.add_row("", *row)
    return grid


def counted(word: str, number: int, style: str, meaning: str) -> tuple[RenderableType, ...]:
    """A row of a table of ``word number text``; it stands back if there are none."""
    from rich.text import Text

    shown = style if number else "dim"
    details = Text(meaning if number else "", "dim")
    return Text(word, shown), Text(f"{number:,}", shown), details


def first_of(shown: int, total: int) -> str:
    """The end of a heading, where not everything is shown."""
    return f", the first {shown:,} of {total:,}" if total > shown else ""


def show_commands(
    screen: Console, commands: Sequence[tuple[str, str]], title: str = "Next steps"
) -> None:
    """Commands to type next, each below a few words on it, in one piece for copying."""
    if not commands:
        return
    heading(screen, title)
    for what, command in commands:
        screen.print(f"  {what}", style="dim")
        screen.print(f"  {clean(command)}", soft_wrap=True)


# --- standard streams ------------------------------------------------------------------------
#
# A ticket that was created stays created when its id cannot be printed: the pipe is closed, the
# disk is full, the terminal is gone, its encoding has no such letter. So what cannot be written is
# remembered and dropped, and reported at the end. A command whose output *is* its work (a pull to
# standard output) asks for the error instead: `data_to_stdout`.

_KEPT = 64 * 1024
"""Bytes of a command's output that are kept, to be written elsewhere."""


class Output(io.RawIOBase):
    """The raw end of a standard stream; a failure to write is remembered, not raised.

    Attributes:
        failure: why it could not be written, if so. Nothing is written from then on.
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
        """Whether it is a terminal."""
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
        return stream  # replaced by the caller, who takes care of it
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
