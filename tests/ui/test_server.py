"""Who is let in, and what the server says to everybody else; the files that it keeps."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from attrs import frozen

from kapture_async._core.cli.options import parse
from kapture_async._core.errors import ClientStateError, InvalidInputError
from kapture_async._core.ui.files import Shelf
from kapture_async._core.ui.server import Server
from kapture_async._core.ui.workbench import Workbench
from kapture_async.cli.options import KaptureTarget
from kapture_async.cli.push import VENDOR
from kapture_async.testing import FaultPlan, KaptureEmulator

TOKEN = "the-token-of-this-run"
ROUTES = (
    *(("GET", path) for path in ("events", "rows", "doubts", "doubts/1")),
    ("PUT", "file?name=a.csv"),
    *(("POST", name) for name in ("open", "close", "columns", "unlock", "trial", "push", "stop")),
    *(("POST", name) for name in ("lookup", "resolve", "undo", "rejects")),
)


@frozen
class Served:
    bench: Workbench
    port: int
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, *, token: str | None = TOKEN, **how: object) -> int:
        headers = dict(how.pop("headers", {}))  # type: ignore[call-overload]
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, headers=headers, **how) as answer:  # type: ignore[arg-type]
            return answer.status


@pytest.fixture
async def served(
    emulator: KaptureEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Served]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAPTURE_BASE_URL", emulator.url)
    monkeypatch.setenv("KAPTURE_TOKEN", emulator.token or "")
    target = parse([KaptureTarget], [], {})[0]
    bench = Workbench(VENDOR, target, Shelf("kept"), given={"timeout": 5.0})
    await bench.refresh()
    server = Server(bench, TOKEN)
    port = await server.start()
    async with aiohttp.ClientSession() as session:
        yield Served(bench, port, session)
    await bench.close()
    await server.stop()


async def idle(bench: Workbench) -> dict[str, object]:
    """Wait until nothing is being done."""
    async for state in bench.watch():
        if state["activity"] is None and (not state["file"] or state["file"]["rows"] is not None):
            return state
    raise AssertionError


async def test_every_route_needs_the_token(served: Served) -> None:
    known = {
        (route.method, str(route.resource.canonical).removeprefix("/api/"))  # type: ignore[union-attr]
        for route in served_routes(served)
        if str(route.resource.canonical).startswith("/api/") and route.method != "HEAD"  # type: ignore[union-attr]
    }
    tried = {(method, path.partition("?")[0].replace("/1", "/{row}")) for method, path in ROUTES}
    assert known == tried  # a new route has its place here
    for method, path in ROUTES:
        for token in (None, "", "another", TOKEN[:-1], TOKEN + "x"):
            status = await served.ask(method, f"/api/{path}", token=token)
            assert status == 401, (method, path, token)
    assert served.bench.snapshot()["file"] is None


def served_routes(served: Served) -> list[aiohttp.web.AbstractRoute]:
    server = Server(served.bench, TOKEN)
    return list(server._runner.app.router.routes())


async def test_the_page_itself_holds_nothing_and_says_what_it_may_do(served: Served) -> None:
    for path in ("/", "/app.js", "/page.css", "/icon.svg"):
        url = f"http://127.0.0.1:{served.port}{path}"
        async with served.session.get(url) as answer:
            assert answer.status == 200
            assert TOKEN not in await answer.text()
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "hostile.example"}, 421),
        ({"Host": "hostile.example:80"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Origin": "http://hostile.example"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_another_host_or_origin_is_refused_even_with_the_token(
    served: Served, headers: dict[str, str], status: int
) -> None:
    assert await served.ask("POST", "/api/stop", headers=headers) == status
    assert await served.ask("GET", "/api/rows", headers=headers) == status
    if "Host" in headers:
        assert await served.ask("GET", "/", headers=headers) == status


async def test_it_listens_on_this_machine_only(served: Served) -> None:
    with socket.socket() as other:
        try:
            address = socket.gethostbyname(socket.gethostname())
        except OSError:
            pytest.skip("this machine has no other address")
        if address.startswith("127.0.0.1"):
            pytest.skip("this machine has no other address")
        other.settimeout(1.0)
        with pytest.raises(OSError):
            other.connect((address, served.port))


async def test_only_listed_files_are_opened(served: Served, tmp_path: Path) -> None:
    secret = tmp_path.parent / "secret.csv"
    secret.write_text("title\nx\n")
    for path in (str(secret), "/etc/passwd", "../secret.csv", ""):
        assert await served.ask("POST", "/api/open", data=json.dumps({"path": path})) == 400
    assert served.bench.snapshot()["file"] is None


@pytest.mark.parametrize("body", ["", "[]", "x", '{"column": 1, "field": "a=b"}'])
async def test_odd_bodies_are_refused_in_words(served: Served, body: str) -> None:
    assert await served.ask("POST", "/api/columns", data=body) == 400


# --- files -----------------------------------------------------------------------------------


async def pieces(*some: bytes) -> AsyncIterator[bytes]:
    for one in some:
        yield one


async def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    shelf = Shelf(str(tmp_path / "kept"))
    first = await shelf.keep("a.csv", pieces(b"title\n", b"x\n"))
    again = await shelf.keep("b.csv", pieces(b"title\nx\n"))
    other = await shelf.keep("a.csv", pieces(b"title\ny\n"))
    assert first == again
    assert [os.path.basename(one.file) for one in (first, other)] == ["a.csv", "a-2.csv"]
    assert sorted(os.listdir(shelf.folder)) == ["a-2.csv", "a.csv"]
    assert os.stat(first.file).st_mode & 0o777 == 0o600
    assert os.stat(shelf.folder).st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../evil.csv", "evil.csv"),
        ("/etc/passwd", "passwd"),
        ("..", "file"),
        (".hidden.csv", "hidden.csv"),
        ("a\x00b\nc.csv", "a_b_c.csv"),
        ("a" * 500 + ".csv", "a" * 117 + ".csv"),
        ("", "file"),
    ],
)
async def test_a_name_never_leads_out_of_the_folder(tmp_path: Path, name: str, kept: str) -> None:
    shelf = Shelf(str(tmp_path / "kept"))
    known = await shelf.keep(name, pieces(b"x"))
    assert known.file == str(tmp_path / "kept" / kept)


async def test_nothing_is_left_of_a_file_that_is_not_taken(tmp_path: Path) -> None:
    shelf = Shelf(str(tmp_path / "kept"))

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await shelf.keep("a.csv", broken())
    with pytest.raises(InvalidInputError, match="empty"):
        await shelf.keep("a.csv", pieces())
    assert os.listdir(shelf.folder) == []


async def test_a_dropped_file_that_was_pushed_elsewhere_has_its_journal(
    served: Served, emulator: KaptureEmulator, tmp_path: Path
) -> None:
    """Pushed in place in another folder, then dropped: this machine remembers the journal."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file = elsewhere / "mine.csv"
    file.write_bytes(b"title\nFirst\nSecond\n")
    bench = served.bench
    await bench.open(str(file))
    await bench.push()
    await idle(bench)
    await bench.close_file()
    assert len(emulator.ledger) == 2
    status = await served.ask("PUT", "/api/file?name=copy.csv", data=file.read_bytes())
    assert status == 204
    state = await idle(bench)
    assert state["file"]["journal"] == f"{file}.journal"  # type: ignore[index]
    assert state["file"]["locked"]  # type: ignore[index]
    await bench.push()
    await idle(bench)
    assert len(emulator.ledger) == 2


