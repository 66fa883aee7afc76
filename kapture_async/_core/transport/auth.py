"""Which headers prove who we are, per API of a service.

The send path asks :class:`Auth` for headers and knows nothing of schemes; another service
brings another :class:`Auth` (an apikey beside a Bearer token, say) and nothing else changes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Protocol

from ..errors import ConfigurationError
from ..secret import Secret, check_header

AuthHeaders = Mapping[str, Secret]

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HAS_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]*[ \t]+\S")


class Auth(Protocol):
    """Gives the headers that authenticate a call."""

    @property
    def can_renew(self) -> bool:
        """Whether credentials can expire and be had anew; if not, nobody is ever asked to."""
        ...

    def headers(self, api: str) -> AuthHeaders:
        """The headers for one API of the service.

        Returns the same object as long as the credentials do not change, so that the send
        path may keep what it derives from them.

        Raises:
            ConfigurationError: there are no credentials for this API.
        """
        ...

    def secrets(self) -> tuple[Secret, ...]:
        """Every text that must be masked wherever it might be shown."""
        ...

    async def ready(self, api: str) -> None:
        """Have credentials for an API, before every try.

        Raises:
            ClientStateError: the client was closed, or would wait for itself.
            NotSentError: they could not be had; the cause says why, and holds no frames.
        """

    async def renew(self, stale: AuthHeaders) -> bool:
        """Have other credentials than those that the service refused.

        Returns:
            Whether there are others now.

        Raises:
            NotSentError: as :meth:`ready`.
        """
        ...

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
    """Refuse a secret that holds what nobody types: most likely it was read with its line end.

    Raises:
        ConfigurationError: it holds a control character, or half a surrogate pair.
    """
    if _UNPRINTABLE.search(secret.reveal()):
        raise ConfigurationError(
            f"{what} holds a line break or another control character",
            next_step="Strip it: what is read from a file often ends in a line break.",
        )


class KeyPerApi:
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

    @property
    def can_renew(self) -> bool:
        """See :class:`Auth`; keys do not expire under way."""
        return False

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

    async def ready(self, api: str) -> None:
        """See :class:`Auth`; there is nothing to be fetched."""

    async def renew(self, stale: AuthHeaders) -> bool:
        """See :class:`Auth`; there are no others."""
        return False

    async def aclose(self) -> None:
        """See :class:`Auth`."""
