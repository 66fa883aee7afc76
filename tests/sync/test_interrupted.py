"""Ctrl-C during a call of the sync client: the same truth as from the async one."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PROGRAM = textwrap.dedent(
    """
    import os, signal, threading
    from kapture_async import SyncKaptureClient, interrupted_by
    from kapture_async.testing import Fault, KaptureEmulator

    with KaptureEmulator().in_thread() as emulator:
        def press():
            emulator.ledger.wait_for(1, timeout=20)  # executed, and never answered
            os.kill(os.getpid(), signal.SIGINT)

        with SyncKaptureClient(base_url=emulator.url, token=emulator.token) as client:
            threading.Thread(target=press).start()
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
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["NoReplyError True", "True", "True"], done.stderr
