"""Contents of the uploads, and what the twin got of them."""

from __future__ import annotations

import hashlib
import io
import random
from typing import Any

from support_async.testing import SupportTwin

from ..wire import MIB

RANDOM = random.Random(3).randbytes(2 * MIB + 1)
WHOLE = RANDOM[: 2 * MIB]
CONTENT = RANDOM[: 100 * 1024]


def sent(twin: SupportTwin) -> dict[str, Any]:
    """What the ledger says of the file of the last call that took effect."""
    found = twin.ledger.entries[-1].payload["attachment"]
    assert isinstance(found, dict)
    return found


def assert_sent(twin: SupportTwin, content: bytes, name: str) -> None:
    found = sent(twin)
    assert (found["name"], found["size"]) == (name, len(content))
    assert found["sha256"] == hashlib.sha256(content).hexdigest()


class OnlyRead:
    """A file that can do nothing else."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._rest.read(size)
