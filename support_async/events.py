"""What ``on_event=`` callbacks are told: of a client's attempts, of a push, and of a look."""

from __future__ import annotations

from kapture_async._core.events import *  # noqa: F403 - one list of names for all clients
from kapture_async._core.events import __all__ as __all__
