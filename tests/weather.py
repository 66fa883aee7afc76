"""The usual faults, in a hurry: a service that says "wait" means a moment."""

from __future__ import annotations

from kapture_async.testing import WEATHER, Fault


def _in_a_hurry(fault: Fault) -> Fault:
    if not fault.settings.get("retry_after"):
        return fault
    return Fault(fault.kind, **{**fault.settings, "retry_after": "0.02"})


HASTY = tuple(_in_a_hurry(fault) for fault in WEATHER)
