"""What the tests of the support client make again and again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from kapture_async import RetryPolicy
from support_async import Priority, SupportClient
from support_async.testing import SupportEmulator

QUICK = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002)
OTHER = "other@example.com"

TICKET: Mapping[str, Any] = {
    "subject": "First sample subject",
    "comment": "First sample text",
    "category": 3,
    "priority": Priority.LOW,
}
"""The fields of a ticket that the service takes."""


def client_of(emulator: SupportEmulator, **settings: Any) -> SupportClient:
    """A client of an emulator, with a token of its first user unless there is a provider."""
    usual: dict[str, Any] = {"apikey": emulator.apikey, "timeout": 5.0, "retry": QUICK}
    if "token_provider" not in settings:
        usual["access_token"] = emulator.token
    return SupportClient(emulator.url, **(usual | settings))


def sent(emulator: SupportEmulator) -> int:
    """How many requests arrived so far."""
    return sum(emulator.requests.values())


def told_of(name: str, content: bytes, content_type: str) -> dict[str, Any]:
    """A file as the ledger tells of it."""
    return {
        "name": name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "content_type": content_type,
    }
