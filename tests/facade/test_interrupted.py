"""Ctrl-C during a call of the sync client: the same truth as from the async one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

PROGRAM = textwrap.dedent(
    """
    import sys
    from kapture_async import SyncKaptureClient, interrupted_by
    from kapture_async.testing import Fault, KaptureTwin

    with KaptureTwin().in_thread() as twin:
        with SyncKaptureClient(base_url=twin.url, token=twin.token) as client:
            print("ready", flush=True)
            try:
                client.tickets.add(title="x", headers=Fault("silence_after").headers())
            except KeyboardInterrupt as interrupt:
                doubt = interrupted_by(interrupt)
                print(type(doubt).__name__, doubt.may_have_been_applied)
                print("may or may not have happened" in "".join(interrupt.__notes__))
            print(client.tickets.add(title="y").ticket_id != "")
    """
)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupted_by_knows() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        told = ""
        # The request has to be out first; a press too early finds nothing to interrupt.
        while not told and child.poll() is None:
            try:
                child.wait(0.3)
            except subprocess.TimeoutExpired:
                os.kill(child.pid, signal.SIGINT)
                break
        told, errors = child.communicate(timeout=30)
    finally:
        child.kill()
    assert told.splitlines() == ["NoReplyError True", "True", "True"], errors