# --- one thing at a time ---------------------------------------------------------------------


async def test_two_browsers_cannot_push_twice(
    served: Served, emulator: KaptureEmulator, tmp_path: Path
) -> None:
    file = tmp_path / "tickets.csv"
    file.write_text("title\n" + "".join(f"Ticket {number}\n" for number in range(40)))
    await served.bench.open(str(file))
    emulator.faults = FaultPlan.script(["slow; duration=0.5"])
    answers = await asyncio.gather(*(served.ask("POST", "/api/push") for _ in range(4)))
    assert sorted(answers) == [200, 409, 409, 409]
    for path in ("close", "trial", "lookup"):
        assert await served.ask("POST", f"/api/{path}") == 409
    with pytest.raises(ClientStateError):
        await served.bench.open(str(file))
    await idle(served.bench)
    assert len(emulator.ledger) == 40


async def test_columns_stay_once_there_is_a_journal(
    served: Served, emulator: KaptureEmulator, tmp_path: Path
) -> None:
    file = tmp_path / "tickets.csv"
    file.write_text("title,other\nFirst,x\n")
    bench = served.bench
    await bench.open(str(file))
    await bench.map_columns({"column": "other", "field": "ticket_details"})
    await bench.try_one()
    state = await idle(bench)
    assert state["file"]["trial"]["sent"]["ticket_details"].startswith("x\n[ref:")  # type: ignore[index]
    with pytest.raises(InvalidInputError, match="columns are fixed"):
        await bench.map_columns({"column": "other", "field": ""})
    (entry,) = emulator.ledger.entries
    assert state["file"]["trial"]["answer"]["ticket id"] == entry.ticket_id  # type: ignore[index]


