"""Where requests may go: base URLs, subdomains, ids inside paths, proxies.

A wrong address hands credentials to a stranger, so these rules are strict, and no message
repeats a value that could hold a secret.
"""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import SplitResult, quote, urlsplit

from attrs import frozen

from ..errors import ConfigurationError, InvalidInputError
from ..secret import Secret

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_HOST = re.compile(rf"(?:{_LABEL.pattern}\.)*{_LABEL.pattern}", re.ASCII)
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*", re.ASCII)


@frozen
class BaseUrl:
    """A checked base URL: ``origin`` (scheme, host, port) and ``prefix`` (path, no end slash)."""

    origin: str
    prefix: str = ""

    def __str__(self) -> str:
        return self.origin + self.prefix

    def join(self, path: str) -> str:
        """The absolute URL of a path that starts with a slash."""
        return self.origin + self.prefix + path


def parse_base_url(text: str, *, allow_http: bool = False) -> BaseUrl:
    """Check a base URL.

    Args:
        text: ``https://host[:port][/prefix]``; plain http only for loopback addresses.
        allow_http: take plain http for any host.

    Raises:
        ConfigurationError: it is not such a URL. Parts that could hold a secret are not shown.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"base_url must be text, not {type(text).__name__}")
    text = text.strip()
    if _NOT_IN_URL.search(text):
        raise ConfigurationError("the base URL must not hold blanks or control characters")
    parts, port = _split(text)
    if parts is None:  # raised here, as the error of the parser quotes the text
        raise ConfigurationError("the base URL is not a valid URL")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise ConfigurationError(
            "the base URL must not hold a user name or password",
            next_step="Pass username= and password= (or token=) instead.",
        )
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in ("https", "http") or not host:
        raise ConfigurationError(
            "the base URL must look like https://host[:port][/path], with scheme and host"
        )
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ConfigurationError("the base URL must not hold a query or a fragment")
    literal = _ip(host)
    if literal is None:
        host = _ascii_host(host)
    if scheme == "http" and not allow_http and not _is_loopback(host, literal):
        raise ConfigurationError(
            "plain http to another machine would send credentials in clear text",
            next_step="Use https, or pass allow_http=True if the network in between is trusted.",
        )
    prefix = parts.path.rstrip("/")
    if not _PATH.fullmatch(prefix) or any(p in (".", "..") for p in prefix.split("/")):
        raise ConfigurationError("the path of the base URL is not a plain path")
    shown = f"[{host}]" if isinstance(literal, ipaddress.IPv6Address) else host
    return BaseUrl(f"{scheme}://{shown}" + (f":{port}" if port is not None else ""), prefix)


def check_subdomain(text: str) -> str:
    """Check a tenant's subdomain: one DNS label, in lower case.

    Raises:
        ConfigurationError: it is anything else (a dot, a slash, a whole URL, ...).
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"the subdomain must be text, not {type(text).__name__}")
    label = text.strip().lower()
    if not _LABEL.fullmatch(label):  # not shown: a whole address may hold a password
        raise ConfigurationError(
            "the subdomain must be one label of letters, digits and hyphens",
            next_step="For any other host pass the whole address as base_url=.",
        )
    return label


def fill_path(template: str, **ids: str) -> str:
    """Put ids into a path template, percent-encoded.

    Raises:
        InvalidInputError: an id is empty, ``.`` or ``..``, which would change the path.
    """
    encoded = {}
    for name, value in ids.items():
        if value in ("", ".", ".."):
            raise InvalidInputError(f"{name} {value!r} cannot stand in a path")
        encoded[name] = quote(value, safe="")
    return template.format_map(encoded)


def check_path(path: str) -> str:
    """Check a path given by a caller: absolute, no host, no dot segments, no query.

    Raises:
        InvalidInputError: it is anything else.
    """
    if not isinstance(path, str):
        raise InvalidInputError(f"path must be text, not {type(path).__name__}")
    if not path.startswith("/") or path.startswith("//") or not _PATH.fullmatch(path):
        raise InvalidInputError(
            f"{path[:80]!r} is not a path such as '/some-endpoint.html' "
            "(no host, no query, reserved characters percent-encoded)",
            next_step="Give what stands behind the question mark as query=."
            if "?" in path
            else None,
        )
    if any(part in (".", "..") for part in path.replace("%2e", ".").replace("%2E", ".").split("/")):
        raise InvalidInputError("a path must not hold '.' or '..'")
    return path


def origin_of(location: str) -> str:
    """The origin of a redirect's target, for a message; ``the same origin`` if it has none."""
    try:
        parts = urlsplit(location)
        if not parts.hostname:
            return "the same origin"
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return "an unreadable address"
    host = parts.hostname if _HOST.fullmatch(parts.hostname) or _ip(parts.hostname) else "?"
    return f"{parts.scheme or 'https'}://{host}{port}"


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str, literal: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    return literal.is_loopback if literal is not None else host == "localhost"


def _split(text: str) -> tuple[SplitResult | None, int | None]:
    try:
        parts = urlsplit(text)
        return parts, parts.port
    except ValueError:
        return None, None


def _ascii_host(host: str) -> str:
    """A host in ASCII, by IDNA 2008: Python's own codec takes ``faß.de`` for ``fass.de``."""
    host = host.removesuffix(".")
    if not host.isascii() or "xn--" in host:
        import idna  # yarl brings it along

        try:
            host = idna.encode(host, uts46=True, transitional=False).decode("ascii").lower()
        except (UnicodeError, IndexError):  # IDNAError is a UnicodeError
            host = ""
    if not _HOST.fullmatch(host) or len(host) > 253:
        raise ConfigurationError("the host of the base URL is not a valid host name")
    return host


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
        ConfigurationError: the environment names an invalid proxy, or one of a kind that is not
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
