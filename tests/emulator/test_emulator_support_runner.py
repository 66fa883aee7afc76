"""The Support emulator in a process, as a command and as a pytest fixture."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from support_async.testing import EmulatorProcess, SupportEmulator

from .support_calls import CREATE, TICKET, call

ROOT = str(Path(__file__).parents[2])
ENVIRONMENT = os.environ | {"PYTHONPATH": ROOT}
PLUGIN = "support_async.testing.plugin"


def run_python(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", text, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Elsewhere:
    """What a call needs to know of an emulator that runs in another process."""

    def __init__(self, process: EmulatorProcess, **settings: Any) -> None:
        self.port = int(process.url.rpartition(":")[2])
        local = SupportEmulator(**settings)
        self.apikey = local.apikey
        self.token = local.token


def test_in_a_process_with_its_settings(tmp_path: Path) -> None:
    process = SupportEmulator.in_process(
        ledger=tmp_path / "ledger.jsonl",
        apikey="other",
        envelope="bare",
        open_ticket_limit=1,
        max_file=10,
        ticket_id_from="query",
    )
    with process:
        emulator = Elsewhere(process, apikey="other")
        assert call(emulator, "POST", CREATE, TICKET, headers={"apikey": "x"}).status == 403
        large = [*TICKET.items(), ("attachment", b"x" * 11)]
        answer = call(emulator, "POST", CREATE, large)
        assert answer.json == {"attachment": ["File is too big. Max filesize: 10B."]}
        assert call(emulator, "POST", CREATE, TICKET).status == 200
        assert call(emulator, "POST", CREATE, TICKET).status == 401
        path = "/support/ticket/detailed-view/"
        assert call(emulator, "GET", path, {"ticket_id": "101"}).status == 400
        assert call(emulator, "GET", path, ticket_id="101").status == 200
    assert [entry.ticket_id for entry in process.entries] == ["101"]


def test_a_killed_process_has_lost_nothing_it_answered(tmp_path: Path) -> None:
    process = SupportEmulator.in_process(ledger=tmp_path / "ledger.jsonl")
    process.start()
    for _ in range(5):
        assert call(Elsewhere(process), "POST", CREATE, TICKET).status == 200
    process.kill()
    assert [entry.ticket_id for entry in process.entries] == ["101", "102", "103", "104", "105"]
    with process:
        assert call(Elsewhere(process), "POST", CREATE, TICKET).status == 200
    assert [entry.ticket_id for entry in process.entries][5:] == ["106"]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_command_says_one_line_and_ends_by_signal() -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-X", "dev", "-m", "support_async.testing"],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("emulator: http://127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_the_command_refuses_nonsense() -> None:
    done = run_python(
        "import sys; from support_async.testing.__main__ import main; sys.exit(main(sys.argv[1:]))",
        "--faults=5",
    )
    assert done.returncode == 1
    assert done.stderr == "error: the rate of faults lies between 0 and 1, not at 5.0\n"


def test_the_plugin_is_cheap_until_it_is_used() -> None:
    done = run_python(
        f"import {PLUGIN}, sys\nprint([name for name in sys.modules if '.testing' in name])\n"
    )
    assert done.stdout == f"['support_async.testing', '{PLUGIN}']\n", done.stderr


def test_all_names_can_be_had() -> None:
    import support_async.testing as package

    assert dir(package) == sorted(package.__all__)
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense


def test_the_fixture_gives_each_test_an_emulator_of_its_own(tmp_path: Path) -> None:
    test = tmp_path / "test_users_own.py"
    test.write_text(
        "import urllib.error, urllib.request\n"
        "import pytest\n"
        "BODY = b'subject=T&comment=T&priority=1&category=3'\n"
        "def create(emulator):\n"
        "    headers = {'apikey': emulator.apikey, 'Authorization': 'Bearer ' + emulator.token}\n"
        f"    request = urllib.request.Request(emulator.url + {CREATE!r}, BODY, headers)\n"
        "    return urllib.request.urlopen(request).status\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_sync(support_emulator, n):\n"
        "    assert create(support_emulator) == 200\n"
        "    assert len(support_emulator.ledger) == 1\n"
        "async def test_async(support_emulator):\n"
        "    assert create(support_emulator) == 200\n"
        "@pytest.mark.support_emulator(open_ticket_limit=0)\n"
        "def test_marked(support_emulator):\n"
        "    with pytest.raises(urllib.error.HTTPError, match='401') as caught:\n"
        "        create(support_emulator)\n"
        "    caught.value.close()\n"
    )
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nfilterwarnings = error\n"
        "asyncio_default_fixture_loop_scope = function\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider"]
    # Named only where it is not installed: pytest takes no plugin twice.
    if PLUGIN not in {point.value for point in metadata.entry_points(group="pytest11")}:
        command += ["-p", PLUGIN]
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
