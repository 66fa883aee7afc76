"""A Kapture server for your own tests: it knows what it executed, and fails on demand.

    async with KaptureTwin() as twin:           # in the running loop
    with KaptureTwin().in_thread() as twin:     # from synchronous code
    with KaptureTwin.in_process() as twin:      # in a process of its own

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
    from .._core.testing.ledger import Ledger, LedgerEntry
    from .._core.testing.lists import Lists
    from .._core.testing.message import TwinReply, TwinRequest
    from .._core.testing.runner import TwinProcess
    from .customers import TwinCustomer
    from .orders import TwinOrder
    from .tickets import TwinTicket
    from .twin import KaptureTwin, serve

__all__ = [
    "BEHIND",
    "KINDS",
    "LIES",
    "WEATHER",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "KaptureTwin",
    "Ledger",
    "LedgerEntry",
    "Lists",
    "TwinCustomer",
    "TwinOrder",
    "TwinProcess",
    "TwinReply",
    "TwinRequest",
    "TwinTicket",
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
    "KaptureTwin": ".twin",
    "Ledger": ".._core.testing.ledger",
    "LedgerEntry": ".._core.testing.ledger",
    "Lists": ".._core.testing.lists",
    "TwinCustomer": ".customers",
    "TwinOrder": ".orders",
    "TwinProcess": ".._core.testing.runner",
    "TwinReply": ".._core.testing.message",
    "TwinRequest": ".._core.testing.message",
    "TwinTicket": ".tickets",
    "serve": ".twin",
}


__getattr__ = loaded_late(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
