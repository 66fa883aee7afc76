"""pytest fixtures: ``kapture_emulator`` gives each test a Kapture server of its own.

The emulator runs in a thread, so sync and async tests use it alike. It is imported when a test
first
asks for it: every pytest run of every user loads this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .emulator import KaptureEmulator

_MARKER = "kapture_emulator(**settings): settings of the fixture kapture_emulator"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def kapture_emulator(request: pytest.FixtureRequest) -> Iterator[KaptureEmulator]:
    """Return a running Kapture emulator; ``@pytest.mark.kapture_emulator(latency=0.1)`` sets it
    up."""
    from .emulator import KaptureEmulator

    marker = request.node.get_closest_marker("kapture_emulator")
    with KaptureEmulator(**(marker.kwargs if marker else {})).in_thread() as emulator:
        yield emulator
