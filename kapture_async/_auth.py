"""Which key is for which API: tokens, user names and passwords, and what orders need.

Kapture issues one key per API (SERVICE.md, section 0), and its order pages ask for a user name
and a password instead (sections 9 to 11).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from ._api import OPERATIONS as RESOURCE_OPERATIONS
from ._api import TICKET_OPERATIONS
from ._core.arguments import check_mapping
from ._core.errors import ConfigurationError
from ._core.secret import Secret
from ._core.transport.auth import AuthHeaders, KeyPerApi, authorization, basic_authorization

OPERATIONS: Final = (*TICKET_OPERATIONS, *RESOURCE_OPERATIONS)

Credential = str | Secret | tuple[str, str] | tuple[Secret, Secret]
"""A token, or a user name and a password."""

ORDER_APIS: Final = ("add_order", "update_order", "pull_orders")
APIS: Final = (
    *("add_ticket", "update_ticket", "get_ticket", "pull_tickets"),
    *("add_customer", "update_customer", "get_customer", "pull_customers"),
    *ORDER_APIS,
    *("get_faqs", "faq_categories", "request"),
)
"""The names of the single keys in ``credentials=``."""
ORDERS: Final = "orders"
"""The name in ``credentials=`` that stands for all three of the order API."""


def _plain(path: str) -> str:
    """A path in the form in which servers compare it."""
    return "/" + "/".join(part for part in unquote(path).lower().split("/") if part)


_APIS_AT: Final = {
    _plain(one.path): tuple(o.api for o in OPERATIONS if o.path == one.path) for one in OPERATIONS
}


class KaptureKeys(KeyPerApi):
    """One key per API. A token for everything is not sent to the order API.

    Args:
        default, by_api, also: see :class:`KeyPerApi`.
        default_is_token: ``default`` is a token, not a user name with a password.
    """

    def __init__(
        self,
        default: AuthHeaders | None,
        by_api: Mapping[str, AuthHeaders],
        *,
        also: tuple[Secret, ...] = (),
        default_is_token: bool = False,
    ) -> None:
        super().__init__(default, by_api, also=also)
        named = self._by_api.keys()
        self._locked = frozenset(set(ORDER_APIS) - named) if default_is_token else frozenset()

    def headers(self, api: str) -> AuthHeaders:
        """See :class:`Auth`."""
        if api in self._locked:
            raise ConfigurationError(
                f"the order API ({api!r}) takes a user name and a password, not the token of the "
                "rest",
                next_step='Give credentials={"orders": (user, password)}; or, if your tenant '
                'takes a token there, credentials={"orders": token}.',
            )
        found = self._by_api.get(api, self._default)
        return super().headers(api) if found is None else found

    def api_of(self, path: str) -> str:
        """The API whose key a path needs, as far as the path is documented.

        Where two APIs have one path, that is the one that has a key of its own. ``request`` is
        for all other paths, and where a documented one has no key of its own; not for orders.
        """
        apis = _APIS_AT.get(_plain(path), ("request",))
        own = [api for api in apis if api in self._by_api]
        if not own and "request" in self._by_api and apis[0] not in ORDER_APIS:
            return "request"
        return (own or apis)[0]


def wrapped(
    credentials: Mapping[str, Credential] | None,
) -> dict[str, Credential] | None:
    """The same, wrapped: tracebacks may show variables."""
    if credentials is None:
        return None
    check_mapping("credentials", credentials, ConfigurationError)
    return {api: _wrapped(api, value) for api, value in credentials.items()}


def _wrapped(api: str, value: Any) -> Credential:
    what = f"credentials[{api[:40]!r}]"
    if isinstance(value, tuple) and len(value) == 2 and None not in value:
        return Secret.wrap(value[0], what), Secret.wrap(value[1], what)
    if isinstance(value, (str, Secret)):
        return Secret.wrap(value, what)
    raise ConfigurationError(
        f"{what} must be a token or a pair of a user name and a password, not "
        f"{type(value).__name__}"
    )


def from_environment(credentials: dict[str, Credential] | None) -> dict[str, Credential] | None:
    """The same, with the keys of single APIs from the environment.

    ``KAPTURE_TOKEN_<API>`` is a token, named as in ``credentials``; ``KAPTURE_ORDERS_USERNAME`` and
    ``KAPTURE_ORDERS_PASSWORD`` are for the order API. Arguments override the environment.

    Raises:
        ConfigurationError: one of the two is missing.
    """
    found: dict[str, Credential] = {}
    username = os.environ.get("KAPTURE_ORDERS_USERNAME")
    password = os.environ.get("KAPTURE_ORDERS_PASSWORD")
    if username or password:
        if not username or not password:
            raise ConfigurationError(
                "KAPTURE_ORDERS_USERNAME and KAPTURE_ORDERS_PASSWORD must both be set"
            )
        found[ORDERS] = (Secret(username), Secret(password))
    for api in (*APIS, ORDERS):
        if token := os.environ.get(f"KAPTURE_TOKEN_{api.upper()}"):
            found[api] = Secret(token)
    return {**found, **(credentials or {})} or None


def auth_of(
    token: Secret | None,
    username: Secret | None,
    password: Secret | None,
    credentials: Mapping[str, Credential] | None,
) -> KaptureKeys:
    """The keys per API.

    Raises:
        ConfigurationError: no key is given, keys contradict each other, or an API is unknown.
    """
    if token is not None and (username is not None or password is not None):
        raise ConfigurationError(
            "give either a token or a user name and password, not both",
            next_step='Where only orders want the user: token=..., and credentials={"orders": '
            "(user, password)}.",
        )
    if (username is None) != (password is None):
        raise ConfigurationError("a user name and a password must both be given")
    default: AuthHeaders | None = None
    if token is not None:
        # Passed through as the console shows it (section 0).
        default = {"Authorization": authorization(token, "Basic")}
    elif username is not None and password is not None:
        default = {"Authorization": basic_authorization(username, password)}
    by_api = _by_api(credentials or {})
    if default is None and not by_api:
        raise ConfigurationError(
            "no credentials given",
            next_step="Pass token= (pasted as the console shows it), or username= and password=.",
        )
    passwords = [password] if password is not None else []
    passwords += [Secret.wrap(v[1]) for v in (credentials or {}).values() if isinstance(v, tuple)]
    return KaptureKeys(default, by_api, also=tuple(passwords), default_is_token=token is not None)


def _by_api(credentials: Mapping[str, Credential]) -> dict[str, AuthHeaders]:
    found: dict[str, AuthHeaders] = {}
    groups: dict[str, AuthHeaders] = {}
    for api, value in credentials.items():
        if api not in APIS and api != ORDERS:
            names = ", ".join((*APIS, ORDERS))
            raise ConfigurationError(f"unknown API {api!r}; the names are {names}")
        if isinstance(value, tuple):
            header = basic_authorization(*value)
        else:
            header = authorization(value, "Basic")
        (groups if api == ORDERS else found)[api] = {"Authorization": header}
    if ORDERS in groups:
        found = dict.fromkeys(ORDER_APIS, groups[ORDERS]) | found
    return found
