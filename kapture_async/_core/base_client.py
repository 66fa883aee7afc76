"""What the clients of both services share: one transport, the options in force, and a lifecycle."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from copy import copy
from functools import cached_property
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from .arguments import check_callable, check_flag, check_text, is_one_of
from .errors import ConfigurationError, InvalidInputError
from .phase import Effect
from .received import ReceivedResponse
from .requestor import ApiRequestor
from .runtime import running_loop
from .secret import Secret
from .transport.auth import Auth
from .transport.request import MEBI, Operation, Wrap
from .transport.retry import RetryPolicy
from .transport.settings import (
    CallOptions,
    Timeout,
    TransportSettings,
    WireKind,
    check_session,
)
from .transport.transport import IsStale, Observer, Transport
from .transport.urls import BaseUrl, check_path, check_proxy
from .version import __version__

if TYPE_CHECKING:
    import aiohttp


class BaseClient:
    """Base of the clients."""

    _transport: Transport
    _requestor: ApiRequestor
    _owns_transport = True

    def _connect(
        self,
        *,
        service: str,
        base_url: BaseUrl,
        auth: Auth,
        headers: Mapping[str, Secret],
        timeout: Timeout | float | None,
        retry: RetryPolicy,
        session: aiohttp.ClientSession | None,
        proxy: Secret | None,
        ssl_context: ssl.SSLContext | None,
        keep_alive: bool,
        transport: WireKind,
        max_connections: int,
        max_reply_bytes: int | None,
        on_event: Observer | None,
        claims_success: Callable[[bytes], bool],
        is_stale: IsStale | None = None,
        **vendor: Any,
    ) -> None:
        """Check the settings, and make the transport and the requestor of them.

        Args:
            service: the service's name, for errors and journals.
            base_url: the address of the tenant or installation.
            auth: which headers open which API.
            headers, timeout, retry, session, proxy, ssl_context, keep_alive, transport,
                max_connections, max_reply_bytes, on_event: as users give them.
            claims_success, is_stale: see :class:`Transport`.
            vendor: the fields of :class:`ApiRequestor` that only the vendor knows.

        Raises:
            ConfigurationError: a setting is wrong.
        """
        check_callable("on_event", on_event, ConfigurationError)
        check_session(session)
        if session is not None and not (proxy is None and ssl_context is None and keep_alive):
            raise ConfigurationError(
                "proxy=, ssl_context= and keep_alive= have no effect on a session of your own",
                next_step="Set them on that session.",
            )
        settings = TransportSettings(
            service=service,
            base_url=base_url,
            headers=headers,
            user_agent=f"kapture-async/{__version__}",
            keep_alive=keep_alive,
            transport=transport,
            max_connections=max_connections,
            max_reply_bytes=max_reply_bytes,
            proxy=check_proxy(proxy),
            ssl_context=ssl_context,
        )
        self._transport = Transport(
            settings,
            auth,
            session=session,
            observer=on_event,
            claims_success=claims_success,
            is_stale=is_stale,
        )
        options = CallOptions(timeout=Timeout.of(timeout), retry=retry)
        self._use(ApiRequestor(transport=self._transport, options=options, **vendor))

    def _use(self, requestor: ApiRequestor) -> None:
        """Make every call through this requestor, also those of the resources."""
        self._requestor = requestor
        for name in [*vars(self)]:
            if isinstance(getattr(type(self), name, None), cached_property):
                del vars(self)[name]

    def with_options(
        self,
        *,
        timeout: Timeout | float | EllipsisType | None = ...,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
        on_response: Callable[[ReceivedResponse], object] | None = None,
    ) -> Self:
        """A client with other options that shares this one's connections and credentials. Cheap.

        Args:
            timeout: seconds for a whole call, a :class:`Timeout`, or ``None`` for no limit; left
                out, it stays as it is.
            retry: another retry policy.
            headers: further headers; they override this client's.
            on_response: called with the :class:`ReceivedResponse` that each call ends with, be it
                a success or not, before it is read. Of a push, each row's. A plain function; it
                runs in the client's event loop, and must not block. If it raises, that is logged,
                and the call continues.

        Returns:
            A client that need not be closed; closing it does nothing.

        Raises:
            ConfigurationError: an option is wrong.
        """
        options = self._requestor.options.changed(
            timeout=timeout, retry=retry, headers=headers, on_response=on_response
        )
        other = copy(self)
        other._owns_transport = False
        other._use(self._requestor.with_options(options))
        return other

    @property
    def base_url(self) -> str:
        """The address that requests go to."""
        return str(self._transport.settings.base_url)

    @property
    def closed(self) -> bool:
        """Whether the client was closed."""
        return self._transport.closed

    async def aclose(self) -> None:
        """Close the connections. Calling it again does nothing.

        Raises:
            ClientStateError: called from another event loop than the one that was used.
        """
        if self._owns_transport:
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        running_loop()
        # Loaded here, while a service starts up, and not during its first request. The rest of
        # the library, which takes less, is loaded with the first resource.
        self._transport.load()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        name = type(self).__name__
        if not hasattr(self, "_transport"):  # a setting was refused; tracebacks show it half made
            return f"<{name}, not made>"
        return f"<{name} {self.base_url}{' (closed)' if self.closed else ''}>"


def undocumented_operation(
    path: str,
    *,
    method: str,
    effect: Effect,
    api: str,
    wrap: Wrap,
    marks_success: bool,
) -> Operation:
    """An operation for a client's ``request()``: a call that has no method of its own.

    Raises:
        InvalidInputError: there can be no such call.
    """
    check_text("method", method, optional=False)
    check_flag("marks_success", marks_success)
    if not is_one_of(effect, "read", "write"):
        raise InvalidInputError("effect must be 'read' or 'write'")
    if not method.isascii() or not method.isalpha():
        raise InvalidInputError("method must be an HTTP method")
    method = method.upper()
    if effect == "write" and method in ("GET", "HEAD", "OPTIONS", "TRACE"):
        raise InvalidInputError(
            f"a {method} that changes something cannot be sent safely: anything on the way may "
            "repeat it",
            next_step='Pass effect="read" if it changes nothing.',
        )
    return Operation(
        name="request",
        path=check_path(path),
        effect=effect,
        api=api,
        method=method,
        wrap=wrap,
        reply_cap=64 * MEBI,
        marks_success=marks_success,
    )
