"""pytest fixtures: ``kapture_twin`` gives each test a Kapture server of its own.

The twin runs in a thread, so sync and async tests use it alike. It is imported when a test first
asks for it: every pytest run of every user loads this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .twin import KaptureTwin

_MARKER = "kapture_twin(**settings): settings of the KaptureTwin behind the kapture_twin fixture"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def kapture_twin(request: pytest.FixtureRequest) -> Iterator[KaptureTwin]:
    """Return a running Kapture twin; ``@pytest.mark.kapture_twin(latency=0.1)`` sets it up."""
    from .twin import KaptureTwin

    marker = request.node.get_closest_marker("kapture_twin")
    with KaptureTwin(**(marker.kwargs if marker else {})).in_thread() as twin:
        yield twin
