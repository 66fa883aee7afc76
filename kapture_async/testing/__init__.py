"""A Kapture server for your own tests: it knows what it executed, and fails on demand.

    async with KaptureEmulator() as emulator:           # in the running loop
    with KaptureEmulator().in_thread() as emulator:     # from synchronous code
    with KaptureEmulator.in_process() as emulator:      # in a process of its own

Names are loaded when first used: the pytest plugin lives in this package, and every pytest run of
every user imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core.lazy import loaded_late

if TYPE_CHECKING:
    from .._core.testing.faults import (
        BEHIND,
        KINDS,
        LIES,
        WEATHER,
        Fault,
        FaultKind,
        FaultPlan,
    )
    from .._core.testing.http import EmulatorReply, EmulatorRequest
    from .._core.testing.ledger import Ledger, LedgerEntry
    from .._core.testing.lists import Lists
    from .._core.testing.runner import EmulatorProcess
    from .customers import EmulatedCustomer
    from .emulator import KaptureEmulator, serve
    from .orders import EmulatedOrder
    from .tickets import EmulatedTicket

__all__ = [
    "BEHIND",
    "KINDS",
    "LIES",
    "WEATHER",
    "EmulatedCustomer",
    "EmulatedOrder",
    "EmulatedTicket",
    "EmulatorProcess",
    "EmulatorReply",
    "EmulatorRequest",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "KaptureEmulator",
    "Ledger",
    "LedgerEntry",
    "Lists",
    "serve",
]

_HOMES = {
    "BEHIND": ".._core.testing.faults",
    "KINDS": ".._core.testing.faults",
    "LIES": ".._core.testing.faults",
    "WEATHER": ".._core.testing.faults",
    "Fault": ".._core.testing.faults",
    "FaultKind": ".._core.testing.faults",
    "FaultPlan": ".._core.testing.faults",
    "KaptureEmulator": ".emulator",
    "Ledger": ".._core.testing.ledger",
    "LedgerEntry": ".._core.testing.ledger",
    "Lists": ".._core.testing.lists",
    "EmulatedCustomer": ".customers",
    "EmulatedOrder": ".orders",
    "EmulatorProcess": ".._core.testing.runner",
    "EmulatorReply": ".._core.testing.http",
    "EmulatorRequest": ".._core.testing.http",
    "EmulatedTicket": ".tickets",
    "serve": ".emulator",
}


__getattr__ = loaded_late(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
