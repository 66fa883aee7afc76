"""Clients of either server, for the tests of the client against both."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kapture_async import RetryPolicy
from support_async import Priority, SupportClient

from .servers import MEMBER, OTHER, Server

MIB = 2**20
RANDOM = os.urandom(2 * MIB)
TICKET: dict[str, Any] = {
    "subject": "First sample subject",
    "comment": "First sample text",
    "category": 3,
}


def connect(server: Server, email: str = MEMBER, **settings: Any) -> SupportClient:
    """A client that sends nothing twice, with a token of the user unless there is a provider."""
    usual: dict[str, Any] = {"apikey": server.apikey, "retry": RetryPolicy(attempts=1)}
    if "token_provider" not in settings:
        usual["access_token"] = server.token(email)
    return SupportClient(server.url, timeout=10.0, **(usual | settings))


@pytest.fixture
async def member(server: Server) -> AsyncIterator[SupportClient]:
    """A client of the first user."""
    async with connect(server) as client:
        yield client


@pytest.fixture
async def other(server: Server) -> AsyncIterator[SupportClient]:
    """A client of somebody else."""
    async with connect(server, OTHER) as client:
        yield client


async def create(client: SupportClient, **fields: Any) -> str:
    """Create a ticket, and return its id: that of the newest."""
    await client.tickets.create(**(TICKET | {"priority": Priority.LOW} | fields))
    [row] = await client.tickets.history(limit=1)
    assert row.ticket_id is not None
    return row.ticket_id


async def file_of(client: SupportClient, ticket_id: str) -> str:
    """The id of a ticket's only file."""
    detail = await client.tickets.get(ticket_id)
    [attachment] = detail.attachments
    assert attachment.attachment_id is not None
    return attachment.attachment_id
