"""Which proxy a service's address is reached through: a setting, or the proxy variables."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ..secret import Secret
from .urls import BaseUrl, parse_base_url

_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_proxy(proxy: str | Secret | None) -> Secret | None:
    """A proxy setting: ``None``, the word ``"env"``, or a proxy's URL (which may hold a password).

    Raises:
        ConfigurationError: it is neither. The value is not shown.
    """
    if proxy is None:
        return None
    proxy = Secret.wrap(proxy, what="proxy")
    if proxy.reveal() != "env" and not _is_proxy(proxy):
        raise ConfigurationError('proxy must be "env" or a URL such as http://host:port')
    return proxy


def _is_proxy(proxy: Secret) -> bool:
    scheme, separator, rest = proxy.reveal().partition("://")
    if not separator or scheme.lower() not in _DEFAULT_PORTS:
        return False
    try:
        parse_base_url(f"{scheme}://{rest.rpartition('@')[2]}", allow_http=True)
    except ConfigurationError:
        return False
    return True


def proxy_url(proxy: Secret | None, base_url: BaseUrl) -> str | None:
    """The proxy for the service's address. Never consults a ``.netrc``.

    Raises:
        ConfigurationError: the environment names a proxy that is none, or of a kind that is not
            supported.
    """
    if proxy is None or proxy.reveal() != "env":
        return None if proxy is None else proxy.reveal()
    variable, found = env_proxy(base_url)
    if found is None:
        return None
    if "://" not in found.reveal():
        found = Secret(f"http://{found.reveal()}")
    scheme = found.reveal().partition("://")[0].lower()
    if scheme not in _DEFAULT_PORTS:
        raise ConfigurationError(
            f"{variable} names a proxy that is neither http nor https",
            next_step="Name one that is with proxy=, or leave proxy= out.",
        )
    if not _is_proxy(found):
        raise ConfigurationError(
            f"{variable} is not the URL of a proxy (value not shown)",
            next_step="It must look like http://host:port.",
        )
    return f"{scheme}://{found.reveal().partition('://')[2]}"


def env_proxy(base_url: BaseUrl) -> tuple[str, Secret | None]:
    """The proxy variable that counts for an address, and what it says; ``None`` for no proxy.

    ``https_proxy`` or ``http_proxy`` by the scheme of the address, else ``all_proxy``; each in
    lower case first, also an empty one, then in upper case. In a CGI script
    ``HTTP_PROXY`` comes from a request's header, so it is not read there.
    """
    scheme = urlsplit(base_url.origin).scheme
    if _is_excepted(base_url, _variable("no_proxy")[1]):
        return "", None
    for name in (f"{scheme}_proxy", "all_proxy"):
        variable, text = _variable(name)
        if text:
            return variable, Secret(text)
    return "", None


def _variable(name: str) -> tuple[str, str]:
    found = {key: value.strip() for key, value in os.environ.items() if key.lower() == name}
    if name == "http_proxy" and "REQUEST_METHOD" in os.environ:
        found = {key: value for key, value in found.items() if key == name}
    if not found:
        return "", ""
    variable = name if name in found else next(iter(found))
    return variable, found[variable]


def _is_excepted(base_url: BaseUrl, no_proxy: str) -> bool:
    """Whether ``NO_PROXY`` names the address: commas or blanks between hosts (with all below
    them), ``.domain``, ``*.domain``, addresses, networks (``10.0.0.0/8``), each with a port or
    without; ``*`` for all.
    """
    parts = urlsplit(base_url.origin)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return any(_names(entry, host, port) for entry in no_proxy.lower().replace(",", " ").split())


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    entry = entry.partition("://")[2] or entry
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            pass  # with a port, or a name
    name, colon, digits = entry.rpartition(":")
    if colon and digits.isdecimal() and (":" not in name or name.startswith("[")):
        if int(digits) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").lstrip(".").rstrip(".")
    if address is not None:
        return _address(entry) == address
    return bool(entry) and (host == entry or host.endswith(f".{entry}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
