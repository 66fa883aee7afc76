"""Credentials that expire: a bearer token, and whoever can give another one."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from types import MappingProxyType

from ..errors import ConfigurationError
from ..secret import Secret
from .auth import AuthHeaders, authorization

TokenProvider = Callable[[], Awaitable[str | Secret] | str | Secret]
"""Gives an access token, fetched anew: an async function, or a plain one, which may block."""

_MASKED_STILL = 4
"""Former tokens that are masked like the present one: an answer to an older call may come late."""


class BearerToken:
    """An :class:`~.auth.Auth` of some fixed headers and a bearer token that can be renewed.

    Renewals are shared: however many calls find the token expired at once, the provider is
    asked once.

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
        self._without = frozenset(without)
        self._known: AuthHeaders | None = None
        self._former: deque[Secret] = deque(maxlen=_MASKED_STILL)
        self._turn = asyncio.Lock()
        self._asked = 0
        self._problem: Exception | None = None
        if token is not None:
            self.use(token)

    @property
    def can_renew(self) -> bool:
        """Whether there is somebody to ask for another token."""
        return self._provider is not None

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
        """See :class:`~.auth.Auth`."""
        if api in self._without:
            return self._fixed
        if self._known is None:
            raise ConfigurationError(
                "there is no access token",
                next_step="Give access_token= or token_provider=, or log in first.",
            )
        return self._known

    def secrets(self) -> tuple[Secret, ...]:
        """See :class:`~.auth.Auth`; the bare token counts beside the header's whole value."""
        found = [*(self._known or self._fixed).values(), *self._former]
        bare = [Secret(value.reveal().partition(" ")[2].strip()) for value in found]
        return (*found, *(value for value in bare if value))

    async def ready(self, api: str) -> None:
        """Make sure that there is a token, where the call needs one and there is a provider.

        Raises:
            Exception: whatever the provider raised, or
            ConfigurationError: what it gave is no token.
        """
        if self._known is None and self._provider is not None and api not in self._without:
            asked = self._asked
            async with self._turn:
                if self._known is None:
                    await self._fetch(self._provider, asked)

    async def renew(self, stale: AuthHeaders) -> bool:
        """Have another token than the one in ``stale``, which the service refused.

        Returns:
            Whether there is another one now; False if the provider gave the same once more.

        Raises:
            Exception: as :meth:`ready`.
        """
        asked = self._asked
        async with self._turn:
            if self._known is stale and self._provider is not None:
                await self._fetch(self._provider, asked)
        assert self._known is not None
        return self._known["Authorization"] != stale.get("Authorization")

    async def _fetch(self, provider: TokenProvider, asked: int) -> None:
        """Ask the provider, unless somebody did so while this call waited for its turn."""
        if asked != self._asked and self._problem is not None:
            raise self._problem
        self._problem = None
        try:
            self.use(await self._ask(provider))
        except Exception as error:
            self._problem = error
            raise
        finally:
            self._asked += self._problem is not None

    @staticmethod
    async def _ask(provider: TokenProvider) -> Secret:
        if _is_async(provider):
            given: object = provider()
        else:  # it may block, and may be a blocking twin's own login
            given = await asyncio.to_thread(provider)
        if inspect.isawaitable(given):
            given = await given
        if isinstance(given, (str, Secret)):
            return Secret.wrap(given)
        kind = type(given).__name__
        del given
        raise ConfigurationError(f"the token provider gave {kind}, not text")


def _is_async(provider: TokenProvider) -> bool:
    return inspect.iscoroutinefunction(provider) or inspect.iscoroutinefunction(
        getattr(provider, "__call__", None)  # noqa: B004 - an object that can be called
    )
