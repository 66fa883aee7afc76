"""The whole story in a browser: from a dropped file to the last doubt, with a killed push in the
middle; two browsers see the same; the ledger of the emulator is the judge."""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import State
from kapture_async.testing import FaultPlan, KaptureEmulator

from .conftest import StartUi

ROWS = 300
QUICK = ("--timeout", "2", "--settle", "4")
SLOW = (*QUICK, "--max-rate", "30")  # so that there is time to stop it
LONG = "unlike all others and too long for a window that is as narrow as that of a telephone"
DROP = """
async ([text, name]) => {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name));
  const place = document.querySelector(".drop");
  for (const kind of ["dragenter", "dragover", "drop"]) {
    place.dispatchEvent(
      new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}
"""


def content(rows: int = ROWS) -> str:
    lines = ["Number,About,What happened,Reply to"]
    for number in range(1, rows + 1):
        address = "not an address" if number == 4 else f"user{number}@example.com"
        title = "" if number == 3 else f"Ticket {number:03}"
        lines.append(f"N{number},{title},The text of number {number} is {LONG}.,{address}")
    return "\n".join(lines) + "\n"


def drop(page: Any, name: str, text: str) -> None:
    page.wait_for_selector(".drop")
    page.evaluate(DROP, [base64.b64encode(text.encode()).decode(), name])


def figure(page: Any, kind: str) -> int:
    return int(page.inner_text(f"#tile-{kind} .figure").replace(",", ""))


def cut_off(page: Any) -> list[str]:
    """What reaches beyond the right of the window, though it cannot be scrolled there."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
          .filter((one) => !one.closest(".scroll, .unseen, .skip"))
          .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
          .map((one) => `${one.tagName} ${one.id} ${one.className}`)"""
    )
    root = "document.documentElement"
    if page.evaluate(f"{root}.scrollWidth > {root}.clientWidth"):
        found.append("the page")
    return found


