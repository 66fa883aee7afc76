"""How the command line shows tickets. All text came from others, so it is cleaned first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kapture_async._core.cli.console import clean, console, one_line, say, show_error, warn

from .._validation import PRIORITIES
from ..tickets.models import CreatedTicket, TicketAttachment, TicketDetail, TicketRow
from .options import STATUSES

_PRIORITY_WORDS = {code: word for word, code in PRIORITIES.items()}
_STATUS_WORDS = {code: word for word, code in STATUSES.items()}


class Table:
    """Rows in columns, printed as they come.

    A terminal gets a heading, and rows cut to its width; a pipe gets only the rows, uncut.

    Args:
        columns: heading and width of each column; the last one takes what is left.
    """

    def __init__(self, *columns: tuple[str, int]) -> None:
        self._columns = columns
        screen = console()
        self._edge = screen.width if screen.is_terminal else None
        self._begun = False

    def put(self, *cells: str | None) -> None:
        """Print a row."""
        if not self._begun and self._edge is not None:
            say(self._line([heading for heading, _ in self._columns]), style="dim")
        self._begun = True
        print(self._line(cells))

    def _line(self, cells: Sequence[str | None]) -> str:
        from rich.cells import cell_len

        line = ""
        for (_, width), cell in zip(self._columns, cells, strict=True):
            text = one_line(cell or "")
            if self._edge is not None and line:  # what comes first is an id, to be copied
                text = _cut(text, width or max(1, self._edge - cell_len(line)))
            line += text + " " * (width - cell_len(text)) + "  "
        return line.rstrip()


def history_table() -> Table:
    """The table of :func:`history_cells`."""
    return Table(("id", 6), ("status", 10), ("priority", 8), ("category", 20), ("subject", 0))


def history_cells(row: TicketRow) -> tuple[str | None, ...]:
    """A ticket of the history, for its table."""
    category = row.category_title or row.category
    return (
        row.ticket_id,
        status_word(row.status),
        priority_word(row.priority),
        category,
        row.subject,
    )


def show_ticket(ticket: TicketDetail) -> None:
    """A ticket with its replies and files."""
    say(f"{one_line(ticket.ticket_id or '')}  {one_line(ticket.subject or '')}", style="bold")
    of_reply: dict[str | None, list[str]] = {}
    for file in ticket.attachments:
        of_reply.setdefault(file.conversation_id, []).append(_id_of(file))
    replies = ticket.conversations
    known = {reply.conversation_id for reply in replies}
    # A file whose reply is missing must be shown all the same.
    own = [name for place, files in of_reply.items() for name in files if place not in known]
    facts: Mapping[str, str | None] = {
        "status": status_word(ticket.status),
        "priority": priority_word(ticket.priority),
        "category": ticket.category,
        "tags": ", ".join(ticket.tags or ()),
        "author": ticket.author,
        "files": ", ".join(own),
    }
    for name, text in facts.items():
        if text:
            say(f"  {name:<10} {one_line(text)}")
    _show_text(ticket.comment)
    for reply in replies:
        files = of_reply.get(reply.conversation_id, [])
        details = f"  with {_named(files)}" if files else ""
        head = f"reply {one_line(reply.conversation_id or '')} by {one_line(reply.author or '?')}"
        print()
        say(f"  {head}{details}", style="bold")
        _show_text(reply.comment)


def show_created(created: CreatedTicket, *, on_screen: bool) -> None:
    """Show what is known of a created ticket; doubts go to stderr.

    Args:
        created: what is known.
        on_screen: also show success; else stdout is for programs.
    """
    found, many = created.ticket_id, " or ".join(created.candidates)
    if created.doubt is not None:
        show_error(created.doubt)
    elif on_screen:
        say(f"Created ticket {found}" if found else "Created", style="green")
    if created.lookup_error is not None:
        show_error(created.lookup_error, about="its id could not be looked up")
    elif created.doubt is not None:
        warn(
            f"ticket {many} is new and matches; it was most likely created"
            if many
            else "no new ticket matches yet; one may still appear"
        )
    elif found is None and many:
        warn(f"its id is not certain: tickets {many} are new and match")
    elif found is None:
        warn("its id is unknown: the history does not show it yet")


def created_json(created: CreatedTicket | None) -> dict[str, Any]:
    """The same for programs; ``None`` if it was not looked for."""
    if created is None:
        return {"outcome": "accepted", "ticket_id": None}
    return {
        "outcome": "accepted" if created.doubt is None else "unknown",
        "ticket_id": created.ticket_id,
        "candidates": list(created.candidates),
    }


def status_word(code: str | None) -> str | None:
    """The word for a status; its code if there is none."""
    return _STATUS_WORDS.get(code or "", code)


def priority_word(code: str | None) -> str | None:
    """The word for a priority; its code if there is none."""
    return _PRIORITY_WORDS.get(code or "", code)


def _cut(text: str, width: int) -> str:
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def _show_text(text: str | None) -> None:
    if text:
        print()
        for line in clean(text).strip("\n").split("\n"):
            say(f"    {line}".rstrip())


def _named(files: list[str]) -> str:
    return f"{'file' if len(files) == 1 else 'files'} {', '.join(files)}"


def _id_of(file: TicketAttachment) -> str:
    return one_line(file.attachment_id or "?")
