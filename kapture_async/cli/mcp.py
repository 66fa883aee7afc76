"""The ``mcp`` command."""

from __future__ import annotations

from typing import Any

import click

from .._core.cli.mcp import Agents, mcp_options, serve
from .._core.cli.options import Sectioned, Target, target_options
from .._reference import TEXT
from ..client import KaptureClient
from .options import KaptureTarget

WRITES = ("create", "update", "note", "status")


def _tools(client: Any, references: Any, allowed: frozenset[str]) -> Any:
    from .mcp_tools import server_of

    return server_of(client, references, allowed)


def look_of(client: KaptureClient) -> Any:
    """Lists the tickets of a time, with the references in them."""
    return client.tickets._added(TEXT).lookup


_AGENTS = Agents(
    program="kapture",
    prefix="KAPTURE",
    connect=KaptureClient,
    look=look_of,
    tools=_tools,
    writes=WRITES,
)


@click.command(cls=Sectioned)
@mcp_options(WRITES)
@target_options(KaptureTarget)
def mcp(target: Target, **options: Any) -> None:
    """Serve agents over MCP: tickets to read, and to write if you allow it.

    Talks over standard input and output, as MCP clients start their servers, or over HTTP on this
    machine with --http. Reads only, unless --allow-writes names the writes. A ticket is created by
    a reference, and never twice: a lost answer comes back as unknown, and can be checked.
    """
    serve(_AGENTS, target, **options)
