"""Opens a journal, takes a row, says so, and waits."""

from __future__ import annotations

import sys
import time

from kapture_async._core.journal.records import Identity, Job
from kapture_async._core.journal.reference import digest_of
from kapture_async._core.journal.store import Store

JOB = Job(
    service="helpdesk",
    operation="tickets.add",
    target="https://example.com",
    place="ticket_details",
    keys="id",
)
store = Store.open(sys.argv[1], job=JOB, create=True, at=time.time())
for number in range(int(sys.argv[2])):
    with store.transaction():
        store.take(Identity(f"held-{number}", digest_of(b"x")), b"x" * 500, time.time())
print("ready", flush=True)
sys.stdin.readline()
store.close(time.time())
