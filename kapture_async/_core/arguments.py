"""What callers pass in: rejected by name if its type is wrong, and normalised.

Tables bring ``NaN``, ``NaT``, ``pandas.NA`` and masked cells for missing values, numpy scalars
for numbers, and subclasses of ``str`` for texts. They are recognised by their types' names; no
library is imported for them.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from .errors import ConfigurationError, InvalidInputError

Refusal = type[ConfigurationError] | type[InvalidInputError]


def check_mapping(name: str, value: Any, cls: Refusal = InvalidInputError) -> None:
    """``None`` or a mapping with text keys.

    Raises:
        ConfigurationError, InvalidInputError: it is something else; as for all checks here. Its
            value is not shown.
    """
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise _refusal(cls, name, f"must be a mapping, not {type(value).__name__}")
    if not all(isinstance(key, str) for key in value):
        raise _refusal(cls, name, "must have text keys")


def check_text(
    name: str, value: Any, cls: Refusal = InvalidInputError, *, optional: bool = True
) -> None:
    """``None``, where it may be left out, or text."""
    if not (isinstance(value, str) or (optional and value is None)):
        raise _refusal(cls, name, f"must be text, not {type(value).__name__}")


def check_words(**given: Any) -> None:
    """Each ``None``, text or a number."""
    for name, value in given.items():
        fits = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        if value is not None and not fits:
            words = f"must be text or a number, not {type(value).__name__}"
            raise _refusal(InvalidInputError, name, words)


def check_flag(name: str, value: Any, cls: Refusal = InvalidInputError) -> None:
    """``True`` or ``False``."""
    if not isinstance(value, bool):
        raise _refusal(cls, name, f"must be True or False, not {type(value).__name__}")


def is_one_of(value: Any, *words: str) -> bool:
    """Whether it is one of these texts. (An array, say, compares element by element.)"""
    return isinstance(value, str) and value in words


def check_whole(name: str, value: Any, least: int, cls: Refusal = InvalidInputError) -> None:
    """A whole number."""
    if type(value) is not int or value < least:
        raise _refusal(cls, name, f"must be a whole number of {least} or more")


def check_seconds(
    name: str, value: Any, cls: Refusal = InvalidInputError, *, least: float = 0
) -> None:
    """A finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _refusal(cls, name, f"must be a number of seconds, not {type(value).__name__}")
    if not (value >= least and math.isfinite(value)):
        raise _refusal(cls, name, f"must be {least:g} seconds or more")


def check_callable(name: str, value: Any, cls: Refusal = InvalidInputError) -> None:
    """``None`` or a function."""
    if value is not None and not callable(value):
        raise _refusal(cls, name, f"must be a function, not {type(value).__name__}")


def check_path_like(name: str, value: Any) -> None:
    """A path: text or an ``os.PathLike`` of text, not empty."""
    text: Any = None
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
    if not isinstance(text, str):
        raise _refusal(InvalidInputError, name, f"must be a path, not {type(value).__name__}")
    if not text or "\0" in text:
        raise _refusal(InvalidInputError, name, "must be a path that is not empty")


def _refusal(cls: Refusal, name: str, words: str) -> ConfigurationError | InvalidInputError:
    return cls(f"{name} {words}", fields={name: (words,)})


_AS_IT_IS = frozenset({str, int, bool, bytes, dict, list, tuple, date, datetime})
_NOTHING = frozenset({"NAType", "NaTType", "MaskedConstant", "NullScalar"})
"""Types of pandas, numpy and pyarrow that stand for a missing value."""


def given(value: Any) -> Any:
    """The plain value: ``None`` for any kind of "missing", a plain ``str`` for any text."""
    kind = value.__class__
    if kind in _AS_IT_IS or value is None:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Enum):
        return str.__str__(value.value) if isinstance(value.value, str) else value
    if is_missing(value):
        return None
    if isinstance(value, float):
        return float(value)
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return value


def members(value: Mapping[Any, Any]) -> dict[Any, Any]:
    """The members of an object as plain values, without missing ones.

    What is inside of them is left to :func:`tidied`, when it is encoded.
    """
    found = {}
    for name in value:
        inner = value[name]
        new = given(inner)
        if new is not None or inner is None:
            found[given(name)] = new
    return found


def is_missing(value: Any) -> bool:
    """Whether a value stands for a missing one."""
    kind = type(value)
    if kind.__name__ in _NOTHING:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    try:
        if isinstance(value, date):
            return kind not in _AS_IT_IS and str(value.isoformat()) == "NaT"
        if isinstance(value, float) or kind.__module__ == "numpy":
            return bool(value != value)
    except Exception:  # an array, or an object with a mind of its own
        return False
    return False


def tidied(value: Any) -> Any:
    """A structure with plain values only; the same object if it has no others.

    Missing members of an object are left out; in a list they are ``None``.
    """
    kind = value.__class__
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is dict:
        for name, inner in value.items():
            if name.__class__ is not str or (
                inner.__class__ is not str and tidied(inner) is not inner
            ):
                return _tidied_object(value)
        return value
    if isinstance(value, dict):
        return _tidied_object(value)
    if kind is list or kind is tuple:
        for item in value:
            if tidied(item) is not item:
                return [tidied(one) for one in value]
        return value
    return given(value)


def _tidied_object(value: dict[Any, Any]) -> dict[Any, Any]:
    found = {}
    same = True
    for name, inner in value.items():
        new = tidied(inner)
        if new is None and inner is not None:
            same = False
            continue
        key = name if name.__class__ is str else given(name)
        same = same and new is inner and key is name
        found[key] = new
    return value if same else found


LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""In a text that is not valid Unicode, such as a file name that is not UTF-8."""


class Payload(dict[str, Any]):
    """Data on its way out, whose repr shows no value: a traceback may show any variable."""

    def __repr__(self) -> str:
        return f"<Payload with {', '.join(self)}>"


class Query(tuple[tuple[str, str], ...]):
    """A query string in parts, whose repr shows no value: a traceback may show any variable."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Query with {', '.join(name for name, _ in self)}>"


_NO_UNICODE = "holds text that is not valid Unicode"


def query_of(**fields: Any) -> Query:
    """A query string of what was given.

    Raises:
        InvalidInputError: a text is not valid Unicode.
    """
    plain = ((name, given(value)) for name, value in fields.items())
    query = Payload((name, str(value)) for name, value in plain if value is not None)
    for name in query:
        if LONE_SURROGATE.search(query[name]):
            raise InvalidInputError(f"{name} {_NO_UNICODE}", fields={name: (_NO_UNICODE,)})
    return Query(query.items())


def pairs_of(where: str, fields: Mapping[str, Any]) -> Query:
    """Fields of any names, in parts: a list is the same field several times.

    Raises:
        InvalidInputError: it is not a mapping, or a value is neither text nor a number.
    """
    if not isinstance(fields, Mapping):
        raise InvalidInputError(f"{where} must be a mapping, not {type(fields).__name__}")
    pairs: list[tuple[str, str]] = []
    for name in fields:
        value = fields[name]
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if (one := given(one)) is None:
                continue
            if isinstance(one, bool) or not isinstance(one, (str, int, float)):
                raise _refused(where, name, f"must be text or a number, not {type(one).__name__}")
            text = str(one)
            if LONE_SURROGATE.search(text):
                raise _refused(where, name, _NO_UNICODE)
            pairs.append((name, text))
    return Query(pairs)


def _refused(where: str, name: str, words: str) -> InvalidInputError:
    return InvalidInputError(f"{where}: {name} {words}", fields={name: (words,)})
