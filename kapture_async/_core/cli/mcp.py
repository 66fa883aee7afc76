"""The ``mcp`` command of both programs: its options, and how a server is run."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import click
from attrs import frozen

from ..errors import ConfigurationError
from ..journal.marks import folder
from .console import say
from .options import Decorator, Target, journal_at, positive, with_options
from .running import run
from .startup import INTERRUPTED


@frozen(kw_only=True)
class Agents:
    """What the command must know of a service.

    Attributes:
        program: what its MCP server is called.
        prefix: of its environment variables.
        connect: makes a client.
        look: lists the tickets of a time with a client, for their references.
        tools: makes the server of a client, the references of its creates, and the allowed writes.
        writes: the short names of its writes.
    """

    program: str
    prefix: str
    connect: Callable[..., Any]
    look: Callable[[Any], Any]
    tools: Callable[[Any, Any, frozenset[str]], Any]
    writes: tuple[str, ...]


def _writes(context: click.Context, _: click.Parameter, given: str | None) -> frozenset[str]:
    known: tuple[str, ...] = context.meta["mcp.writes"]
    chosen = frozenset(part.strip() for part in (given or "").split(",") if part.strip())
    if unknown := sorted(chosen - {*known, "all"}):
        raise click.BadParameter(f"no write {unknown[0]!r}; they are {', '.join(known)}, all")
    return frozenset(known) if "all" in chosen else chosen


def mcp_options(writes: tuple[str, ...]) -> Decorator:
    """The options of the command."""

    def chosen(context: click.Context, parameter: click.Parameter, given: str | None) -> Any:
        context.meta["mcp.writes"] = writes
        return _writes(context, parameter, given)

    return with_options(
        (
            click.option(
                "--allow-writes",
                "allowed",
                metavar="TOOLS",
                callback=chosen,
                help=f"Writes to allow, with commas: {', '.join(writes)}, or all.  [default: none]",
            ),
            click.option(
                "--journal",
                metavar="FILE",
                type=click.Path(dir_okay=False),
                help="Where creates are written down; a file, or the URL of a PostgreSQL "
                "database. Servers may share it.  [default: one per helpdesk and user]",
            ),
            click.option(
                "--http",
                "port",
                type=click.IntRange(0, 65535),
                metavar="PORT",
                help="Serve HTTP on 127.0.0.1 instead of stdio; 0 takes a free port.",
            ),
            click.option(
                "--timeout",
                type=positive,
                default=30.0,
                show_default=True,
                metavar="SECONDS",
                help="For each call.",
            ),
            click.option(
                "--settle",
                type=positive,
                metavar="SECONDS",
                help="Until a lookup may prove that there is no ticket.  [default: 300]",
            ),
        )
    )


def serve(
    agents: Agents,
    target: Target,
    *,
    allowed: frozenset[str],
    journal: str | None,
    port: int | None,
    timeout: float,
    settle: float | None,
) -> None:
    """Run the server until its client, or Ctrl-C, ends it.

    Raises:
        ConfigurationError: the extra is missing, or the token is too short.
        click.UsageError: the port cannot be used.
    """
    try:
        from ..mcp import references as creates
        from ..mcp import server as servers
    except ImportError as error:
        raise ConfigurationError(
            f"the MCP server needs the package mcp ({error})",
            next_step="Run: pip install 'kapture-async[cli,mcp]'",
        ) from error
    settings: Mapping[str, Any] = target.settings()
    listening = token = None
    if port is not None:
        variable = f"{agents.prefix}_MCP_TOKEN"
        token = os.environ.get(variable) or secrets.token_urlsafe(32)
        if len(token) < servers.LEAST_TOKEN:
            raise ConfigurationError(f"{variable} must have {servers.LEAST_TOKEN} characters")
        try:
            listening = servers.listen(port)
        except OSError as error:
            raise click.UsageError(f"cannot listen on port {port}: {error.strerror}") from None
        url = f"http://{servers.HOST}:{listening.getsockname()[1]}{servers.PATH}"
        say(f"MCP server at {url}", stderr=True)
        if not os.environ.get(variable):
            say(f"Bearer token: {token}  ({variable} sets one)", stderr=True)

    async def main() -> None:
        async with agents.connect(**settings, timeout=timeout) as client:
            where = (
                journal_at(journal, None, None)
                if journal
                else creates.default_journal(folder(), agents.program, client.base_url)
            )
            kept = creates.References(
                client.tickets, where, look=agents.look(client), settle=settle, longest=timeout
            )
            async with servers.closing(kept):
                server = agents.tools(client, kept, allowed)
                if listening is not None:
                    await servers.serve_http(server, listening, token or "")
                    return
                serving = asyncio.ensure_future(servers.serve_stdio(server))
                await asyncio.wait([serving])
                serving.result()

    if listening is None:
        run(lambda: _ended_at_once(main))
    else:
        run(main)


async def _ended_at_once(main: Callable[[], Awaitable[None]]) -> None:
    """End the program if it is interrupted: nothing can stop a thread that reads standard input.

    By then the creates are finished, and the client is closed.
    """
    try:
        await main()
    except asyncio.CancelledError:
        say("Interrupted.", stderr=True)
        sys.stderr.flush()
        os._exit(INTERRUPTED)
