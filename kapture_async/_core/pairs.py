"""Query strings and the fields of forms, in parts: names and texts, in their order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from .errors import InvalidInputError
from .given import given
from .requestor import Payload

LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""What stands in a text that is not valid Unicode, such as a file name that is no UTF-8."""


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
        InvalidInputError: it is no mapping, or a value is neither text nor a number.
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
