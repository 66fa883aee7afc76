"""Every recipe runs as its page has it, in the company that it is for."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kapture_async import AddedTicket, ClientStateError, KaptureClient, OutcomeUnknownError, Row
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

from .guides import RECIPES, examples
from .serving import listening, under_uvicorn

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def cells(name: str) -> list[str]:
    """The code of a recipe, block by block."""
    return [example.code for example in examples(RECIPES, "python", f"recipe {name}")]


def recipe(name: str, **more: Any) -> dict[str, Any]:
    """The names that a recipe defines."""
    (code,) = cells(name)
    names: dict[str, Any] = {"__name__": "recipe", **more}
    exec(compile(code, f"recipe {name}", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def desk(
    kapture_emulator: KaptureEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Where the recipes are tried: an empty folder, with the variables set."""
    monkeypatch.setenv("KAPTURE_BASE_URL", kapture_emulator.url)
    monkeypatch.setenv("KAPTURE_TOKEN", kapture_emulator.token or "")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(code: str) -> str:
    """What a program prints that is run in a fresh interpreter; it may write nothing else."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_every_recipe_is_tried() -> None:
    tried = Path(__file__).read_text("utf-8")
    names = {e.mark.removeprefix("recipe ") for e in examples(RECIPES, "python")}
    assert {name for name in names if f'("{name}")' not in tried} == set()


# --- FastAPI -----------------------------------------------------------------------------------


async def test_fastapi_maps_errors(kapture_emulator: KaptureEmulator) -> None:
    app = recipe("fastapi")["app"]
    async with under_uvicorn(app) as (url, _), aiohttp.ClientSession(url) as caller:

        async def call(verb: str, path: str) -> tuple[int, Any, str | None]:
            async with caller.request(verb, path) as answer:
                return answer.status, await answer.json(), answer.headers.get("Retry-After")

        status, added, _ = await call("POST", "/tickets?title=one")
        assert status == 201
        status, shown, _ = await call("GET", f"/tickets/{added['ticket_id']}")
        assert (status, shown) == (200, {"title": "one", "status": "Pending"})
        status, said, _ = await call("GET", "/tickets/700000000000")
        assert (status, said["outcome"]) == (404, "rejected")
        status, said, _ = await call("POST", "/tickets?title=")
        assert (status, said["outcome"]) == (422, "not_sent")
        kapture_emulator.faults = FaultPlan.script(
            ["reset_after", Fault("status", status=429, retry_after="3600")]
        )
        status, said, _ = await call("POST", "/tickets?title=two")
        assert (status, said["outcome"]) == (500, "unknown")
        status, said, wait = await call("POST", "/tickets?title=three")
        assert (status, said["outcome"], wait) == (429, "rejected", "3600")
        kapture_emulator.stop_listening()
        status, said, _ = await call("POST", "/tickets?title=four")
        assert (status, said["outcome"]) == (503, "not_sent")
    assert len(kapture_emulator.ledger) == 2


async def test_fastapi_ends_what_is_under_way(kapture_emulator: KaptureEmulator) -> None:
    kapture_emulator.latency = 0.3  # executed at once, answered then
    app = recipe("fastapi")["app"]
    async with aiohttp.ClientSession() as caller:
        async with under_uvicorn(app) as (url, stop):
            call = asyncio.create_task(caller.post(f"{url}/tickets?title=one"))
            while not len(kapture_emulator.ledger):
                await asyncio.sleep(0.001)
            stop()
        answer = await call
        assert answer.status == 201, await answer.text()
    assert app.state.kapture.closed


# --- Django and gunicorn -----------------------------------------------------------------------


def django_project(folder: Path) -> None:
    """What a project has beside the recipes; the application's loading makes a call, too."""
    commands = folder / "desk/management/commands"
    commands.mkdir(parents=True)
    (folder / "desk/views.py").write_text(*cells("django-view"))
    (commands / "open_tickets.py").write_text(*cells("django-command"))
    (folder / "desk/settings.py").write_text(
        "INSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth', 'desk']\n"
        "ROOT_URLCONF = 'desk.urls'\nALLOWED_HOSTS = ['*']\nSECRET_KEY = 'example'\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\n"
    )
    (folder / "desk/urls.py").write_text(
        "from django.http import HttpResponse\nfrom django.urls import path\n"
        "from kapture_async import HelpdeskError, SyncKaptureClient\n"
        "from . import views\n"
        "used = SyncKaptureClient.from_env()\n"
        "used.tickets.add(title='while the application is loaded')\n"
        "def use(request):\n"
        "    try:\n"
        "        return HttpResponse(used.tickets.add(title='two').ticket_id)\n"
        "    except HelpdeskError as error:\n"
        "        return HttpResponse(str(error), status=503)\n"
        "urlpatterns = [path('open', views.open_ticket), path('used', use)]\n"
    )
    (folder / "desk/wsgi.py").write_text(
        "import os\nfrom django.core.wsgi import get_wsgi_application\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'desk.settings'\n"
        "django = get_wsgi_application()\nfrom desk import urls\n"
        "def application(environ, start_response):\n"
        "    def start(status, headers, exc_info=None):\n"
        "        worker = ('X-Worker', str(os.getpid()))\n"
        "        return start_response(status, [*headers, worker], exc_info)\n"
        "    return django(environ, start)\n"
    )


