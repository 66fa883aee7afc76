"""A Support Ticket server for your own tests: it knows what it executed, and fails on demand.

    async with SupportTwin() as twin:           # in the running loop
    with SupportTwin().in_thread() as twin:     # from synchronous code
    with SupportTwin.in_process() as twin:      # in a process of its own

Names are loaded when first used: the pytest plugin lives in this package, and every pytest run of
every user imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapture_async._core.lazy import loaded_late

if TYPE_CHECKING:
    from kapture_async._core.testing.acts import bomb
    from kapture_async._core.testing.faults import (
        BEHIND,
        KINDS,
        LIES,
        WEATHER,
        Fault,
        FaultKind,
        FaultPlan,
    )
    from kapture_async._core.testing.ledger import Ledger, LedgerEntry
    from kapture_async._core.testing.lists import Lists
    from kapture_async._core.testing.message import TwinReply, TwinRequest
    from kapture_async._core.testing.runner import TwinProcess

    from .store import TwinAttachment, TwinConversation, TwinTicket
    from .twin import SupportTwin, serve

__all__ = [
    "BEHIND",
    "KINDS",
    "LIES",
    "WEATHER",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "Ledger",
    "LedgerEntry",
    "Lists",
    "SupportTwin",
    "TwinAttachment",
    "TwinConversation",
    "TwinProcess",
    "TwinReply",
    "TwinRequest",
    "TwinTicket",
    "bomb",
    "serve",
]

_CORE = "kapture_async._core.testing"
_HOMES = {
    "BEHIND": f"{_CORE}.faults",
    "KINDS": f"{_CORE}.faults",
    "LIES": f"{_CORE}.faults",
    "WEATHER": f"{_CORE}.faults",
    "Fault": f"{_CORE}.faults",
    "FaultKind": f"{_CORE}.faults",
    "FaultPlan": f"{_CORE}.faults",
    "Ledger": f"{_CORE}.ledger",
    "LedgerEntry": f"{_CORE}.ledger",
    "Lists": f"{_CORE}.lists",
    "SupportTwin": ".twin",
    "TwinAttachment": ".store",
    "TwinConversation": ".store",
    "TwinProcess": f"{_CORE}.runner",
    "TwinReply": f"{_CORE}.message",
    "TwinRequest": f"{_CORE}.message",
    "TwinTicket": ".store",
    "bomb": f"{_CORE}.acts",
    "serve": ".twin",
}


__getattr__ = loaded_late(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
