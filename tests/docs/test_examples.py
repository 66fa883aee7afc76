"""Every example of the guides runs as it stands, against the emulators.

Those of one guide are one session, as for a reader who pastes them in their order into
``python -m asyncio``. Commands run in a folder with the files that the guide speaks of.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kapture_async
import support_async
from kapture_async.testing import KaptureEmulator
from support_async.testing import SupportEmulator

from ..cli.conftest import bare_environment, runner
from ..cli.running import Lines
from .guides import GUIDES, ROOT, Example, examples

Client = kapture_async.KaptureClient, support_async.SupportClient

FILES = {
    "tickets.csv": "Id,Subject,Text\n1,Printer on fire,Since noon.\n2,No paper,\n",
    "people.csv": "code,customer_name,phone\nc1,Example,0000000004\n",
    "requests.csv": "Id,Subject,Text,Category,Priority\n1,Printer on fire,Since noon.,3,1\n",
}


@pytest.fixture
def kapture() -> Iterator[KaptureEmulator]:
    with KaptureEmulator().in_thread() as emulator:
        yield emulator


@pytest.fixture
def support() -> Iterator[SupportEmulator]:
    with SupportEmulator().in_thread() as emulator:
        yield emulator


@pytest.fixture
def variables(kapture: KaptureEmulator, support: SupportEmulator) -> dict[str, str]:
    return {
        "KAPTURE_BASE_URL": kapture.url,
        "KAPTURE_TOKEN": kapture.token or "",
        "KAPTURE_ORDERS_USERNAME": "emulator-user",
        "KAPTURE_ORDERS_PASSWORD": "emulator-password",
        "SUPPORT_BASE_URL": support.url,
        "SUPPORT_APIKEY": support.apikey,
        "SUPPORT_USERNAME": "member@example.com",
        "SUPPORT_PASSWORD": "emulator-password",
    }


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader sits: a folder with files, and the variables set."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8 not much of a photo")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def run(example: Example, names: dict[str, Any]) -> None:
    """Run one example in the session that ``names`` is."""
    code = compile(
        example.tree(), str(ROOT / example.guide), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    if code.co_flags & inspect.CO_COROUTINE:
        await eval(code, names)
    else:  # blocking code, or a program with a loop of its own
        await asyncio.to_thread(exec, code, names)


async def session(guide: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        for example in examples(guide, "python", ""):
            await run(example, names)
    finally:
        if isinstance(client := names.get("client"), Client):
            await client.aclose()
    return names


async def test_the_readme(kapture: KaptureEmulator) -> None:
    await session("README.md")
    assert len(kapture.ledger.of("tickets.add")) > 0


async def test_the_guide_to_kapture(kapture: KaptureEmulator, desk: Path) -> None:
    names = await session("kapture_async/README.md")
    assert names["proof"].proved == 1.0
    assert names["proof"].present == len(names["rows"]) == 20
    assert (desk / "new.jsonl").stat().st_size > 0


async def test_the_guide_to_support(support: SupportEmulator, desk: Path) -> None:
    names = await session("support_async/README.md")
    assert names["proof"].total > 0


COMMANDS = {"kapture-async": "kapture_async", "support-async": "support_async"}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    lines = Lines(bare_environment(tmp_path_factory.mktemp("home")))
    yield lines
    lines.end()


@pytest.mark.parametrize("guide", GUIDES)
def test_the_commands(
    guide: str, lines: Lines, kapture: KaptureEmulator, desk: Path, variables: dict[str, str]
) -> None:
    environment = bare_environment(desk) | variables
    kapture_tickets = "\n".join(f"{number},Solved." for number in made_in(kapture, 2))
    (desk / "close.csv").write_text(f"Id,Text\n{kapture_tickets}\n", "utf-8")
    for example in examples(guide, "sh", ""):
        for line in example.code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if not words:
                continue
            assert words[0] in COMMANDS, f"{example.where}: what is {words[0]}?"
            run_cli: Any = runner(lines, COMMANDS[words[0]], environment, desk)
            done = run_cli(*words[1:])
            assert done.returncode == 0, f"{example.where}: {line}\n{done.stdout}{done.stderr}"


def test_the_output_of_the_demo(lines: Lines, desk: Path) -> None:
    """It is what the demo prints, but for times and speeds."""
    (shown,) = examples("README.md", "text", "output: demo")
    run_cli: Any = runner(lines, "kapture_async", bare_environment(desk), desk)
    done = run_cli("demo")
    assert done.returncode == 0, done.stderr
    expected, found = plain(shown.code), plain(done.stdout)
    assert found[: len(expected)] == expected


def plain(output: str) -> list[str]:
    """The lines that are not empty, without times and speeds."""
    timed = re.compile(r"[\d.,]+ (?:ms|s)\b|[\d,]+ sent per second")
    lines = (timed.sub("…", line) for line in output.splitlines())
    return [" ".join(line.split()) for line in lines if line.strip()]


def made_in(kapture: KaptureEmulator, count: int) -> list[str]:
    with kapture_async.SyncKaptureClient.from_env() as client:
        return [client.tickets.add(title=f"Open {n}").ticket_id for n in range(count)]


def test_the_tests(desk: Path) -> None:
    """Files of tests run in a pytest of their own, as a user's would."""
    for number, example in enumerate(
        example for guide in GUIDES for example in examples(guide, "python", "pytest")
    ):
        (desk / f"test_{number}.py").write_text(example.code, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:asyncio", "."],
        cwd=desk,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("guide", "classes"),
    [
        (
            "kapture_async/README.md",
            {
                "client": kapture_async.KaptureClient,
                "client.tickets": kapture_async.Tickets,
                "client.customers": kapture_async.Customers,
                "client.orders": kapture_async.Orders,
                "client.faqs": kapture_async.Faqs,
            },
        ),
        (
            "support_async/README.md",
            {
                "client": support_async.SupportClient,
                "client.tickets": support_async.Tickets,
                "client.categories": support_async.Categories,
                "client.tags": support_async.Tags,
                "client.attachments": support_async.Attachments,
            },
        ),
    ],
)
def test_every_call_has_an_example(guide: str, classes: dict[str, type]) -> None:
    code = "".join(example.code for example in examples(guide, "python"))
    calls = [
        f"{where}.{name}("
        for where, cls in classes.items()
        for name, _ in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_")
    ]
    assert len(calls) > 10
    assert [call for call in calls if call not in code] == []
