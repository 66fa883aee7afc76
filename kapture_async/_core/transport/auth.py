"""The headers that authenticate a call: fixed keys per API, or a token that can be renewed.

The send path asks :class:`Auth` for headers and knows nothing of schemes; another service
brings another :class:`Auth`, and nothing else changes.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import inspect
import re
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Protocol

from ..errors import ClientStateError, ConfigurationError, HelpdeskError, NotSentError
from ..runtime import in_daemon_thread
from ..secret import Secret, check_header

AuthHeaders = Mapping[str, Secret]

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HAS_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]*[ \t]+\S")


class Auth:
    """Gives the headers that authenticate a call. By itself, credentials never expire."""

    can_renew = False
    """Whether credentials can expire and be replaced; if not, :meth:`renew` is never called."""

    def headers(self, api: str) -> AuthHeaders:
        """The headers for one API of the service.

        Returns the same object as long as the credentials do not change, so that the send
        path may keep what it derives from them.

        Raises:
            ConfigurationError: there are no credentials for this API.
        """
        raise NotImplementedError

    def secrets(self) -> tuple[Secret, ...]:
        """Every text that must be masked wherever it might be shown."""
        return ()

    async def ready(self, api: str) -> None:
        """Have credentials for an API, before every attempt.

        Raises:
            ClientStateError: the client was closed, or would wait for itself.
            NotSentError: they could not be fetched; the cause says why, and holds no frames.
        """

    async def renew(self, stale: AuthHeaders) -> bool:
        """Replace credentials that the service refused.

        Returns:
            Whether there are others now.

        Raises:
            NotSentError: as :meth:`ready`.
        """
        return False

    async def aclose(self) -> None:
        """Stop what is under way; there will be no more calls."""


def authorization(token: str | Secret, scheme: str) -> Secret:
    """The value of ``Authorization`` for a ready-made token.

    The token is passed through as it is; ``scheme`` is put before it only where a scheme does
    not stand there already. It is never encoded again.

    Raises:
        ConfigurationError: it is empty or cannot stand in a header.
    """
    token = Secret.wrap(token)
    check_header("Authorization", token, what="the token")
    if not token.reveal().strip():
        raise ConfigurationError("the token is empty")
    text = Secret(token.reveal().strip())
    if _HAS_SCHEME.match(text.reveal()):
        return text
    return Secret(f"{scheme} {text.reveal()}")


def basic_authorization(username: str | Secret, password: str | Secret) -> Secret:
    """The value of ``Authorization`` for a user name and a password: real HTTP Basic.

    Raises:
        ConfigurationError: the user name is empty or holds a colon, or one of the two holds a
            line break or another control character (RFC 7617, section 2).
    """
    username, password = Secret.wrap(username), Secret.wrap(password)
    if not username or ":" in username.reveal():
        raise ConfigurationError("the user name must not be empty or hold a colon")
    check_printable("the user name", username)
    check_printable("the password", password)
    pair = Secret(f"{username.reveal()}:{password.reveal()}")
    return Secret("Basic " + base64.b64encode(pair.reveal().encode()).decode())


def check_printable(what: str, secret: Secret) -> None:
    """Refuse a secret with control characters: most likely it was read with its line end.

    Raises:
        ConfigurationError: it holds a control character, or half a surrogate pair.
    """
    if _UNPRINTABLE.search(secret.reveal()):
        raise ConfigurationError(
            f"{what} holds a line break or another control character",
            next_step="Strip it: what is read from a file often ends in a line break.",
        )


class KeyPerApi(Auth):
    """One set of headers per API, and one for the rest.

    Args:
        default: headers for every API not named in ``by_api``; ``None`` if there are none.
        by_api: API name to headers.
        also: further texts to mask, such as a password that a header holds encoded.
    """

    def __init__(
        self,
        default: AuthHeaders | None,
        by_api: Mapping[str, AuthHeaders],
        *,
        also: tuple[Secret, ...] = (),
    ) -> None:
        self._default = default
        self._by_api = dict(by_api)
        self._also = also

    def headers(self, api: str) -> AuthHeaders:
        """See :class:`Auth`."""
        found = self._by_api.get(api, self._default)
        if found is None:
            raise ConfigurationError(
                f"there are no credentials for the API {api!r}",
                next_step="Name a key for it in credentials=, or give a default token=.",
            )
        return found

    def secrets(self) -> tuple[Secret, ...]:
        """See :class:`Auth`; the bare token counts beside the header's whole value."""
        found = list(self._also)
        for headers in (self._default or {}, *self._by_api.values()):
            for value in headers.values():
                found.append(value)
                scheme, blank, rest = value.reveal().partition(" ")
                if blank and scheme:
                    found.append(Secret(rest.strip()))
        return tuple(found)


