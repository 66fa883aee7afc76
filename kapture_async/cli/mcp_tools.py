"""The tools of Kapture's MCP server."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from .._core.errors import InvalidInputError
from .._core.mcp.references import Answer, References
from .._core.mcp.server import Toolbox, chosen, outcome_of, untrusted
from ..client import KaptureClient
from ..tickets.models import NewTicket

TicketId = Annotated[str, Field(description="The ticket's id.")]
Reference = Annotated[
    str,
    Field(
        description="Your own name of this very case, such as an order number or a message id. "
        "The same reference never makes a second ticket."
    ),
]
SubStatus = Annotated[
    str, Field(description="Key of the sub-status that the ticket is to have; tenants define them.")
]
Day = Annotated[str | None, Field(description="YYYY-MM-DD, both days included.")]
_ROW = (
    *("ticket_id", "title", "status_label", "sub_status_label", "created_at", "priority"),
    *("assignee_name", "customer_id", "customer_name", "email", "conversation_count"),
)
_DETAIL = (
    *("ticket_id", "title", "status_label", "sub_status_label", "created_at", "end_at"),
    *("priority", "assignee_name", "disposition", "sla_status", "url", "associate_fields"),
)
_LOOK = "Call get_conversation, and see whether it was done, before you send it again."


def server_of(client: KaptureClient, references: References, allowed: frozenset[str]) -> Any:
    """The server of a client.

    Args:
        client: makes the calls.
        references: of its creates.
        allowed: the writes that are.
    """
    tools = Toolbox("kapture-async", allowed)

    async def get_ticket(ticket_id: TicketId) -> Answer:
        """Get a ticket: its title, status, people and fields."""
        return untrusted(ticket=chosen(await client.tickets.get(ticket_id), _DETAIL))

    async def get_conversation(ticket_id: TicketId) -> Answer:
        """Get a ticket with its whole conversation: messages, notes and history."""
        found = await client.tickets.get(ticket_id, conversation_type="all", history_type="all")
        return untrusted(
            ticket=chosen(found, _DETAIL),
            conversations=found.conversations,
            history=found.history,
        )

    async def search_tickets(
        created_from: Day = None,
        created_to: Day = None,
        customer_code: Annotated[str | None, Field(description="Of one customer.")] = None,
        most: Annotated[int, Field(ge=1, le=200, description="Tickets to list.")] = 50,
    ) -> Answer:
        """List the tickets created on some days, or of a customer, or both."""
        if created_from is None and created_to is None and customer_code is None:
            raise InvalidInputError("give days, or a customer, or both")
        rows: list[Answer] = []
        more = False
        pages = client.tickets.pull(
            created_from or created_to, created_to or created_from, customer_code=customer_code
        )
        async with pages:
            async for row in pages:
                if len(rows) == most:
                    more = True
                    break
                rows.append(chosen(row, _ROW))
        return untrusted(tickets=rows) | {"more": more, "incomplete_days": list(pages.incomplete)}

    async def create_ticket(
        reference: Reference,
        title: str,
        details: Annotated[str | None, Field(description="The description.")] = None,
        customer_email: Annotated[str | None, Field(description="Customer to attach.")] = None,
        due_date: Annotated[str | None, Field(description="YYYY-MM-DD HH:MM:SS.")] = None,
    ) -> Answer:
        """Create a ticket, once for each reference.

        Outcome unknown: the answer was lost, and the ticket may or may not exist; call
        check_reference. To ask again with the same reference is always safe.
        """
        ticket = NewTicket(
            title=title, ticket_details=details, email_id=customer_email, due_date=due_date
        )
        return await references.create(reference, ticket)

    async def update_ticket(
        ticket_id: TicketId,
        sub_status: SubStatus,
        comment: Annotated[str | None, Field(description="A note to add.")] = None,
        queue: Annotated[str | None, Field(description="Key of the queue.")] = None,
        disposition: Annotated[str | None, Field(description="Folder path.")] = None,
        callback_time: Annotated[str | None, Field(description="YYYY-MM-DD HH:MM:SS.")] = None,
    ) -> Answer:
        """Change a ticket's sub-status, queue or folder, and perhaps add a note."""
        call = client.tickets.update(
            ticket_id,
            sub_status=sub_status,
            comment=comment,
            queue=queue,
            disposition=disposition,
            callback_time=callback_time,
        )
        return await outcome_of(call, look=_LOOK, ticket_id=ticket_id)

    async def add_note(
        ticket_id: TicketId,
        comment: Annotated[str, Field(min_length=1, description="The note.")],
        sub_status: SubStatus,
    ) -> Answer:
        """Add a note to a ticket. The service wants the sub-status with it."""
        call = client.tickets.update(ticket_id, sub_status=sub_status, comment=comment)
        return await outcome_of(call, look=_LOOK, ticket_id=ticket_id)

    async def set_status(ticket_id: TicketId, sub_status: SubStatus) -> Answer:
        """Change only the sub-status of a ticket."""
        call = client.tickets.update(ticket_id, sub_status=sub_status)
        return await outcome_of(call, look=_LOOK, ticket_id=ticket_id)

    tools.read(get_ticket, "Get a ticket")
    tools.read(get_conversation, "Read a ticket's conversation")
    tools.read(search_tickets, "Search tickets by day or customer")
    tools.creates(references, create_ticket)
    tools.write("update", update_ticket, "Update a ticket", destructive=True)
    tools.write("note", add_note, "Add a note to a ticket", destructive=True)
    tools.write("status", set_status, "Set a ticket's status", destructive=True, idempotent=True)
    return tools.server
