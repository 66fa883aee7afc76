"""What all calls of one operation have in common on the wire, made once and kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from multidict import CIMultiDict
from yarl import URL

from ..secret import Secret
from .auth import AuthHeaders
from .call_state import CallState
from .request import Operation, Request
from .session import client_timeout
from .settings import CallOptions, Timeout, TransportSettings

if TYPE_CHECKING:
    import aiohttp


class RequestTemplate(NamedTuple):
    """Where a try goes, with which headers, and within which bounds."""

    operation: Operation
    options: CallOptions
    auth: AuthHeaders
    url: URL
    headers: Mapping[str, str]
    limits: aiohttp.ClientTimeout | None
    """What differs from the session's own."""
    cap: int
    """The most bytes of the answer."""

    def __repr__(self) -> str:
        return f"<RequestTemplate of {self.operation.name}>"  # the headers are secret


class RequestTemplates:
    """Finds the way of a call.

    Args:
        settings: what holds for every call.
        own: the timeout that our session was made with; ``None`` for a borrowed one.
    """

    def __init__(self, settings: TransportSettings, own: Timeout | None) -> None:
        self._settings = settings
        self._own = own
        self._known: dict[str, RequestTemplate] = {}

    def of(self, call: CallState, auth: AuthHeaders) -> RequestTemplate:
        """The way of a call; the one before, as long as nothing of it changed."""
        request, options = call.request, call.options
        operation = request.operation
        plain = request.path == operation.path and not request.query and not request.headers
        known = self._known.get(operation.name)
        if (
            plain
            and known is not None
            and known.operation is operation
            and known.options is options
            and known.auth is auth
        ):
            return known
        watched = request.body is not None and call.is_file is None
        cap = operation.reply_cap
        if call.is_file is None:  # a file's limit is the caller's own
            cap = self._settings.max_reply_bytes or cap
        way = RequestTemplate(
            operation,
            options,
            auth,
            self._url(request),
            self._headers(auth, self._settings.headers, options.headers, request.headers),
            self._limits(options.timeout, watched=watched),
            cap,
        )
        # Fixed paths only: ids are without end.
        if plain and watched:
            self._known[operation.name] = way
        return way

    def _url(self, request: Request) -> URL:
        url = self._settings.base_url.join(request.path)
        if request.query:
            url = f"{url}?{urlencode(request.query)}"
        return URL(url, encoded=True)

    def _headers(self, *layers: Mapping[str, Secret]) -> Mapping[str, str]:
        merged: CIMultiDict[str] = CIMultiDict()
        merged["Accept"] = "application/json"
        merged["User-Agent"] = self._settings.user_agent
        for layer in layers:
            for name, secret in layer.items():
                merged[name] = secret.reveal()
        return merged

    def _limits(self, timeout: Timeout, *, watched: bool) -> aiohttp.ClientTimeout | None:
        """What aiohttp has to keep by itself, where that is not what the session does.

        Of a body on its way out we see the end, and watch for silence from there. Else aiohttp
        does, which costs two timers.
        """
        if watched and self._own is not None and self._own.connect == timeout.connect:
            return None
        return client_timeout(timeout, silence=not watched, whole=self._own is not None)