class HasAccess(Protocol):
    """What a login returns: an object that holds an access token."""

    @property
    def access(self) -> Secret:
        """The token."""
        ...


Token = str | Secret | HasAccess
TokenProvider = Callable[[], Awaitable[Token] | Token]
"""Fetches an access token.

An async function, or an object whose ``__call__`` is one, runs in the client's event loop. Any
other callable is called in a thread of its own, where it may block; there is no event loop in
that thread. It returns the token, or what a login returned, or a coroutine that returns one of the
two, which is awaited in the client's loop (``lambda: fetch(user)``). So a task has to be made by an
async function.
"""

_MASKED_STILL = 4
"""Former tokens that are masked like the present one: an answer to an older call may come late."""
_NO_LOOP = re.compile(r"no (running|current) event loop")


class _Renewal:
    """One question to the provider. All who need the answer wait for the same one."""

    __slots__ = ("problem", "task")

    task: asyncio.Task[None]

    def __init__(self) -> None:
        # Until it has come to its end: something within the provider may be cancelled.
        self.problem: Exception | None = NotSentError("the token provider was interrupted")


_WITHIN: ContextVar[tuple[_Renewal, ...]] = ContextVar("kapture_async_renewals", default=())
"""The renewals that the running code is a part of: what a provider calls must not wait for them."""


