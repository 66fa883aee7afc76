"""Whatever is true of one wire is true of the other."""

from __future__ import annotations

import inspect

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    """Every test with an event loop runs on both wires, without having to ask for it.

    But for those of what tells one from the other.
    """
    if collector.name == "test_direct_wire.py":
        return
    if name.startswith("test_") and inspect.iscoroutinefunction(obj):
        pytest.mark.usefixtures("wire")(obj)