async def test_columns_are_guessed_by_their_names_and_any_file_is_read(
    served: Served, emulator: KaptureEmulator, tmp_path: Path
) -> None:
    """The readers are those of push; what was guessed is said, and a choice replaces it."""
    file = tmp_path / "tickets.json"
    rows = [
        {"Id": n, "Subject": f"Ticket {n}", "Due date": "03/04/2026", "Note": ""} for n in (1, 2)
    ]
    file.write_text(json.dumps(rows))
    bench = served.bench
    await bench.open(str(file))
    state = (await idle(bench))["file"]
    assert state["mapping"] == {"title": "Subject", "due_date": "Due date"}  # type: ignore[index]
    assert set(state["guessed"]) == {"Subject", "Due date"}  # type: ignore[index]
    assert state["key"] == "Id"  # type: ignore[index]
    (remark,) = state["plan"]["remarks"]  # type: ignore[index]
    assert remark["words"] == "an ambiguous date (day/month)"
    await bench.map_columns({"date_format": {"Due date": "%d/%m/%Y"}})
    await bench.map_columns({"set": {"ticket_details": "from a file", "details.kind": "x"}})
    state = (await idle(bench))["file"]
    assert state["plan"]["remarks"] == []  # type: ignore[index]
    await bench.push()
    await idle(bench)
    first = next(e.payload for e in emulator.ledger.entries if e.payload["title"] == "Ticket 1")
    assert first["due_date"] == "2026-04-03"
    assert first["ticket_details"].startswith("from a file\n[ref:")
    assert first["details"] == [{"kind": "x"}]


async def test_other_columns_are_guessed_anew(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "tickets.csv"
    file.write_text("Export of 1 April,\nSubject,Id\nFirst,1\n")
    bench = served.bench
    await bench.open(str(file))
    await bench.map_columns({"column": "Export of 1 April", "field": "title"})
    await bench.map_columns({"skip_title_rows": "1"})
    state = (await idle(bench))["file"]
    assert state["mapping"] == {"title": "Subject"}  # type: ignore[index]
    assert state["key"] == "Id"  # type: ignore[index]
    assert state["plan"]["to_send"] == 1  # type: ignore[index]


async def test_columns_can_be_changed_while_nothing_is_in_the_helpdesk(
    served: Served, emulator: KaptureEmulator, tmp_path: Path
) -> None:
    """A trial that was refused must not fix the columns for ever; one that may be there must."""
    file = tmp_path / "tickets.csv"
    file.write_text("title,other\nFirst,x\nSecond,y\n")
    bench = served.bench
    await bench.open(str(file))
    emulator.faults = FaultPlan.script(["failed", "reset_after"])
    await bench.try_one()
    await idle(bench)
    assert (tmp_path / "tickets.csv.journal").exists()
    await bench.change_columns()
    assert not (tmp_path / "tickets.csv.journal").exists()
    assert (tmp_path / "tickets.csv.journal.unsent-1").exists()
    await bench.map_columns({"column": "other", "field": "ticket_details"})
    await bench.try_one()
    await idle(bench)
    with pytest.raises(InvalidInputError, match="or may be"):
        await bench.change_columns()
    await bench.push()
    await idle(bench)
    with pytest.raises(InvalidInputError, match="or may be"):
        await bench.change_columns()
    assert [e.payload["title"] for e in emulator.ledger.entries] == ["First", "Second"]


async def test_without_a_helpdesk_a_file_can_be_checked_and_not_sent(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAPTURE_BASE_URL")
    target = parse([KaptureTarget], [], {})[0]
    bench = Workbench(VENDOR, target, Shelf("kept"), given={})
    file = tmp_path / "tickets.csv"
    file.write_text("title\nFirst\n")
    await bench.open(str(file))
    state = await idle(bench)
    assert state["target"]["trouble"]["message"] == "no server address given"  # type: ignore[index]
    assert state["file"]["plan"]["to_send"] == 1  # type: ignore[index]
    await bench.push()
    state = await idle(bench)
    assert state["trouble"]["message"] == "no server address given"  # type: ignore[index]
    assert not (tmp_path / "tickets.csv.journal").exists()
    await bench.close()
