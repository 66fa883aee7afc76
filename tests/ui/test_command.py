"""The command ``ui`` as a process: how it ends, and how it opens a browser."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
import webbrowser
from pathlib import Path

import pytest

from kapture_async._core.ui.command import _browser
from kapture_async.testing import KaptureEmulator

from ..once.judge import judge
from .conftest import StartUi, Ui


def post(ui: Ui, path: str) -> None:
    request = urllib.request.Request(
        f"{ui.origin}/api/{path}",
        data=json.dumps({}).encode(),
        headers={"Authorization": f"Bearer {ui.token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


@pytest.mark.skipif(os.name == "nt", reason="signals are not sent so on Windows")
def test_ctrl_c_lets_requests_in_flight_finish(
    start_ui: StartUi, server: KaptureEmulator, tmp_path: Path
) -> None:
    """Also while a browser follows, and its connection would stay open for ever."""
    file = tmp_path / "tickets.csv"
    file.write_text("title\n" + "".join(f"Ticket {number}\n" for number in range(500)))
    ui = start_ui(str(file), "--max-rate", "50")
    events = urllib.request.Request(
        f"{ui.origin}/api/events", headers={"Authorization": f"Bearer {ui.token}"}
    )
    with urllib.request.urlopen(events, timeout=30) as stream:
        assert json.loads(stream.readline())["file"]["name"] == "tickets.csv"
        post(ui, "push")
        assert server.ledger.wait_for(10)
        ui.process.send_signal(signal.SIGINT)
        assert ui.process.wait(60) == 0
        last = stream.read().splitlines()[-1]
    assert json.loads(last)["closing"]
    counts = judge(tmp_path / "tickets.csv.journal", server.ledger)
    assert counts.unknown == 0
    assert 10 <= counts.accepted == len(server.ledger) < 500


def test_the_token_is_not_among_the_arguments_of_the_browser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)) or True)
    with _browser("http://127.0.0.1:1/#secret", wanted=True):
        (url,) = opened
        assert "secret" not in url
        path = url.removeprefix("file://")
        assert "http://127.0.0.1:1/#secret" in Path(path).read_text()
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    assert not os.path.exists(path)
    with _browser("http://127.0.0.1:1/#secret", wanted=False):
        assert len(opened) == 1
