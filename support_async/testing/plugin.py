"""pytest fixtures: ``support_twin`` gives each test a Support Ticket server of its own.

The twin runs in a thread, so sync and async tests use it alike. It is imported when a test first
asks for it: every pytest run of every user loads this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .twin import SupportTwin

_MARKER = "support_twin(**settings): settings of the SupportTwin behind the support_twin fixture"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def support_twin(request: pytest.FixtureRequest) -> Iterator[SupportTwin]:
    """Return a running twin; ``@pytest.mark.support_twin(latency=0.1)`` sets it up."""
    from .twin import SupportTwin

    marker = request.node.get_closest_marker("support_twin")
    with SupportTwin(**(marker.kwargs if marker else {})).in_thread() as twin:
        yield twin