class BearerToken(Auth):
    """Some fixed headers and a bearer token that can be renewed.

    Renewals are shared: however many calls find the token expired at once, the provider is
    asked once, by a task that belongs to none of them. A call that is cancelled or runs out of
    time leaves the renewal to the others, and to those that come later.

    Args:
        fixed: headers of every call.
        token: the token to begin with, if there is one.
        provider: gives further ones.
        without: the APIs that are called without a token, such as the one that gives it.
    """

    def __init__(
        self,
        fixed: AuthHeaders,
        *,
        token: Secret | None,
        provider: TokenProvider | None,
        without: Collection[str] = (),
    ) -> None:
        self._fixed = MappingProxyType(dict(fixed))
        self._provider = provider
        self.can_renew = provider is not None
        self._without = frozenset(without)
        self._known: AuthHeaders | None = None
        self._former: deque[Secret] = deque(maxlen=_MASKED_STILL)
        self._renewal: _Renewal | None = None
        self._closed = False
        if token is not None:
            self.use(token)

    def use(self, token: str | Secret) -> None:
        """Take this token from now on.

        Raises:
            ConfigurationError: it is empty or cannot stand in a header. It is not shown.
        """
        value = authorization(token, "Bearer")
        if self._known is not None:
            self._former.append(self._known["Authorization"])
        self._known = MappingProxyType({**self._fixed, "Authorization": value})

    def headers(self, api: str) -> AuthHeaders:
        """See :class:`Auth`."""
        if api in self._without:
            return self._fixed
        if self._known is None:
            raise ConfigurationError(
                "there is no access token",
                next_step="Give access_token= or token_provider=, or log in first.",
            )
        return self._known

    def secrets(self) -> tuple[Secret, ...]:
        """See :class:`Auth`; the bare token counts beside the header's whole value."""
        found = [*(self._known or self._fixed).values(), *self._former]
        bare = [Secret(value.reveal().partition(" ")[2].strip()) for value in found]
        return (*found, *(value for value in bare if value))

    async def ready(self, api: str) -> None:
        """See :class:`Auth`: fetches the first token, where there is none yet."""
        if self._known is None and self._provider is not None and api not in self._without:
            await self._ask(self._provider)

    async def renew(self, stale: AuthHeaders) -> bool:
        """See :class:`Auth`; ``stale`` holds the token that the service refused."""
        if stale is self._known and self._provider is not None:
            await self._ask(self._provider)
        if self._known is None or stale is self._fixed:
            return False
        return self._known["Authorization"] != stale.get("Authorization")

    async def aclose(self) -> None:
        """See :class:`Auth`: ends a running renewal. A blocked thread is left alone."""
        self._closed = True
        renewal = self._renewal
        if renewal is None or renewal in _WITHIN.get():  # a provider may close its own client
            return
        renewal.task.cancel()
        await asyncio.wait((renewal.task,))

    async def _ask(self, provider: TokenProvider) -> None:
        """Wait for the renewal under way, or begin one."""
        if self._closed:
            raise ClientStateError("the client was closed")
        renewal = self._renewal
        if renewal in _WITHIN.get():
            raise ClientStateError(
                "the token provider made a call that needs the very token it is asked for, and "
                "would wait for itself",
                next_step="In a token provider the same client can only make calls that need no "
                "token, such as a login; for anything else make a client of its own there.",
            )
        if renewal is None or renewal.task.done():
            renewal = self._renewal = _Renewal()
            renewal.task = asyncio.get_running_loop().create_task(self._carry(renewal, provider))
        # Waited for and not awaited: a cancellation of this call must not become the renewal's.
        await asyncio.wait((renewal.task,))
        if self._closed:
            raise ClientStateError("the client was closed while it waited for an access token")
        problem = renewal.problem
        if problem is not None:
            why = problem.message if isinstance(problem, HelpdeskError) else type(problem).__name__
            raise NotSentError(f"could not get an access token: {why}") from problem

    async def _carry(self, renewal: _Renewal, provider: TokenProvider) -> None:
        _WITHIN.set((*_WITHIN.get(), renewal))
        try:
            self.use(await _given_by(provider))
            renewal.problem = None
        except Exception as error:
            renewal.problem = _without_frames(error)
        finally:
            self._renewal = None


async def _given_by(provider: TokenProvider) -> Secret:
    given: object = provider() if _is_async(provider) else await _in_thread(provider)
    if asyncio.isfuture(given) and given.get_loop() is not asyncio.get_running_loop():
        raise ConfigurationError(
            "the token provider gave a task of another event loop",
            next_step="Make it an async function: it then runs in the client's own loop.",
        )
    if inspect.isawaitable(given):
        given = await given
    given = getattr(given, "access", given)
    if isinstance(given, (str, Secret)):
        return Secret.wrap(given)
    kind = type(given).__name__
    del given  # it may hold a token, and error trackers show variables
    raise ConfigurationError(f"the token provider gave {kind}, not text")


def _is_async(provider: Any) -> bool:
    while isinstance(provider, functools.partial):
        provider = provider.func
    return inspect.iscoroutinefunction(provider) or inspect.iscoroutinefunction(
        getattr(provider, "__call__", None)  # noqa: B004 - an object that can be called
    )


async def _in_thread(provider: TokenProvider) -> object:
    """What a plain function gives. It may block, and may be a sync client's own login."""
    given, problem = await in_daemon_thread(provider, "token-provider")
    if problem is None:
        return given
    if isinstance(problem, RuntimeError) and _NO_LOOP.search(str(problem)):
        raise ConfigurationError(
            "the token provider needs a running event loop, and a plain function is called in a "
            "thread, where there is none",
            next_step="Make it an async function.",
        ) from problem
    if isinstance(problem, Exception) and not isinstance(problem, StopIteration):
        raise problem
    raise ConfigurationError(f"the token provider raised {type(problem).__name__}") from problem


def _without_frames(error: Exception) -> Exception:
    """An error that may be kept: the frames of a provider hold the password, most likely."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            todo += [one.__cause__, one.__context__]
            if isinstance(one, BaseExceptionGroup):
                todo += one.exceptions
    return error
