"""What several commands show. All of it came from others: it is cleaned first."""

from __future__ import annotations

from .._core.cli.console import json_line, one_line, say, warn
from ..tickets.models import TicketDetail


def show_ticket(ticket_id: str, ticket: TicketDetail) -> None:
    """A ticket, with the fields of its tenant."""
    say(f"{one_line(ticket_id)}  {one_line(ticket.title or '')}", style="bold")
    created = None if ticket.created_at is None else f"{ticket.created_at:%Y-%m-%d %H:%M %z}"
    sub_status = ticket.sub_status_label
    lines = {
        "status": " / ".join(part for part in (ticket.status_label, sub_status) if part),
        "created": created,
        "assignee": ticket.assignee_name,
        "priority": ticket.priority,
        "folders": " > ".join(ticket.folders),
        "url": ticket.url,
    }
    for name, fields in (ticket.associate_fields or {}).items():
        for inner, value in fields.items() if isinstance(fields, dict) else ():
            lines[f"{name}.{inner}"] = str(value)
    for name, text in lines.items():
        if text:
            say(f"  {one_line(name):<10} {one_line(text)}")


def show_more(ticket: TicketDetail) -> None:
    """The conversations and the history of a ticket, where they were asked for."""
    for name, parts in (("conversation", ticket.conversations), ("history", ticket.history)):
        for kind, entries in (parts or {}).items():
            for entry in entries if isinstance(entries, list) else [entries]:
                say(f"  {name}, {one_line(kind)}: {one_line(_entry(entry), 300)}")


def _entry(entry: object) -> str:
    """An entry in a line: its text if it has one, beside when and who; else all of it."""
    if not isinstance(entry, dict):
        return str(entry)
    text = next((entry[name] for name in ("detail", "comment", "message") if entry.get(name)), None)
    if text is None:
        return json_line(entry)
    told = (entry.get(name) for name in ("date", "createdDate", "employeeName", "creatorName"))
    return " ".join(str(part) for part in (*told, text) if part)


def warn_of_short(short: tuple[str, ...], what: str, *, then: str = "") -> None:
    """Say that the service counts more than it gave, and of which days, if they have a name."""
    days = [day for day in short if day]
    more = f" and {len(days) - 5:,} more days" if len(days) > 5 else ""
    of = f", of {', '.join(days[:5])}{more}" if days else ""
    if short:
        warn(
            f"the service gave fewer {what} than it says there are{of}; perhaps it limits its "
            f"answers{then}"
        )
