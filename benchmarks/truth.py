"""What each client says of a POST that was executed: ``python -m benchmarks.truth``.

A server executes a create and then does not answer: it closes the connection, resets it, or stays
silent. Nobody can tell from outside whether the ticket exists. What does the client's error say,
and what does a reasonable retry loop make of it? The loop sends again after each error that,
by the client's own words, means that no connection was established, and stops at any other.

- ``twice``: the error claims that nothing was sent, so the loop sends again: two tickets.
- ``lost``: the error is the one that is also raised where nothing was sent, and the loop stops
  at both: tickets that never left are given up with those that exist.
- ``by class``: an error that is raised only once a connection stood. Who knows the classes can
  keep a list of such requests; the error itself does not say that it may have been executed.
- ``says so``: the error says that it may have been executed, and what is safe to do next.

Each client runs in a process of its own, on a new connection and on a kept one.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .answers import http, ticket_added_parts
from .machine import own_python
from .serving import ROOT
from .truth_clients import CLIENTS, TIMEOUT

FAULTS = ("close", "reset", "silent")
CONNECTIONS = ("new", "kept")


@dataclass
class Server:
    """Executes every POST, and fails to answer the first of each path below a fault's name."""

    executed: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> str:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._silence = threading.Event()
        self._added = ticket_added_parts()
        threading.Thread(target=self._accept, daemon=True).start()
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._silence.set()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as lines:
            while line := lines.readline():
                length, title = 0, b"x"
                while (head := lines.readline().strip().lower()) != b"":
                    if head.startswith(b"content-length:"):
                        length = int(head.partition(b":")[2])
                body = lines.read(length)
                with contextlib.suppress(ValueError, KeyError, IndexError):
                    title = json.dumps(json.loads(body)[0]["title"])[1:-1].encode()
                # /kept/close/...: the first request below a path makes the connection.
                where = "/".join(line.decode().split()[1].split("/")[1:4])
                kept, fault = where.split("/")[:2]
                self.executed[where] += 1
                if fault in FAULTS and self.executed[where] == 1 + (kept == "kept"):
                    self._fail(fault, connection)
                    return
                connection.sendall(http(self._added(b"%d" % self.executed.total(), title)))

    def _fail(self, fault: str, connection: socket.socket) -> None:
        if fault == "silent":
            self._silence.wait(20 * TIMEOUT)
        elif fault == "reset":
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@dataclass
class Found:
    """What one client did.

    Attributes:
        refused: its error where nothing listens.
        unreachable: its error where no connection comes about in time.
        said: its error per fault and connection.
        verdict: what the loop made of it.
    """

    refused: str = ""
    unreachable: str = ""
    said: dict[tuple[str, str], str] = field(default_factory=dict)
    verdict: dict[tuple[str, str], str] = field(default_factory=dict)

    def cell(self, fault: str) -> str:
        """Both connections in a few words."""
        new, kept = ((self.verdict[fault, one], self.said[fault, one]) for one in CONNECTIONS)
        if new == kept:
            return f"**{new[0]}**: `{new[1]}`"
        if new[0] == kept[0]:
            return f"**{new[0]}**: `{new[1]}`, kept `{kept[1]}`"
        return f"**{new[0]}**: `{new[1]}`; kept **{kept[0]}**: `{kept[1]}`"


def child(name: str, url: str) -> None:
    """Have one client make its calls, and print what its errors were."""
    with CLIENTS[name].opened() as client:
        found: dict[str, Any] = {"refused": _try(client, _closed_port(), 1)}
    with CLIENTS[name].opened() as client, _full_port() as hanging:
        found["unreachable"] = _try(client, hanging, 1)
    for fault in FAULTS:
        for kept in CONNECTIONS:
            # Nothing kept from before: each case has a client, and a path, of its own.
            with CLIENTS[name].opened() as fresh:
                path = f"{url}/{kept}/{fault}/{name}"
                if kept == "kept":
                    fresh.post(path)
                found[f"{fault} {kept}"] = _try(fresh, path, 3)
    print(json.dumps(found), flush=True)
    os._exit(0)


def _try(client: Any, url: str, times: int) -> dict[str, Any]:
    """The loop. Its first error, and whether that says that nothing was sent."""
    said: dict[str, Any] = {"error": "", "not_sent": False, "doubt": False}
    for _ in range(times):
        try:
            client.post(url)
        except Exception as error:
            not_sent = isinstance(error, client.not_sent)
            if not said["error"]:
                doubt = isinstance(error, client.in_doubt)
                said = {"error": type(error).__name__, "not_sent": not_sent, "doubt": doubt}
            if not not_sent:
                break
        else:
            break
    return said


def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _full_port() -> Iterator[str]:
    """Where a connection hangs: a listener whose queue is full."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def find(name: str, python: str, server: Server, url: str) -> Found:
    """Run a client in a process of its own, and judge by what the server executed."""
    done = subprocess.run(
        [python, "-m", "benchmarks.truth", "--child", name, "--url", url],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()[-300:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    found = Found(told["refused"]["error"], told["unreachable"]["error"])
    for fault in FAULTS:
        for kept in CONNECTIONS:
            said = told[f"{fault} {kept}"]
            executed = server.executed[f"{kept}/{fault}/{name}"] - (kept == "kept")
            found.said[fault, kept] = said["error"] or "no error"
            found.verdict[fault, kept] = _verdict(said, found, executed)
    return found


def _verdict(said: dict[str, Any], found: Found, executed: int) -> str:
    if executed > 1:
        return "twice"
    if said["doubt"]:
        return "says so"
    return "lost" if said["error"] in (found.refused, found.unreachable) else "by class"


def lacking(name: str) -> str:
    """What a client needs that is not here; empty if it can run."""
    client = CLIENTS[name]
    if client.own_python:
        return "" if own_python(name) else f"a Python of its own in BENCH_{name.upper()}"
    return "" if importlib.util.find_spec(client.needs) else client.needs


def everyone(tell: Callable[[str], None]) -> Iterator[tuple[str, Found]]:
    """What each client that is here says."""
    server = Server()
    with server as url:
        for name in CLIENTS:
            if missing := lacking(name):
                tell(f"{name} is left out: it needs {missing}")
            else:
                yield name, find(name, own_python(name) or sys.executable, server, url)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--child", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.url)
    print("| client | no connection | executed, then closed | then reset | then silent |")
    print("|---|---|---|---|---|")
    for name, found in everyone(lambda line: print(line, file=sys.stderr)):
        cells = " | ".join(found.cell(fault) for fault in FAULTS)
        none = f"`{found.refused}`, `{found.unreachable}`"
        print(f"| {CLIENTS[name].title} | {none} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