@contextmanager
def under_gunicorn(application: str, folder: Path) -> Iterator[str]:
    with listening() as (sock, url):
        options = ["--preload", "--workers", "2", "--bind", f"fd://{sock.fileno()}"]
        command = [sys.executable, "-m", "gunicorn", application, *options, "--no-control-socket"]
        with subprocess.Popen(
            command, cwd=folder, pass_fds=[sock.fileno()], stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield url
            finally:
                process.terminate()
                assert process.stderr is not None
                log = process.stderr.read()
        assert "Traceback" not in log, log


def posted(url: str, body: bytes = b"") -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(url, body, timeout=60) as answer:
            return answer.status, answer.headers["X-Worker"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["X-Worker"], error.read().decode()


@posix
def test_a_django_view_in_preforked_workers(kapture_emulator: KaptureEmulator, desk: Path) -> None:
    django_project(desk)
    kapture_emulator.latency = 0.2  # so that one worker is busy when the next request comes
    with under_gunicorn("desk.wsgi", desk) as url, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: posted(f"{url}/open", b"title=one"), range(4)))
        assert [status for status, _, _ in answers] == [201] * 4
        assert len({worker for _, worker, _ in answers}) == 2
        status, _, said = posted(f"{url}/used")
        assert (status, len(kapture_emulator.ledger)) == (503, 5)
        assert "used before this process was forked" in said
        assert "Nothing was sent. Make a new client here" in said
        kapture_emulator.faults = FaultPlan.script(["reset_after"])
        assert posted(f"{url}/open", b"title=two")[0] == 500
        assert posted(f"{url}/open", b"title=")[0] == 422


def test_a_django_command(kapture_emulator: KaptureEmulator, desk: Path) -> None:
    django_project(desk)
    kapture_emulator.faults = FaultPlan.script([None, "failed"])
    printed = python(
        """
        import os
        os.environ["DJANGO_SETTINGS_MODULE"] = "desk.settings"
        import django
        django.setup()
        from django.contrib.auth.models import Group
        from django.core.management import call_command
        call_command("migrate", verbosity=0)
        for name in ("one", "two", "three"):
            Group.objects.create(name=name)
        call_command("open_tickets")
        call_command("open_tickets")
        """
    )
    assert printed == "2 accepted, 1 rejected\n0 accepted, 0 rejected\n"
    assert len(kapture_emulator.ledger) == 2


# --- Celery ------------------------------------------------------------------------------------


@posix
def test_celery(kapture_emulator: KaptureEmulator, desk: Path) -> None:
    pytest.importorskip("celery")
    (desk / "tasks.py").write_text(*cells("celery"))
    (desk / "worker.py").write_text(
        "import os\nfrom tasks import app\nhere = os.getcwd()\n"
        "places = dict(data_folder_in=here, data_folder_out=here, control_folder=here)\n"
        "app.conf.update(broker_url='filesystem://', result_backend='file://' + here,\n"
        "    broker_transport_options={**places, 'polling_interval': 0.02}, worker_concurrency=2,\n"
        "    broker_connection_retry_on_startup=True)\n"
    )
    options = "--without-gossip --without-mingle --without-heartbeat --max-tasks-per-child 1"
    command = [sys.executable, "-m", "celery", "-A", "worker", "worker", *options.split()]
    kapture_emulator.faults = FaultPlan.script([None, "reset_after"])
    worker = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        printed = python(
            """
            import worker, tasks
            print(tasks.open_ticket.delay("one").get(timeout=60, interval=0.05))
            lost = tasks.open_ticket.delay("two")
            lost.wait(timeout=60, propagate=False, interval=0.05)
            print(lost.state, lost.result)
            """
        )
        while kapture_emulator.connections_open:  # each process closes its client as it ends
            time.sleep(0.01)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)  # its shutdown takes six seconds
        worker.wait()
    (first, _) = kapture_emulator.ledger
    assert printed.startswith(f"{first.ticket_id}\nFAILURE "), printed
    assert "the connection was lost" in printed


# --- asyncio and its relatives -----------------------------------------------------------------


async def test_task_group(kapture_emulator: KaptureEmulator) -> None:
    kapture_emulator.faults = FaultPlan.script(["reset_after"])
    results = await recipe("taskgroup")["open_all"](["one", "two", "three"])
    assert sorted(type(result).__name__ for result in results) == ["AddedTicket"] * 2 + [
        "NoReplyError"
    ]
    made = {entry.ticket_id for entry in kapture_emulator.ledger}
    assert len(made) == 3
    assert {r.ticket_id for r in results if isinstance(r, AddedTicket)} < made
    assert any(isinstance(result, OutcomeUnknownError) for result in results)


