"""All cases, in the order in which they are run."""

from __future__ import annotations

from . import Case, calls, decode, imports, latency, memory, pull, push, upload

CASES: dict[str, Case] = {
    case.name: case
    for room in (push, latency, calls, decode, pull, upload, imports, memory)
    for case in room.CASES
}
