"""A hostile page in the same browser, from another origin or under a name that leads here, sees
nothing and does nothing; not even with the token."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import KaptureEmulator

from .conftest import StartUi

ATTACK = """
async ([origin, token]) => {
  const seen = [];
  const note = (what) => seen.push(what);
  const ways = [{}, { mode: "no-cors" }, { headers: { Authorization: `Bearer ${token}` } }];
  for (const path of ["/", "/app.js", "/api/events", "/api/rows", "/api/doubts"]) {
    for (const way of ways) {
      try {
        const answer = await fetch(origin + path, way);
        if (answer.type !== "opaque") note(`read ${path}: ${answer.status}`);
      } catch {}
    }
  }
  for (const path of ["push", "trial", "stop", "close", "open", "columns", "resolve", "lookup"]) {
    for (const way of ways) {
      try {
        const answer = await fetch(`${origin}/api/${path}`, { ...way, method: "POST", body: "{}" });
        if (answer.type !== "opaque") note(`did ${path}: ${answer.status}`);
      } catch {}
    }
    const form = document.createElement("form");
    form.method = "post";
    form.action = `${origin}/api/${path}`;
    form.target = "hidden";
    document.body.append(form);
    form.submit();
  }
  await new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.name = "framed";
    frame.onload = frame.onerror = resolve;
    frame.src = `${origin}/#${token}`;
    document.body.append(frame);
    setTimeout(resolve, 1500);
  });
  for (const [tag, place] of [["script", "src"], ["img", "src"], ["link", "href"]]) {
    await new Promise((resolve) => {
      const element = document.createElement(tag);
      if (tag === "link") element.rel = "stylesheet";
      element.onload = () => { note(`loaded as ${tag}`); resolve(); };
      element.onerror = resolve;
      const files = { link: "/page.css", img: "/icon.svg", script: "/dom.js" };
      element[place] = origin + files[tag];
      document.body.append(element);
      setTimeout(resolve, 1500);
    });
  }
  return seen;
}
"""


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>hostile</title><iframe name=hidden></iframe>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of another web server on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_hostile_page_can_do_nothing(
    chromium: Callable[..., Any],
    start_ui: StartUi,
    server: KaptureEmulator,
    tmp_path: Path,
    elsewhere: int,
) -> None:
    file = tmp_path / "tickets.csv"
    file.write_text("title,ticket_details\nFirst,A secret text\n")
    ui = start_ui(str(file))
    page = chromium()
    page.goto(ui.url)
    page.wait_for_selector("#column-0")
    port = ui.origin.rpartition(":")[2]
    hostile = page.context.new_page()
    for host in ("127.0.0.1", "localhost", "hostile.example"):
        hostile.goto(f"http://{host}:{elsewhere}/")
        assert hostile.evaluate(ATTACK, [ui.origin, ui.token]) == []
        framed = hostile.frame("framed")
        assert framed is None or "Import" not in framed.content()
    # A name of its own that leads to this port: the browser takes it for the same origin.
    hostile.goto(f"http://hostile.example:{port}/#{ui.token}")
    assert "secret" not in hostile.content()
    assert "for its own address only" in hostile.content()
    answer = hostile.evaluate(
        """async (token) => {
          const headers = { Authorization: `Bearer ${token}` };
          const answer = await fetch("/api/push", { method: "POST", body: "{}", headers });
          return answer.status;
        }""",
        ui.token,
    )
    assert answer == 421
    # A window that it opened is not within its reach.
    hostile.goto(f"http://hostile.example:{elsewhere}/")
    reached = hostile.evaluate(
        """async (url) => {
          const opened = window.open(url);
          await new Promise((resolve) => setTimeout(resolve, 500));
          try { return opened.document.body.innerText; } catch (error) { return error.name; }
        }""",
        ui.url,
    )
    assert reached in ("SecurityError", "TypeError")
    # The page itself has not changed, and nothing was sent.
    page.bring_to_front()
    assert page.locator("h1").inner_text() == "Which column is what?"
    assert not server.ledger.entries
    assert not (tmp_path / "tickets.csv.journal").exists()


def test_what_a_file_holds_stays_text(
    chromium: Callable[..., Any], start_ui: StartUi, tmp_path: Path
) -> None:
    """Markup in cells, in names of columns and in the name of the file is shown, never run."""
    bad = "<img src=x onerror=document.title='run'><script>document.title='run'</script>"
    file = tmp_path / "<b>tickets.csv"
    file.write_text(f'title,ticket_details,"{bad}"\n"{bad}",{bad},x\n')
    ui = start_ui(str(file))
    page = chromium()
    page.goto(ui.url)
    page.wait_for_selector("#column-2")
    page.click("#to-check")
    page.wait_for_selector("table.cells tbody tr")
    assert bad in page.inner_text("table.cells")
    assert page.locator("main img, main script, main b").count() == 0
    assert page.title().startswith("<b>tickets.csv")
    refused = page.evaluate(
        """() => {
          try { document.body.innerHTML = "<b>x</b>"; } catch { return true; }
          return false;
        }"""
    )
    assert refused  # the policy of the server, even if the page would try
