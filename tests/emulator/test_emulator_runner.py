"""An emulator in a thread, in a process, as a command: it starts, serves, and leaves nothing
behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import EmulatorProcess, KaptureEmulator

ADD = "/add-ticket-from-other-source.html/v.2.0"
ROOT = str(Path(__file__).parents[2])
ENVIRONMENT = os.environ | {"PYTHONPATH": ROOT}

Call = Callable[..., Any]


def run_python(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", text, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def wait_until_refused(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.02)
    pytest.fail("somebody still listens")


async def test_in_the_loop() -> None:
    async with KaptureEmulator() as emulator:
        with socket.create_connection(("127.0.0.1", emulator.port), timeout=5):
            assert emulator.url == f"http://127.0.0.1:{emulator.port}"
            assert repr(emulator) == f"KaptureEmulator({emulator.url})"


def test_in_a_thread(call: Call) -> None:
    before = threading.active_count()
    with KaptureEmulator().in_thread() as emulator:
        assert call(emulator.url, ADD, {"title": "T"}).status == 200
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    wait_until_refused(emulator.port)


def test_a_thread_can_run_an_emulator_once_at_a_time() -> None:
    running = KaptureEmulator().in_thread()
    for _ in range(2):
        with running as emulator, pytest.raises(RuntimeError, match="already"):
            running.__enter__()
        wait_until_refused(emulator.port)


def test_a_thread_reports_why_it_could_not_start() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="ddress"), KaptureEmulator(port=port).in_thread():
            pass


def test_a_thread_left_open_does_not_hang_the_interpreter() -> None:
    text = (
        "from kapture_async.testing import KaptureEmulator\n"
        "running = KaptureEmulator().in_thread()\n"
        "print(running.__enter__().url)\n"
        "import time\n"
        "print(time.monotonic())\n"
    )
    done = run_python(text)
    url, ends = done.stdout.splitlines()
    assert url.startswith("http://127.0.0.1:")
    assert time.monotonic() - float(ends) < 8  # less than any wait in the runner
    assert done.returncode == 0, done.stderr


def test_in_a_process(tmp_path: Path, call: Call) -> None:
    emulator = KaptureEmulator.in_process(
        ledger=tmp_path / "ledger.jsonl", token="other", failed_status=400
    )
    assert isinstance(emulator, EmulatorProcess)
    with emulator:
        assert call(emulator.url, ADD, {"title": "T"}).status == 400
        assert call(emulator.url, ADD, {"title": "T"}, Authorization="Basic other").status == 200
        port = int(emulator.url.rpartition(":")[2])
        with pytest.raises(RuntimeError, match="already"):
            emulator.start()
    assert [entry.payload for entry in emulator.entries] == [{"title": "T"}]
    wait_until_refused(port)
    with pytest.raises(RuntimeError, match="not running"):
        _ = emulator.url
    emulator.stop()


def test_a_killed_process_has_lost_nothing_it_answered(tmp_path: Path, call: Call) -> None:
    emulator = KaptureEmulator.in_process(ledger=tmp_path / "ledger.jsonl")
    emulator.start()
    answered = [call(emulator.url, ADD, {"title": "T"}).json["ticket_id"] for _ in range(20)]
    emulator.kill()
    assert [entry.ticket_id for entry in emulator.entries] == answered
    with emulator:
        assert call(emulator.url, ADD, {"title": "T"}).json["ticket_id"] not in answered
    assert len(emulator.entries) == 21


def test_faults_of_a_process_are_those_of_its_seed() -> None:
    def statuses() -> list[bytes]:  # of this seed, none is silent
        with KaptureEmulator.in_process(fault_rate=0.5, seed=22) as emulator:
            return [first_bytes(int(emulator.url.rpartition(":")[2])) for _ in range(15)]

    assert statuses() == statuses()


def first_bytes(port: int) -> bytes:
    """Return how an answer begins; empty when the connection ends without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        try:
            return client.recv(12)
        except OSError:
            return b""


def test_a_process_that_cannot_start_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RuntimeError, match="did not start"):
            KaptureEmulator.in_process(port=taken.getsockname()[1]).start()


def test_a_process_without_a_ledger_file_has_no_entries() -> None:
    with pytest.raises(RuntimeError, match="ledger"):
        _ = KaptureEmulator.in_process().entries


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_no_orphan_outlives_a_killed_parent() -> None:
    text = (
        "from kapture_async.testing import KaptureEmulator\n"
        "emulator = KaptureEmulator.in_process()\n"
        "emulator.start()\n"
        "print(emulator.url, flush=True)\n"
        "input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", text],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    port = int(parent.stdout.readline().rpartition(":")[2])
    parent.kill()
    parent.communicate(timeout=60)
    wait_until_refused(port)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_one_line_and_ends_by_signal(sign: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-X", "dev", "-m", "kapture_async.testing", "--port", "0"],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,  # closed from the start, and nobody asked to look at it
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("emulator: http://127.0.0.1:")
    with socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2])), timeout=5):
        process.send_signal(sign)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_the_command_refuses_nonsense() -> None:
    done = run_python(
        "import sys; from kapture_async.testing.__main__ import main; sys.exit(main(sys.argv[1:]))",
        "--faults=5",
    )
    assert done.returncode == 1
    assert done.stderr == "error: the rate of faults lies between 0 and 1, not at 5.0\n"


def test_the_plugin_is_cheap_until_it_is_used() -> None:
    done = run_python(
        "import kapture_async.testing.plugin, sys\n"
        "print([name for name in sys.modules if '.testing.' in name])\n"
    )
    assert done.stdout == "['kapture_async.testing.plugin']\n", done.stderr


def test_the_fixture_gives_each_test_an_emulator_of_its_own(tmp_path: Path) -> None:
    test = tmp_path / "test_users_own.py"
    test.write_text(
        "import urllib.error, urllib.request\n"
        "import pytest\n"
        f"PATH = {ADD!r}\n"
        "def add(emulator):\n"
        "    request = urllib.request.Request(\n"
        '        emulator.url + PATH, b\'{"title": "T"}\','
        " {'Authorization': 'Basic emulator-token'})\n"
        "    return urllib.request.urlopen(request).status\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_sync(kapture_emulator, n):\n"
        "    assert add(kapture_emulator) == 200\n"
        "    assert len(kapture_emulator.ledger) == 1\n"
        "async def test_async(kapture_emulator):\n"
        "    assert add(kapture_emulator) == 200\n"
        "@pytest.mark.kapture_emulator(token='x', failed_status=401)\n"
        "def test_marked(kapture_emulator):\n"
        "    with pytest.raises(urllib.error.HTTPError, match='401') as caught:\n"
        "        add(kapture_emulator)\n"
        "    caught.value.close()\n"
    )
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nfilterwarnings = error\n"
        "asyncio_default_fixture_loop_scope = function\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider"]
    # Named only where it is not installed: pytest takes no plugin twice.
    if "kapture_async.testing.plugin" not in entry_points():
        command += ["-p", "kapture_async.testing.plugin"]
    done = subprocess.run(
        [*command, str(test)],
        env=ENVIRONMENT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def entry_points() -> set[str]:
    return {point.value for point in metadata.entry_points(group="pytest11")}
