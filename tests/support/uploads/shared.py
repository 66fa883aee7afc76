"""Contents of the uploads, and what the emulator got of them."""

from __future__ import annotations

import hashlib
import io
import random
from typing import Any

from support_async.testing import SupportEmulator

from ..wire import MIB

RANDOM = random.Random(3).randbytes(2 * MIB + 1)
WHOLE = RANDOM[: 2 * MIB]
CONTENT = RANDOM[: 100 * 1024]


def sent(emulator: SupportEmulator) -> dict[str, Any]:
    """What the ledger says of the file of the last call that took effect."""
    found = emulator.ledger.entries[-1].payload["attachment"]
    assert isinstance(found, dict)
    return found


def assert_sent(emulator: SupportEmulator, content: bytes, name: str) -> None:
    found = sent(emulator)
    assert (found["name"], found["size"]) == (name, len(content))
    assert found["sha256"] == hashlib.sha256(content).hexdigest()


class OnlyRead:
    """A file that can do nothing else."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._rest.read(size)
