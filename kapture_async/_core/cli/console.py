"""Text on a terminal: what comes from a service or a file is made harmless before it is shown."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from ..errors import HelpdeskError
from ..jsontext import OddObject, own_text

if TYPE_CHECKING:
    from rich.console import Console

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
    standard output can hold. An object that keeps its own bytes is written as it came but for
    that."""
    narrow = not (sys.stdout.encoding or "").lower().startswith("utf")
    if isinstance(value, OddObject) and value.own is not None:
        text = own_text(value).decode()
        if narrow:
            text = _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)
    else:
        text = json.dumps(value, ensure_ascii=narrow, default=dict)
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def console(*, stderr: bool = False) -> Console:
    """A rich console that takes no text for markup, emoji or syntax."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


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
        error: what is told.
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
