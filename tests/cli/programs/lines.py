"""Command lines that start at once and wait for no settle time: ``lines.py [MODULE WORD...]``.

With words, one command line runs. Without, each that comes through the socket that is standard
input runs in a fork of this process, which has imported everything already: a process of its own
in every other respect, to its last exit handler.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from clock import Clock

IMPORTED = (  # all that command lines import when it comes to that
    "aiohttp",
    "cattrs",
    "kapture_async._core.transport.direct_wire",
    "kapture_async._core.cli.rejects",
    "kapture_async._core.cli.resume",
    *(
        f"kapture_async.cli.{name}"
        for name in ("app", "customers", "demo", "faqs", "orders", "pull", "push", "tickets")
    ),
    "kapture_async.sync",
    "rich.console",
    "rich.progress",
    "rich.table",
    *(f"support_async.cli.{name}" for name in ("app", "demo", "push", "tickets")),
    "support_async.sync",
    "uvloop",
)


def serve(channel: socket.socket) -> list[str] | None:
    """Fork for each command line. Gives the words in the child, and nothing at the end."""
    for name in IMPORTED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # a collection in a child would copy all of this process, page by page
    while True:
        message, files, _, _ = socket.recv_fds(channel, 1 << 20, 3)
        if not message:
            return None
        asked = json.loads(message)
        child = os.fork()
        if not child:
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            os.chdir(asked["folder"])
            os.environ.clear()
            os.environ.update(asked["environment"])
            signal.signal(signal.SIGINT, signal.default_int_handler)
            return list(asked["words"])
        for file in files:
            os.close(file)
        channel.send(b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        channel.send(b"%d\n" % os.waitstatus_to_exitcode(status))


def main() -> None:
    words: list[str] | None = sys.argv[1:]
    if not words:
        with socket.socket(fileno=os.dup(0)) as channel:
            words = serve(channel)
    if words is not None:
        clock = Clock()
        clock.ahead = float(os.environ.get("CLOCK_AHEAD", "0"))
        clock.install()
        sys.argv[1:] = words[1:]
        sys.path.pop(0)
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)


main()
