"""What callers hand over, as it is meant: "no value" in any library's words, and texts as texts.

Tables bring ``NaN``, ``NaT``, ``pandas.NA`` and masked cells for what is not there, numpy scalars
for numbers, and subclasses of ``str`` for texts: ``numpy.str_``, a template's safe string, a member
of an enumeration. They are told by what they are like; no library is imported for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

_AS_IT_IS = frozenset({str, int, bool, bytes, dict, list, tuple, date, datetime})
_NOTHING = frozenset({"NAType", "NaTType", "MaskedConstant", "NullScalar"})
"""Types of pandas, numpy and pyarrow whose every value is "not there"."""


def given(value: Any) -> Any:
    """A value as it is meant: ``None`` if it says "not there", a plain ``str`` if it is a text."""
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
    """The members of an object as they are meant, without those that say "not there".

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
    """Whether a value says that there is none."""
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
    """A structure with everything in it as it is meant; the same object if it is so already.

    Members of an object that say "not there" are left out; in a list they are ``None``.
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
