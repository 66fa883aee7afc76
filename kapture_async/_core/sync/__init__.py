"""The blocking face of the async code: a private event loop, and what the sync clients are made of.

The sync clients themselves are generated; see :mod:`.generate`.
"""

from __future__ import annotations

from .base import SyncClient, SyncPages, SyncResource
from .portal import Portal, SyncInAsyncWarning

__all__ = ["Portal", "SyncClient", "SyncInAsyncWarning", "SyncPages", "SyncResource"]