async def test_a_notebook(kapture_emulator: KaptureEmulator) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    code = ["import warnings; warnings.simplefilter('always')", *cells("notebook")]
    book = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, code)))
    await nbclient.NotebookClient(book, timeout=60, kernel_name="python3").async_execute()
    outputs = [[dict(output) for output in cell.outputs] for cell in book.cells]
    kinds = [[output["output_type"] for output in cell] for cell in outputs]
    assert kinds == [[], ["execute_result"], ["execute_result"], []], outputs
    (entry,) = kapture_emulator.ledger
    assert outputs[1][0]["data"]["text/plain"] == repr(entry.ticket_id)
    assert outputs[2][0]["data"]["text/plain"] == "'Printer on fire'"


async def test_trio(kapture_emulator: KaptureEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    trio = pytest.importorskip("trio")

    async def refused() -> None:
        with pytest.raises(ClientStateError, match="does not run on trio"):
            await KaptureClient.from_env().tickets.add(title="one")
        with pytest.raises(ClientStateError, match="does not run on trio"):
            async with KaptureClient.from_env():
                pass

    await asyncio.to_thread(trio.run, refused)
    assert len(kapture_emulator.ledger) == 0
    await asyncio.to_thread(recipe, "trio")
    assert [entry.ticket_id for entry in kapture_emulator.ledger] == capsys.readouterr().out.split()


def test_gevent() -> None:
    pytest.importorskip("gevent")
    printed = python(
        """
        from kapture_async import KaptureClient, SyncKaptureClient
        early = SyncKaptureClient.from_env()
        import gevent.monkey
        gevent.monkey.patch_all()
        def attempt(call):
            try:
                call()
            except ValueError as error:
                print(error)
        for call in (
            KaptureClient.from_env, SyncKaptureClient.from_env, lambda: early.tickets.get("1")
        ):
            gevent.spawn(attempt, call).join()
        """
    )
    (said,) = set(printed.splitlines())
    assert printed.count(said) == 3
    assert "gevent has monkey-patched this process" in said
    assert "Nothing was sent. Use this client in a process that gevent has not patched." in said


# --- recordings --------------------------------------------------------------------------------


async def test_vcr(kapture_emulator: KaptureEmulator, desk: Path) -> None:
    pytest.importorskip("vcr")
    async with KaptureClient.from_env() as client:
        ticket_id = (await client.tickets.add(title="Printer on fire")).ticket_id
    title_of = recipe("vcr")["title_of"]
    assert await title_of(ticket_id) == "Printer on fire"
    kapture_emulator.stop_listening()
    assert await title_of(ticket_id) == "Printer on fire"  # from the recording
    cassette = (desk / "cassettes/get.yaml").read_text("utf-8")
    assert ticket_id in cassette
    assert "cookie" not in cassette.lower()
    assert str(kapture_emulator.token) not in cassette
    assert "authorization" not in cassette.lower()


# --- logs --------------------------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the handler of the recipe writes."""
    handler, said = recipe("logging")["handler"], io.StringIO()
    handler.setStream(said)
    yield said
    logging.getLogger("kapture_async").removeHandler(handler)
    logging.getLogger("kapture_async").setLevel(logging.NOTSET)


async def test_logging(kapture_emulator: KaptureEmulator, log: io.StringIO) -> None:
    lost, slow = "reset_after", Fault("status", status=503)
    rows = [Row({"title": "canary", "ticket_details": "canary"}, key="canary")]
    async with KaptureClient.from_env() as client:
        kapture_emulator.faults = FaultPlan.script([lost])
        await client.tickets.push(rows, journal="one.journal").run()
        kapture_emulator.faults = FaultPlan.script([slow])
        logging.getLogger("kapture_async").setLevel(logging.DEBUG)
        await client.tickets.get_many(["700000000000"])
    sent = kapture_emulator.ledger.entries[0].payload["ticket_details"]
    doubt, ended, *_, again, last = map(json.loads, log.getvalue().splitlines())
    assert doubt.pop("duration") > 0
    assert doubt.pop("reference") in sent
    assert doubt == {
        **{"level": "INFO", "operation": "tickets.add", "status": None, "attempt": 1},
        "said": "tickets.add: row 0 is in doubt: the connection was lost",
    }
    assert "accepted 0, rejected 0, not sent 0, unknown 1" in ended["said"]
    common = {"operation": "tickets.get", "host": "127.0.0.1"}
    assert common.items() <= again.items()
    assert (again["level"], again["status"], again["attempt"]) == ("INFO", 503, 1)
    assert (last["level"], last["status"], last["attempt"]) == ("DEBUG", 200, 2)
    assert "canary" not in log.getvalue()
    assert str(kapture_emulator.token) not in log.getvalue()
