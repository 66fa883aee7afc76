"""What can hang or litter an interpreter, each tried in one of its own."""

from __future__ import annotations

import importlib.util
import os

import pytest

UNCLOSED = "ResourceWarning: unclosed client (kapture-sync)"
LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
no_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
no_signals = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")


def warnings_in(text: str) -> list[str]:
    """Standard error without the source lines that warnings quote."""
    return [line for line in text.splitlines() if not line.startswith("  ")]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("case", "printed", "warned"),
    [
        ("never-used", ["left"], False),
        ("idle", ["left"], True),
        ("pending", ["left", "cancelled"], True),
        ("session", ["hello", "left", "closed"], True),
        ("hanging-close", ["left"], True),
        ("daemon-in-call", ["left"], True),
        ("thread", ["left", "thread", "done"], True),
        ("cycle", ["left"], True),
    ],
)
def test_leaving_without_close(run_program, server, case, loop, printed, warned):
    done = run_program("leave.py", case, loop, server)
    assert done.stdout.split() == printed
    lines = warnings_in(done.stderr)
    assert (len(lines), done.returncode) == (int(warned), 0), done.stderr
    assert all(UNCLOSED in line for line in lines)


@pytest.mark.parametrize("loop", LOOPS)
def test_leaving_with_a_task_that_refuses_to_end(run_program, loop):
    done = run_program("leave.py", "stubborn", loop, "")
    assert done.returncode == 0
    assert done.stdout.split() == ["left", "refused"]
    assert UNCLOSED in done.stderr
    assert "1 tasks ignored their cancellation" in done.stderr
    assert "destroyed" not in done.stderr


@no_fork
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("case", "printed"),
    [
        ("leave", []),
        (
            "call",
            [
                "the client was used before this process was forked, so its connections are "
                "the parent's. Nothing was sent. Make a new client here and use that one."
            ],
        ),
        ("close", ["close did nothing"]),
        ("drop", []),
        ("new", ["hello", "closed by child"]),
        ("unused", ["hello", "closed by child"]),
    ],
)
def test_fork(run_program, server, case, printed, loop):
    done = run_program("fork.py", case, loop, server)
    # The parent's own connection still works: the child took nothing out of its epoll set.
    expected = [*printed, "child left with 7", "parent: hello", "closed by parent"]
    assert (done.stdout.splitlines(), done.stderr) == (expected, "")
    assert done.returncode == 0


@no_signals
@pytest.mark.parametrize(
    ("case", "notes"),
    [
        ("cancelled", ["the ticket may have been created"]),
        ("completed", ["completed had completed; only its result was lost."]),
        (
            "failed",
            [
                "failed ended with NoReplyError: the connection was lost. It may or may not have "
                "happened. Look it up in the helpdesk first; do not send it again blindly."
            ],
        ),
        (
            "stubborn",
            ["stubborn did not stop within 0.2 s after it was cancelled: it may still happen."],
        ),
        (
            "twice",
            ["twice was still being cancelled: it may or may not have happened."],
        ),
    ],
)
def test_interrupt(run_program, case, notes):
    done = run_program("interrupt.py", case)
    cancelled = 1 if case == "stubborn" else 0
    assert done.stdout.splitlines() == [f"interrupted {notes!r} {cancelled}", "usable"]
    assert done.stderr == ""


def test_inside_a_running_loop(run_program):
    done = run_program("running_loop.py", options=())
    assert done.stdout.split() == ["42"] * 4
    warned = warnings_in(done.stderr)
    assert len(warned) == 2  # one for each call site
    assert all("SyncInAsyncWarning: answer was called" in line for line in warned)
    assert all("running_loop.py" in line and "Use KaptureClient" in line for line in warned)
