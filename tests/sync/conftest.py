from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

_PROGRAMS = Path(__file__).parent / "programs"
_ROOT = Path(__file__).parents[2]

RunProgram = Callable[..., "subprocess.CompletedProcess[str]"]


class _Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections, which is what a fork shares

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of an HTTP server; a name, so that clients must look it up."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hello) as httpd:
        httpd.daemon_threads = True
        thread = threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://localhost:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def run_program() -> RunProgram:
    """Runs a program of ``programs/`` in a fresh interpreter, killed with its children in time."""

    def run(name: str, *arguments: str, options: tuple[str, ...] = ("-X", "dev")):
        with subprocess.Popen(
            [sys.executable, *options, str(_PROGRAMS / name), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            start_new_session=True,  # a forked child that hangs keeps the pipes open
        ) as process:
            try:
                out, err = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, err = process.communicate()
                pytest.fail(f"{name} {arguments} hangs\n{out}\n{err}")
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run