def picture(page: Any, name: str) -> None:
    if folder := os.environ.get("UI_RECORD"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def wait_for(page: Any, condition: str) -> None:
    """Playwright's own way would evaluate text in the page, which the page's policy refuses."""
    while not page.evaluate(condition):  # the time limit of the test ends it
        page.wait_for_timeout(50)


def test_from_a_dropped_file_to_the_last_doubt(
    chromium: Callable[..., Any], start_ui: StartUi, server: KaptureEmulator, tmp_path: Path
) -> None:
    ui = start_ui(*SLOW)
    wide, narrow = chromium(), chromium(width=390, height=844, scheme="dark")
    for page in (wide, narrow):
        page.goto(ui.url)
        page.wait_for_selector("h1:has-text('Import a file')")
        assert "#" not in page.url  # the token is in no history
    drop(wide, "tickets.csv", content())

    # Columns: the other browser follows, and what one chooses the other shows.
    wide.get_by_label("About is sent as").select_option("title")
    wide.get_by_label("What happened is sent as").select_option("ticket_details")
    narrow.get_by_label("Reply to is sent as").select_option("email_id")
    narrow.get_by_label("Column that tells rows apart").select_option("Number")
    wait_for(wide, "document.querySelector('#column-3').value === 'email_id'")
    wait_for(wide, "document.querySelector('#key').value === 'Number'")
    picture(wide, "columns")
    assert cut_off(wide) == cut_off(narrow) == []

    # Check: findings stand beside the cells.
    for page in (wide, narrow):
        page.click("#to-check")
        page.wait_for_selector("text=This is what a push would do")
        page.click("#which-marked")
        assert cut_off(page) == []
    cells = wide.locator("table.cells tbody tr")
    bad = cells.filter(has_text="Is missing.")
    odd = wide.locator("td.odd", has_text="not an address")
    assert bad.count() == 1
    assert "4" in bad.locator("th").inner_text()
    assert "Not an e-mail address." in odd.inner_text()
    picture(narrow, "check-narrow")
    assert not server.ledger.entries

    # One trial ticket, and where to open it.
    wide.click("#to-trial")
    wide.click("#send-one")
    wide.wait_for_selector("#trial-result")
    (first,) = server.ledger.entries
    assert first.ticket_id in wide.inner_text("#trial-result")
    link = wide.get_by_role("link", name="Open it")
    assert link.get_attribute("href").startswith("http")
    assert link.get_attribute("rel") == "noopener noreferrer"
    narrow.click("#step-trial")
    narrow.wait_for_selector("#trial-result")
    assert cut_off(narrow) == []

    # Push; both browsers go elsewhere, and it goes on.
    faults = ["reset_after"] * 3 + ["close_before"] * 3 + ["twice; lost=true", "failed"]
    server.faults = FaultPlan.script(faults, only="tickets.add")
    wide.click("#step-push")
    wide.click("#push")
    wide.wait_for_selector("#stop")
    before = len(server.ledger.entries)
    for page in (wide, narrow):
        page.goto("about:blank")
    assert server.ledger.wait_for(before + 25)
    for page in (wide, narrow):
        page.goto(ui.url)
        page.wait_for_selector(".chart")
        assert cut_off(page) == []
    picture(wide, "pushing")

    # Stop and resume.
    narrow.click("#stop")
    wide.wait_for_selector("#push")
    wait_for(wide, "!document.querySelector('.busy')")
    stopped = len(server.ledger.entries)
    assert stopped < ROWS - 20
    for page in (wide, narrow):  # each is told by itself
        wait_for(page, "document.querySelector('#tile-doubt .figure').innerText === '7'")
        wait_for(
            page, f"document.querySelector('#tile-there .figure').innerText === '{stopped - 5}'"
        )
    wide.click("#push")
    wide.wait_for_selector("#stop")
    assert server.ledger.wait_for(stopped + 15)
    ui.kill()
    wide.wait_for_selector("text=has ended, or cannot be reached")
    assert len(server.ledger.entries) < ROWS

    # Started again with the same file, dropped on the new page: the same journal.
    ui = start_ui(*QUICK)
    for page in (wide, narrow):
        page.goto(ui.url)
        page.wait_for_selector("h2:has-text('Files from before')")
    drop(narrow, "another name.csv", content())
    for page in (wide, narrow):
        page.wait_for_selector("#push:has-text('Resume')")
    kept = {path.name.partition("-")[0] for path in (tmp_path / "imports").iterdir()}
    assert kept == {"tickets.csv", "tickets.csv.journal"}
    narrow.click("#push")
    wide.wait_for_selector("#stop")
    wide.wait_for_selector("#stop", state="detached")
    journal = tmp_path / "imports" / "tickets.csv.journal"

    # An agent rewrites one of the tickets in doubt: no reference is left in it.
    with ReadJournal.open_to_read(journal) as read:
        doubts = {doubt.reference for doubt in read.doubts(State.UNKNOWN)}
    text_of = {e.ticket_id: e.payload["ticket_details"] for e in server.ledger.entries}
    references = {ticket_id: text[-21:-1] for ticket_id, text in text_of.items()}
    copies = Counter(references.values())
    edited = next(i for i, ref in references.items() if ref in doubts and copies[ref] == 1)
    server.edit(edited, text=text_of[edited].partition("\n")[0])

    # Look the doubts up, then decide what no lookup can.
    for page in (wide, narrow):
        page.click("#step-doubts")
    wide.click("#lookup")
    for page in (wide, narrow):
        page.wait_for_selector("text=The last lookup found")
        page.wait_for_selector("article.candidate")
    picture(wide, "doubts")
    assert wide.inner_text("#doubt-place") == "1 of 2"
    for page in (wide, narrow):
        page.wait_for_selector("article.candidate >> text=It is this one")
        assert cut_off(page) == []
    decided = []
    for left in (1, 0):
        wide.wait_for_selector("#is-0")
        ids = [one.strip() for one in wide.locator(".candidate strong").all_inner_texts()]
        assert edited in ids or (len(ids) == 2 and references[ids[0]] == references[ids[1]])
        decided.append(ids[0])
        wide.click("#is-0")
        if left:
            wide.wait_for_selector("#doubt-place:has-text('1 of 1')")
            narrow.wait_for_selector("#doubt-place:has-text('1 of 1')")
            wide.click("#undo")
            for page in (wide, narrow):
                page.wait_for_selector("#doubt-place:has-text('of 2')")
            assert wide.inner_text("#doubt-place") == "1 of 2"
            wide.click("#is-0")
            wide.wait_for_selector("#doubt-place:has-text('1 of 1')")
    for page in (wide, narrow):
        page.wait_for_selector("text=No row is in doubt")
    assert edited in decided

    # What proved absent is sent, and nothing is left but what cannot be.
    narrow.click("#to-push")
    narrow.click("#push")
    narrow.wait_for_selector("text=Every row that can be sent has been sent.")
    wide.click("#step-push")
    wide.wait_for_selector("text=Every row that can be sent has been sent.")
    picture(wide, "end")
    assert figure(wide, "there") == figure(narrow, "there") == ROWS - 2
    assert figure(wide, "absent") == 2  # refused by the helpdesk; without a title
    made = Counter(entry.payload["title"] for entry in server.ledger.of("tickets.add"))
    twice = [title for title, times in made.items() if times > 1]
    assert len(twice) == 1  # by the emulator itself, and a person saw it
    assert len(made) == ROWS - 2


def test_without_a_mouse(
    chromium: Callable[..., Any], start_ui: StartUi, server: KaptureEmulator, tmp_path: Path
) -> None:
    """Keys alone: the focus stays where it is while the page changes around it."""
    file = tmp_path / "tickets.csv"
    file.write_text(content(12))
    ui = start_ui(str(file))
    page = chromium()
    page.goto(ui.url)
    page.wait_for_selector("#column-1")

    def tab_to(name: str, key: str = "Tab") -> None:
        for _ in range(40):
            if page.evaluate("document.activeElement.id") == name:
                return
            page.keyboard.press(key)
        pytest.fail(f"no way to {name}")

    def choose(name: str, word: str) -> None:
        tab_to(name)
        page.keyboard.type(word)
        wait_for(page, f"document.querySelector('#{name}').value === '{word}'")

    choose("column-1", "title")
    wait_for(page, "document.querySelector('#step-check small')?.textContent.includes('to fix')")
    assert page.evaluate("document.activeElement.id") == "column-1"
    ring = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(ring) == "solid"
    choose("column-2", "ticket_details")
    tab_to("to-check")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Check the rows')")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    page.wait_for_selector("#to-trial:enabled")
    tab_to("to-trial")
    page.keyboard.press("Enter")
    tab_to("skip-trial")
    page.keyboard.press("Space")
    page.wait_for_selector("#push:enabled")
    tab_to("push")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Every row that can be sent has been sent.")
    assert len(server.ledger.entries) == 11


def test_a_decision_that_a_lookup_speaks_against_says_so(
    chromium: Callable[..., Any], start_ui: StartUi, server: KaptureEmulator, tmp_path: Path
) -> None:
    """A ticket that was found twice, marked absent: the page warns; leaving it open writes
    nothing; a made-up link is no link."""
    file = tmp_path / "tickets.csv"
    file.write_text("title,ticket_details\nFirst,One\nSecond,Two\n")
    ui = start_ui(str(file), "--timeout", "1", "--settle", "2")
    server.faults = FaultPlan.script(["twice; lost=true"], only="tickets.add")
    page = chromium()
    page.goto(ui.url)
    page.click("#step-push")
    page.click("#push:enabled")
    page.wait_for_selector("#to-doubts")
    page.click("#to-doubts")
    page.click("#lookup")
    page.wait_for_selector("article.candidate")
    page.click("#leave")
    assert page.locator("#leave").inner_text() == "Left open"
    page.click("#absent")
    assert "it will be there twice" in page.inner_text(".note.warn")
    page.click("#absent-no")
    journal = tmp_path / "tickets.csv.journal"
    with ReadJournal.open_to_read(journal) as read:
        assert read.counts().ambiguous == 1
    page.click("#absent")
    page.click("#absent-yes")
    page.wait_for_selector("text=No row is in doubt")
    with ReadJournal.open_to_read(journal) as read:
        assert read.counts().not_sent == 1
    words = page.evaluate(
        """async () => {
          const { ticketLink } = await import("/dom.js");
          return ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//x", ""]
            .map((address) => typeof ticketLink(address, "words"));
        }"""
    )
    assert set(words) == {"string"}
