"""Values that must never be seen: tokens, passwords, keys.

A :class:`Secret` shows stars wherever Python might print it, so that neither a log line, a
repr, nor a traceback with local variables gives it away.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from typing import Any, NoReturn, overload

from .errors import ConfigurationError

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BEYOND_LATIN_1 = re.compile(r"[^\x00-\xff]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Secret:
    """A text that is only given out by :meth:`reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise ConfigurationError(
                f"a token, password or header value is text, not {type(value).__name__}"
            )
        self._value = value

    @overload
    @classmethod
    def wrap(cls, value: str | Secret, what: str = ...) -> Secret: ...
    @overload
    @classmethod
    def wrap(cls, value: None, what: str = ...) -> None: ...
    @classmethod
    def wrap(
        cls, value: str | Secret | None, what: str = "a token, password or header value"
    ) -> Secret | None:
        """Wrap a text; what is wrapped already, or ``None``, comes back as it is.

        Args:
            value: the text.
            what: what it is, for the error.

        Raises:
            ConfigurationError: it is not text.
        """
        if value is None or isinstance(value, Secret):
            return value
        if not isinstance(value, str):
            raise ConfigurationError(f"{what} must be text, not {type(value).__name__}")
        return cls(value)

    def reveal(self) -> str:
        """Give out the text itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def check_header(name: str, value: Secret, *, what: str | None = None) -> None:
    """Refuse a header that could smuggle in another one.

    Raises:
        ConfigurationError: the name is not a header name, or the value holds a line break,
            another control character or text outside Latin-1. The value is not shown.
    """
    if not _HEADER_NAME.fullmatch(name):
        raise ConfigurationError(f"{name[:40]!r} is not a valid header name")
    label = what or f"the value of header {name!r}"
    # No variable here holds the text: a traceback may show variables.
    if _CONTROL.search(value.reveal()):
        raise ConfigurationError(
            f"{label} holds a line break or another control character (value not shown)",
            next_step="Strip it: a token read from a file often ends with a line break.",
        )
    if _BEYOND_LATIN_1.search(value.reveal()):
        raise ConfigurationError(
            f"{label} holds characters that no HTTP header can carry (value not shown)"
        )


def mask(text: str, secrets: Iterable[Secret]) -> str:
    """Replace every secret of four or more characters in ``text`` by stars."""
    for secret in secrets:
        value = secret.reveal()
        if len(value) >= 4:
            text = text.replace(value, "***")
    return text
