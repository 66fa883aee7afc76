"""The web server of the page: this machine only, this run's token, this origin.

What is open to everybody is the page itself, which holds nothing. Whatever shows or does something
needs the token, which the page takes from the fragment of its URL: a fragment is in no request, no
log and no referrer. Requests that name another host (as after DNS rebinding) or come from another
origin are refused, with or without it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from ..errors import ClientStateError, InvalidInputError, JournalError
from .workbench import EXPECTED, Workbench, trouble_of

HOST = "127.0.0.1"
_PAGE = Path(__file__).parent / "page"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_PIECE = 1 << 20
_BODY = 1 << 20

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Act = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Server:
    """Serves a workbench to browsers of this machine.

    Args:
        workbench: what is shown and done.
        token: whoever has it may see and do all of it.
    """

    def __init__(self, workbench: Workbench, token: str) -> None:
        self._workbench = workbench
        self._token = token.encode()
        self._hosts: frozenset[str] = frozenset()
        application = web.Application(middlewares=[self._guard], client_max_size=_BODY)
        application.on_response_prepare.append(_add_headers)
        self._runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=2.0
        )
        self._add_routes(application)

    async def start(self, port: int = 0) -> int:
        """Listen; returns the port.

        Raises:
            OSError: the port is taken.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, port).start()
        port = self._runner.addresses[0][1]
        self._hosts = frozenset({f"{HOST}:{port}", f"localhost:{port}"})
        return port

    async def stop(self) -> None:
        """Stop listening, and end all connections."""
        await self._runner.cleanup()

    def _add_routes(self, application: web.Application) -> None:
        bench, router = self._workbench, application.router
        for entry in _PAGE.iterdir():
            ending = entry.suffix.removeprefix(".")
            if ending in _TYPES:
                path = "/" if entry.name == "index.html" else f"/{entry.name}"
                router.add_get(path, _file(entry.read_bytes(), _TYPES[ending]))
        router.add_get("/api/events", self._events)
        router.add_get("/api/rows", self._rows)
        router.add_get("/api/doubts", self._doubts)
        router.add_get("/api/doubts/{row:[0-9]+}", self._doubt)
        router.add_put("/api/file", self._upload)
        acts: dict[str, Act] = {
            "open": self._open,
            "close": lambda said: bench.close_file(),
            "columns": bench.map_columns,
            "unlock": lambda said: bench.change_columns(),
            "trial": lambda said: bench.try_one(),
            "push": lambda said: bench.push(),
            "stop": _at_once(bench.stop),
            "lookup": lambda said: bench.look_up(
                assume_complete=said.get("assume_complete") is True
            ),
            "resolve": bench.resolve,
            "undo": bench.undo,
            "rejects": lambda said: bench.write_rejects(),
        }
        for name, act in acts.items():
            router.add_post(f"/api/{name}", _action(act))

    # --- who may ask ---------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in only this origin, and to what shows or does something only who has the token."""
        if request.headers.getall("Host", []) not in ([host] for host in self._hosts):
            return _refusal(421, "this server is for its own address only")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts}:
            return _refusal(403, "this server is for its own page only")
        site = request.headers.get("Sec-Fetch-Site", "none")
        if site not in ("same-origin", "none"):
            # A link elsewhere may lead here; what it opens is the page, which holds nothing.
            leads = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.path == "/"
            if not leads or request.method != "GET":
                return _refusal(403, "this server is for its own page only")
        if request.path.startswith("/api/"):
            kind, _, given = request.headers.get("Authorization", "").partition(" ")
            if kind != "Bearer" or not hmac.compare_digest(given.encode(), self._token):
                return _refusal(401, "the token of this run is missing")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _refusal(error.status, error.reason.lower())
        except ClientStateError as error:
            return _json(trouble_of(error), 409)
        except EXPECTED as error:
            known = isinstance(error, (InvalidInputError, JournalError))
            return _json(trouble_of(error), 400 if known else 502)

    # --- what is shown -------------------------------------------------------------------------

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Everything that is shown, one JSON object a line, again whenever it changes."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async for snapshot in self._workbench.watch():
            await response.write(orjson.dumps(snapshot) + b"\n")
        return response

    async def _rows(self, request: web.Request) -> web.Response:
        return _json(self._workbench.rows(request.query.get("which", "first")))

    async def _doubts(self, request: web.Request) -> web.Response:
        return _json(await self._workbench.doubts())

    async def _doubt(self, request: web.Request) -> web.Response:
        return _json(await self._workbench.doubt(int(request.match_info["row"])))

    # --- what is done --------------------------------------------------------------------------

    async def _upload(self, request: web.Request) -> web.Response:
        name = request.query.get("name", "file")
        await self._workbench.take(name, _pieces(request))
        return web.Response(status=204)

    async def _open(self, said: Mapping[str, Any]) -> None:
        path = str(said.get("path", ""))
        if not self._workbench.shelf.is_listed(path):
            raise InvalidInputError("that is none of the files that this page lists")
        await self._workbench.open(path)


def _file(content: bytes, kind: str) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=content, content_type=kind, charset="utf-8")

    return serve


def _action(act: Act) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        try:
            said = json.loads(await request.read() or b"{}")
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise InvalidInputError("the request is not a JSON object")
        return _json({"result": await act(said)})

    return handle


def _at_once(act: Callable[[], None]) -> Act:
    async def do(said: Mapping[str, Any]) -> None:
        act()

    return do


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    async for piece in request.content.iter_chunked(_PIECE):
        yield piece


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(value, default=str), status=status, content_type="application/json"
    )


def _refusal(status: int, words: str) -> web.Response:
    return _json({"message": words, "next_step": ""}, status)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers["Server"] = ""
