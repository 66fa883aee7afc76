"""Calls from the command line, each with a client of its own."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import copy
from typing import Any, TypeVar

from kapture_async._core.cli.console import say, show_error, warn
from kapture_async._core.cli.exit_codes import code_of_error, worst_of
from kapture_async._core.cli.options import Target, UserAndPassword
from kapture_async._core.cli.running import run
from kapture_async._core.errors import (
    AuthenticationError,
    ConflictError,
    HelpdeskError,
    NotSentError,
    RejectedError,
)
from kapture_async._core.secret import Secret

from ..client import SupportClient

T = TypeVar("T")
Act = Callable[[SupportClient, str], Awaitable[None]]


@asynccontextmanager
async def client_of(
    *, user: UserAndPassword | None = None, **settings: Any
) -> AsyncIterator[SupportClient]:
    """A client with the settings of a target.

    A user is logged in first, and again whenever the token has expired; but never after a failed
    login, since services lock out users who keep trying.
    """
    refused: RejectedError | None = None

    async def log_in() -> Secret:
        nonlocal refused
        assert user is not None
        if refused is not None:
            raise copy(refused)
        try:
            return (await client.login(user.username, user.password)).access
        except RejectedError as error:
            refused = error
            raise

    provider = None if user is None else log_in
    async with SupportClient(**settings, token_provider=provider) as client:
        if user is not None:
            await client.login(user.username, user.password)
        try:
            yield client
        except AuthenticationError as error:
            if user is None:
                error.add_note("with --username, a token is fetched whenever one is needed")
            raise
        finally:
            if refused is not None:
                show_error(refused, about="logging in again")


def ask(target: Target, timeout: float, call: Callable[[SupportClient], Awaitable[T]]) -> T:
    """One call with a client of its own."""
    settings = target.settings()

    async def ask() -> T:
        async with client_of(**settings, timeout=timeout) as client:
            return await call(client)

    return run(ask)


def change(
    ticket_ids: tuple[str, ...], target: Target, timeout: float, act: Act, words: tuple[str, str]
) -> None:
    """Change one ticket after the other, and report each; ends the program.

    Args:
        ticket_ids: the tickets.
        target, timeout: of the calls.
        act: changes one.
        words: for what was done, and for the state that a ticket may already have.
    """
    done, state = words
    codes: list[int] = []

    async def change(client: SupportClient) -> None:
        left = list(dict.fromkeys(ticket_ids))
        while left:
            ticket_id = left.pop(0)
            try:
                await act(client, ticket_id)
            except ConflictError as error:
                codes.append(code_of_error(error))
                warn(f"ticket {ticket_id} is already {state}; nothing was changed")
            except HelpdeskError as error:
                codes.append(code_of_error(error))
                show_error(error, about=f"ticket {ticket_id}")
                if left and isinstance(error, (AuthenticationError, NotSentError)):
                    warn(f"not tried: {', '.join(left)}")  # they would fail in the same way
                    return
            else:
                say(f"{done} ticket {ticket_id}", style="green")

    ask(target, timeout, change)
    sys.exit(worst_of(codes))
