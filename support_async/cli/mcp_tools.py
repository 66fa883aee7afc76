"""The tools of Support's MCP server."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from kapture_async._core.errors import InvalidInputError
from kapture_async._core.mcp.references import Answer, References
from kapture_async._core.mcp.server import Toolbox, chosen, outcome_of, untrusted

from .._validation import PRIORITIES
from ..client import SupportClient
from ..tickets.models import NewTicket
from .options import STATUSES

TicketId = Annotated[str, Field(description="The ticket's id.")]
Reference = Annotated[
    str,
    Field(
        description="Your own name of this very case, such as an order number or a message id. "
        "The same reference never makes a second ticket."
    ),
]
Level = Literal["low", "medium", "high"]
_ROW = ("ticket_id", "subject", "priority", "category", "category_title", "status")
_DETAIL = ("ticket_id", "subject", "comment", "priority", "category", "status", "tags", "author")
_REPLY = ("conversation_id", "comment", "author")
_FILE = ("attachment_id", "conversation_id")
_LOOK = "Call get_conversation, and see whether it was done, before you send it again."


def server_of(client: SupportClient, references: References, allowed: frozenset[str]) -> Any:
    """The server of a client.

    Args:
        client: makes the calls.
        references: of its creates.
        allowed: the writes that are.
    """
    tools = Toolbox("support-async", allowed)

    async def get_ticket(ticket_id: TicketId) -> Answer:
        """Get a ticket: its subject, text, category, tags, priority and status (1 open, 2 being
        processed, 3 closed)."""
        return untrusted(ticket=chosen(await client.tickets.get(ticket_id), _DETAIL))

    async def get_conversation(ticket_id: TicketId) -> Answer:
        """Get a ticket with all replies, and the ids of its files."""
        found = await client.tickets.get(ticket_id)
        return untrusted(
            ticket=chosen(found, _DETAIL),
            replies=[chosen(reply, _REPLY) for reply in found.conversations],
            files=[chosen(file, _FILE) for file in found.attachments],
        )

    async def search_tickets(
        subject: Annotated[str | None, Field(description="With this subject.")] = None,
        category: Annotated[str | None, Field(description="Id of a category.")] = None,
        status: Literal["open", "processing", "closed"] | None = None,
        most: Annotated[int, Field(ge=1, le=200, description="Tickets to list.")] = 50,
        skip: Annotated[int, Field(ge=0, description="Tickets to skip, to read on.")] = 0,
    ) -> Answer:
        """List the customer's tickets, newest first; the service knows no dates, and shows the
        tickets of the one customer that this server is logged in as."""
        rows = await client.tickets.history(
            offset=skip,
            limit=most,
            subject=subject,
            category=category,
            status=None if status is None else STATUSES[status],
        )
        return untrusted(tickets=[chosen(row, _ROW) for row in rows]) | {"more": len(rows) >= most}

    async def list_categories_and_tags() -> Answer:
        """List the categories that tickets can have, and the tags, with their ids."""
        categories, tags = await client.categories.list(), await client.tags.list()
        return untrusted(
            categories=[chosen(one, ("category_id", "title", "description")) for one in categories],
            tags=[chosen(one, ("tag_id", "title", "keyword")) for one in tags],
        )

    async def create_ticket(
        reference: Reference,
        subject: Annotated[str, Field(max_length=500)],
        comment: Annotated[str, Field(description="The text.")],
        category: Annotated[str, Field(description="Id of a category.")],
        priority: Level = "medium",
    ) -> Answer:
        """Create a ticket, once for each reference. The service does not tell its id.

        Outcome unknown: the answer was lost, and the ticket may or may not exist; call
        check_reference. To ask again with the same reference is always safe.
        """
        ticket = NewTicket(
            subject=subject, comment=comment, category=category, priority=PRIORITIES[priority]
        )
        return await references.create(reference, ticket)

    async def update_ticket(
        ticket_id: TicketId,
        tags: Annotated[
            list[str] | None, Field(description="Ids of all tags it shall have.")
        ] = None,
        priority: Level | None = None,
    ) -> Answer:
        """Replace a ticket's tags, or change its priority, or both."""
        level = None if priority is None else PRIORITIES[priority]
        if tags:
            call = client.tickets.update(ticket_id, tags=tags, priority=level)
        elif level is not None:
            call = client.tickets.set_priority(ticket_id, level)
        else:
            raise InvalidInputError("give tags, or a priority, or both")
        return await outcome_of(call, look=_LOOK, ticket_id=ticket_id)

    async def reply_to_ticket(
        ticket_id: TicketId,
        comment: Annotated[str, Field(min_length=1, description="The reply.")],
    ) -> Answer:
        """Add a reply to a ticket. Others see it."""
        call = client.tickets.reply(ticket_id, comment)
        return await outcome_of(call, look=_LOOK, ticket_id=ticket_id)

    async def set_status(ticket_id: TicketId, status: Literal["closed", "reopened"]) -> Answer:
        """Close a ticket, or open a closed one again."""
        resource = client.tickets
        call = resource.close(ticket_id) if status == "closed" else resource.reopen(ticket_id)
        return await outcome_of(call, look=_LOOK, ticket_id=ticket_id)

    tools.read(get_ticket, "Get a ticket")
    tools.read(get_conversation, "Read a ticket's conversation")
    tools.read(search_tickets, "Search the customer's tickets")
    tools.read(list_categories_and_tags, "List categories and tags")
    tools.creates(references, create_ticket)
    tools.write("update", update_ticket, "Update a ticket", destructive=True, idempotent=True)
    tools.write("reply", reply_to_ticket, "Reply to a ticket", destructive=False)
    tools.write("status", set_status, "Close or reopen a ticket", destructive=True, idempotent=True)
    return tools.server
