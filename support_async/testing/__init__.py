"""A Support Ticket server for your own tests: it knows what it executed, and fails on demand.

    async with SupportEmulator() as emulator:           # in the running loop
    with SupportEmulator().in_thread() as emulator:     # from synchronous code
    with SupportEmulator.in_process() as emulator:      # in a process of its own

Names are loaded when first used: the pytest plugin lives in this package, and every pytest run of
every user imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapture_async._core.lazy import loaded_late

if TYPE_CHECKING:
    from kapture_async._core.testing.fault_actions import bomb
    from kapture_async._core.testing.faults import (
        BEHIND,
        KINDS,
        LIES,
        WEATHER,
        Fault,
        FaultKind,
        FaultPlan,
    )
    from kapture_async._core.testing.http import EmulatorReply, EmulatorRequest
    from kapture_async._core.testing.ledger import Ledger, LedgerEntry
    from kapture_async._core.testing.lists import Lists
    from kapture_async._core.testing.runner import EmulatorProcess

    from .emulator import SupportEmulator, serve
    from .store import EmulatedAttachment, EmulatedConversation, EmulatedTicket

__all__ = [
    "BEHIND",
    "KINDS",
    "LIES",
    "WEATHER",
    "EmulatedAttachment",
    "EmulatedConversation",
    "EmulatedTicket",
    "EmulatorProcess",
    "EmulatorReply",
    "EmulatorRequest",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "Ledger",
    "LedgerEntry",
    "Lists",
    "SupportEmulator",
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
    "SupportEmulator": ".emulator",
    "EmulatedAttachment": ".store",
    "EmulatedConversation": ".store",
    "EmulatorProcess": f"{_CORE}.runner",
    "EmulatorReply": f"{_CORE}.http",
    "EmulatorRequest": f"{_CORE}.http",
    "EmulatedTicket": ".store",
    "bomb": f"{_CORE}.fault_actions",
    "serve": ".emulator",
}


__getattr__ = loaded_late(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
