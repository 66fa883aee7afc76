"""Command lines that run to their end: forks of a process that has imported everything."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

LINES = Path(__file__).parent / "programs" / "lines.py"
SECONDS = 120.0  # until it is taken to hang
CAN_FORK = hasattr(os, "fork") and hasattr(socket, "send_fds")


class Lines:
    """Starts command lines; see ``programs/lines.py``."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if not CAN_FORK:
            return
        self._channel, other = socket.socketpair()
        self._channel.settimeout(SECONDS)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, str(LINES)], stdin=other, env=dict(environment)
            )

    def run(
        self,
        module: str,
        *words: str,
        environment: Mapping[str, str],
        folder: Path,
        text: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python -m module words`` in a folder, with this text as its standard input."""
        command = [module, *words]
        if self._process is None:
            return subprocess.run(
                [sys.executable, str(LINES), *command],
                env=dict(environment),
                cwd=folder,
                input=text or "",
                capture_output=True,
                encoding="utf-8",
                timeout=SECONDS,
                check=False,
            )
        files = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115
        try:
            files[0].write((text or "").encode())
            files[0].seek(0)
            code = self._fork(command, environment, folder, files)
            out, err = (_content(file) for file in files[1:])
        finally:
            for file in files:
                file.close()
        return subprocess.CompletedProcess(command, code, out, err)

    def end(self) -> None:
        """End the process that forks."""
        if self._process is not None:
            self._channel.close()
            self._process.wait(SECONDS)

    def _fork(
        self, words: list[str], environment: Mapping[str, str], folder: Path, files: list[IO[bytes]]
    ) -> int:
        asked = {"words": words, "environment": dict(environment), "folder": str(folder)}
        numbers = [file.fileno() for file in files]
        socket.send_fds(self._channel, [json.dumps(asked).encode()], numbers)
        with self._channel.makefile("r") as answers:
            child = int(answers.readline())
            try:
                return int(answers.readline())
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                raise


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    # As in a pipe that is read as text: every line ends alike.
    return file.read().decode().replace("\r\n", "\n").replace("\r", "\n")
