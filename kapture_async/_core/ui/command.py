"""The command ``ui``: serves the page, and opens it in a browser."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping
from typing import Any

import click

from ..cli.console import say
from ..cli.exit_codes import DONE
from ..cli.options import Target, positive
from ..cli.running import Interrupts, run
from ..cli.service import Vendor
from .files import Shelf
from .workbench import Workbench

_FOLDER = "imports"
_REDIRECT = """\
<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>Opening the page</title>
<meta http-equiv="refresh" content="0; url={url}">
"""


@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--folder",
    metavar="FOLDER",
    default=_FOLDER,
    show_default=True,
    help="Where files are kept that are dropped on the page, with their journals.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    metavar="PORT",
    help="On 127.0.0.1.  [default: any that is free]",
)
@click.option("--no-browser", is_flag=True, help="Only print the address of the page.")
@click.option(
    "--max-rate",
    type=positive,
    metavar="PER_SECOND",
    help="Of a push: requests per second.",
)
@click.option(
    "--max-concurrency",
    type=click.IntRange(1, 10_000),
    metavar="NUMBER",
    help="Of a push: maximum number of requests in flight.",
)
@click.option("--timeout", type=positive, metavar="SECONDS", help="For each request of a push.")
@click.option(
    "--settle",
    type=positive,
    metavar="SECONDS",
    help="How long to wait for late results before rows in doubt are looked up.  [default: 300]",
)
def ui(
    vendor: Vendor,
    target: Target,
    file: str | None,
    folder: str,
    port: int,
    no_browser: bool,
    settle: float | None,
    **given: Any,
) -> int:
    """Show a page in the browser: map the columns of a FILE, check it, send one trial ticket, push,
    and work through the rows in doubt.

    It is for this machine only: nobody else can open it without the address that is printed. FILE
    is opened in place. A file that is dropped on the page and was pushed before is opened with its
    own journal; any other is kept in FOLDER. Push and journals are those of `push`, `reconcile`
    and `resolve`, which can take over at any time.

    Closing the browser stops nothing. Ctrl-C ends the page: requests in flight finish first, and a
    second one cuts them off; `resume`, or the page, continues later."""
    options = {name: value for name, value in given.items() if value is not None}
    run(lambda: _serve(vendor, target, file, Shelf(folder), port, no_browser, settle, options))
    return DONE


async def _serve(
    vendor: Vendor,
    target: Target,
    file: str | None,
    shelf: Shelf,
    port: int,
    no_browser: bool,
    settle: float | None,
    options: Mapping[str, Any],
) -> None:
    from .server import HOST, Server  # aiohttp's server takes a while to import

    workbench = Workbench(vendor, target, shelf, given=options, settle=settle)
    token = secrets.token_urlsafe(32)
    server = Server(workbench, token)
    over = asyncio.Event()

    def press(number: int) -> None:
        over.set()
        if number == 1:
            say("Ending; requests in flight finish first. Ctrl-C again cuts them off.", stderr=True)
        else:
            workbench.cut_off()

    with Interrupts(press):
        await workbench.refresh()
        if file is not None:
            await workbench.open(file)
        at = await server.start(port)
        url = f"http://{HOST}:{at}/#{token}"
        try:
            say(f"The page is at {url}")
            say("Whoever has this address can use it until the page ends: Ctrl-C.", stderr=True)
            with _browser(url, wanted=not no_browser):
                await over.wait()
            await workbench.close()
        finally:
            await server.stop()


@contextlib.contextmanager
def _browser(url: str, *, wanted: bool) -> Iterator[None]:
    """Open a browser by a file that only its user can read: other users of the machine see the
    arguments of every program, and the token must not be among them."""
    if not wanted:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="kapture-async-") as folder:
        path = os.path.join(folder, "page.html")
        with open(path, "x", encoding="utf-8", opener=_private) as file:
            file.write(_REDIRECT.format(url=url))
        with contextlib.suppress(webbrowser.Error, OSError):
            webbrowser.open(f"file://{path}")
        yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
