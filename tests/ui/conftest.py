"""The page as a process of its own, against an emulator, in a real Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from kapture_async.testing import KaptureEmulator

from ..cli.conftest import bare_environment

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Names that a hostile page may have lead to this machine, as after DNS rebinding.
    "--host-resolver-rules=MAP hostile.example 127.0.0.1",
)


@frozen
class Ui:
    """A running page."""

    process: subprocess.Popen[str]
    url: str
    """With the token in its fragment."""

    @property
    def origin(self) -> str:
        return self.url.partition("/#")[0]

    @property
    def token(self) -> str:
        return self.url.partition("#")[2]

    def kill(self) -> None:
        """As the machine might: nothing is said, nothing is finished."""
        self.process.kill()
        self.process.wait(30)


StartUi = Callable[..., Ui]


@pytest.fixture
def server() -> Iterator[KaptureEmulator]:
    with KaptureEmulator().in_thread() as emulator:
        yield emulator


@pytest.fixture
def start_ui(server: KaptureEmulator, tmp_path: Path, state_folder: Path) -> Iterator[StartUi]:
    """Starts the page in a folder of its own, and ends it."""
    environment = bare_environment(tmp_path) | {
        "KAPTURE_BASE_URL": server.url,
        "KAPTURE_TOKEN": server.token or "",
        "KAPTURE_ASYNC_STATE": str(state_folder),
    }
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> Ui:
        process = subprocess.Popen(
            [sys.executable, "-m", "kapture_async", "ui", *arguments, "--no-browser"],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        started.append(process)
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/#\S+", process.stdout.readline())
        assert found is not None
        return Ui(process, found[0])

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Opens browsers, each with an empty profile of its own; UI_RECORD=FOLDER keeps a recording of
    each, for `playwright show-trace`."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    folder = os.environ.get("UI_RECORD")
    contexts: list[Any] = []
    with playwright.sync_playwright() as driver:

        def browser(width: int = 1280, height: int = 900, scheme: str = "light") -> Any:
            context = driver.chromium.launch_persistent_context(
                str(tmp_path_factory.mktemp("profile")),
                executable_path=found,
                args=list(ARGUMENTS),
                viewport={"width": width, "height": height},
                color_scheme=scheme,
            )
            context.set_default_timeout(30_000)
            if folder is not None:
                context.tracing.start(screenshots=True, snapshots=True)
            contexts.append(context)
            return context.pages[0]

        yield browser
        for number, context in enumerate(contexts):
            if folder is not None:
                context.tracing.stop(path=Path(folder) / f"browser-{number}.zip")
            context.close()
