"""The settings of the send path, as checked values."""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable, Mapping
from types import EllipsisType
from typing import Any, Literal, get_args

from attrs import field, frozen

from ..arguments import check_callable, check_flag, check_mapping, check_whole, is_one_of
from ..errors import ConfigurationError
from ..received import ReceivedResponse
from ..secret import Secret, check_header
from .request import MEBI
from .retry import RetryPolicy
from .urls import BaseUrl

# A failure, or an answer that is not the requested file, is cut here: it is only quoted.
ERROR_BODY_CAP = MEBI // 4
WireKind = Literal["direct", "session"]
"""How requests leave: straight on a connection, or each through ``aiohttp.ClientSession``."""

# aiohttp writes these from the body and the URL; a second hand on them breaks the framing.
_OURS = frozenset({"content-length", "content-type", "host", "transfer-encoding", "connection"})


def _check_positive(_self: object, attribute: object, value: float | None) -> None:
    name = getattr(attribute, "name", "")
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ConfigurationError(
            f"timeout {name!r} must be a number of seconds or None, not {type(value).__name__}"
        )
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise ConfigurationError(
            f"timeout {name!r} must be more than 0 seconds", next_step="Pass None for no limit."
        )


def _check_count(_self: object, attribute: Any, value: int | None) -> None:
    if value is not None:
        check_whole(attribute.name, value, 1, ConfigurationError)


def _check_ssl_context(_self: object, _attribute: object, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, ssl.SSLContext):
        raise ConfigurationError(
            f"ssl_context must be an ssl.SSLContext or None, not {type(value).__name__}",
            next_step="Verification cannot be turned off; for a private certificate authority "
            "pass ssl.create_default_context(cafile=...).",
        )
    if value.verify_mode is not ssl.CERT_REQUIRED:
        raise ConfigurationError(
            "the ssl_context does not verify certificates, and credentials would go to anybody",
            next_step="For a private certificate authority pass "
            "ssl.create_default_context(cafile=...).",
        )


def _check_bool(_self: object, attribute: Any, value: object) -> None:
    check_flag(attribute.name, value, ConfigurationError)


def _check_wire(_self: object, _attribute: object, value: object) -> None:
    if not is_one_of(value, *get_args(WireKind)):
        raise ConfigurationError(
            "transport must be 'direct' or 'session'",
            next_step="Leave it out, unless something must see every request that aiohttp makes.",
        )


def _check_retry(_self: object, _attribute: object, value: object) -> None:
    if not isinstance(value, RetryPolicy):
        raise ConfigurationError(
            "retry must be a RetryPolicy", next_step="RetryPolicy(attempts=1) never sends again."
        )


@frozen
class Timeout:
    """How long a call may take, in seconds; ``None`` means no limit.

    Attributes:
        total: the whole call, with all its attempts and the waits between them.
        connect: making one connection (name look-up, TCP, a proxy's CONNECT, TLS). With a session
            of your own the look-up and the CONNECT count against ``total`` only.
        read: silence of the server while an answer is awaited or arriving.
    """

    total: float | None = field(default=60.0, validator=_check_positive)
    connect: float | None = field(default=10.0, validator=_check_positive)
    read: float | None = field(default=30.0, validator=_check_positive)

    @classmethod
    def of(cls, value: Timeout | float | None) -> Timeout:
        """A number is the total; the parts keep their defaults. ``None`` means no limit at all."""
        if isinstance(value, Timeout):
            return value
        if value is None:
            return cls(None, None, None)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigurationError("timeout must be seconds, a Timeout, or None")
        return cls(total=float(value))


@frozen(kw_only=True)
class CallOptions:
    """What may differ from call to call."""

    timeout: Timeout = Timeout()
    retry: RetryPolicy = field(default=RetryPolicy(), validator=_check_retry)
    headers: Mapping[str, Secret] = field(factory=dict)
    on_response: Callable[[ReceivedResponse], object] | None = None

    def changed(
        self,
        *,
        timeout: Timeout | float | EllipsisType | None = ...,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
        on_response: Callable[[ReceivedResponse], object] | None = None,
    ) -> CallOptions:
        """The same with other options; what is left out stays, and headers come on top.

        Raises:
            ConfigurationError: one is wrong.
        """
        check_callable("on_response", on_response, ConfigurationError)
        return CallOptions(
            timeout=self.timeout if isinstance(timeout, EllipsisType) else Timeout.of(timeout),
            retry=self.retry if retry is None else retry,
            headers={**self.headers, **check_headers(headers)} if headers else self.headers,
            on_response=self.on_response if on_response is None else on_response,
        )


def wrapped_headers(headers: Mapping[str, str | Secret | None] | None) -> dict[str, Secret]:
    """Headers whose values no log, repr or traceback shows; one that is ``None`` is left out.

    Raises:
        ConfigurationError: they are no mapping of texts. Values are not shown.
    """
    check_mapping("headers", headers, ConfigurationError)
    found = {}
    for name, value in (headers or {}).items():
        if value is not None:
            found[name] = Secret.wrap(value, f"the value of header {name[:40]!r} in headers")
    return found


def check_headers(headers: Mapping[str, str | Secret | None] | None) -> dict[str, Secret]:
    """Extra headers, wrapped and checked.

    Raises:
        ConfigurationError: a name or value cannot stand in a header, or the header is one
            that the library writes itself. Values are not shown.
    """
    checked: dict[str, Secret] = {}
    for name, secret in wrapped_headers(headers).items():
        check_header(name, secret)
        if name.lower() in _OURS:
            raise ConfigurationError(f"the header {name!r} is written by the library itself")
        checked[name] = secret
    return checked


def check_session(session: object) -> None:
    """A session of the caller's own, without importing aiohttp for it.

    Raises:
        ConfigurationError: it is not one.
    """
    if session is not None and not callable(getattr(session, "request", None)):
        raise ConfigurationError(
            f"session must be an aiohttp.ClientSession, not {type(session).__name__}"
        )


@frozen(kw_only=True)
class TransportSettings:
    """What holds for every call of one transport."""

    service: str
    base_url: BaseUrl
    headers: Mapping[str, Secret] = field(factory=dict)
    user_agent: str = "kapture-async"
    max_connections: int = field(default=100, validator=_check_count)
    max_reply_bytes: int | None = field(default=None, validator=_check_count)
    """Overrides every operation's own cap."""
    proxy: Secret | None = None
    ssl_context: ssl.SSLContext | None = field(default=None, validator=_check_ssl_context)
    keep_alive: bool = field(default=True, validator=_check_bool)
    transport: WireKind = field(default="direct", validator=_check_wire)
