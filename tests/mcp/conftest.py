"""MCP servers as agents meet them: started by the SDK's own client, over an emulator."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from kapture_async import KaptureClient
from kapture_async.testing import KaptureEmulator
from support_async import SupportClient
from support_async.testing import SupportEmulator

TIMEOUT, SETTLE = 0.5, 1.0


@frozen
class Desk:
    """An emulator, and how its MCP server is started.

    Attributes:
        package: of the client.
        emulator: the helpdesk.
        environment: what the server needs.
        ticket: the fields of a ticket.
    """

    package: str
    emulator: Any
    environment: dict[str, str]
    ticket: dict[str, str]

    def client(self) -> Any:
        """A client of the helpdesk, in this process."""
        if self.package == "kapture_async":
            return KaptureClient(
                base_url=self.emulator.url, token=self.emulator.token, timeout=TIMEOUT
            )
        return SupportClient(
            base_url=self.emulator.url,
            apikey=self.emulator.apikey,
            access_token=self.emulator.token,
            timeout=TIMEOUT,
        )

    def command(self, *options: str) -> list[str]:
        """The command of the server, after the interpreter."""
        times = ["--timeout", str(TIMEOUT), "--settle", str(SETTLE)]
        return ["-m", self.package, "mcp", *times, *options]

    def start(self, *options: str) -> Any:
        """For the SDK's client: the server, over stdio."""
        from mcp import StdioServerParameters

        return StdioServerParameters(
            command=sys.executable, args=self.command(*options), env=self.environment
        )

    def references(self, client: Any, folder: Path) -> Any:
        """The creates of a client, with a journal in a folder."""
        from kapture_async._core.mcp.references import References
        from kapture_async.cli import mcp as kapture
        from support_async.cli import mcp as support

        look = (kapture if self.package == "kapture_async" else support).look_of(client)
        journal = str(folder / "mcp.journal")
        return References(client.tickets, journal, look=look, settle=SETTLE, longest=TIMEOUT)

    @property
    def created(self) -> int:
        """How many tickets were really made."""
        made = {"tickets.add", "tickets.create"}
        return sum(entry.operation in made for entry in self.emulator.ledger)


def _environment(tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {"HOME": str(tmp_path), "KAPTURE_ASYNC_STATE": str(tmp_path / "state"), **more}


@asynccontextmanager
async def agent(desk: Desk, tmp_path: Path, *allowed: str) -> AsyncIterator[Any]:
    """The SDK's client and the server, in this process."""
    from mcp import Client

    if desk.package == "kapture_async":
        from kapture_async.cli.mcp_tools import server_of
    else:
        from support_async.cli.mcp_tools import server_of  # type: ignore[assignment]
    async with desk.client() as client:
        kept = desk.references(client, tmp_path)
        async with Client(server_of(client, kept, frozenset(allowed))) as made:
            yield made
        await kept.aclose()


@pytest.fixture
def kapture(tmp_path: Path) -> Iterator[Desk]:
    with KaptureEmulator().in_thread() as emulator:
        environment = _environment(
            tmp_path, KAPTURE_BASE_URL=emulator.url, KAPTURE_TOKEN=emulator.token
        )
        yield Desk("kapture_async", emulator, environment, {"title": "Printer on fire"})


@pytest.fixture
def support(tmp_path: Path) -> Iterator[Desk]:
    with SupportEmulator().in_thread() as emulator:
        environment = _environment(
            tmp_path,
            SUPPORT_BASE_URL=emulator.url,
            SUPPORT_APIKEY=emulator.apikey,
            SUPPORT_ACCESS_TOKEN=emulator.token,
        )
        ticket = {"subject": "Printer on fire", "comment": "Since noon.", "category": "3"}
        yield Desk("support_async", emulator, environment, ticket)


@pytest.fixture(params=["kapture", "support"])
def desk(request: pytest.FixtureRequest) -> Desk:
    """Each of the two."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Desk)
    return found
