"""How the rows of a push are encoded in its journal, and which rows cannot be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import orjson
from attrs import field, frozen

from ..errors import InvalidInputError
from ..journal.records import LATER, Job
from .rows import InFlightRow, Row

V = TypeVar("V")

LONGEST_KEY = 2000
"""Bytes, in a shared journal: the limit of its index."""


@frozen(kw_only=True)
class RowCodec(Generic[V]):
    """How the rows of one operation are encoded in a journal.

    Attributes:
        job: what the journal is for.
        ready: a row as what is sent; raises ``InvalidInputError``.
        pack: that as bytes, the same for the same content.
        unpack: the bytes as what is sent.
        mark: what is sent, with a reference in it.
    """

    job: Job
    ready: Callable[[Any], V]
    pack: Callable[[V], bytes]
    unpack: Callable[[bytes], V]
    mark: Callable[[V, str], V]


@frozen
class SourceFile:
    """What a journal records of the file that its rows come from; see :class:`.Job`.

    Attributes:
        keys: what identifies the rows.
        shape: which columns go where.
        saved: the options of the push, as text.
        again: class names of refusals after which a row may be sent once more as it is.
        same: according to the journal, its rows came from this very file.
    """

    keys: str | None = None
    shape: str | None = field(default=None, repr=False)
    saved: str | None = field(default=None, repr=False)
    again: frozenset[str] = LATER
    same: bool = False


def plain_key(key: Any) -> str:
    """A key as plain ``str``; a subclass could compare differently and so name two rows."""
    if not isinstance(key, str):
        raise InvalidInputError(f"its key must be text, not {type(key).__name__}")
    return str.__str__(key)


def check_shared(key: str | None) -> None:
    """Refuse a key by which several processes could not identify a row.

    Raises:
        InvalidInputError: there is no key, or a very long one.
    """
    if key is None:
        raise InvalidInputError(
            "it has no key, and this journal is shared: equal contents cannot be counted across "
            "processes",
            next_step="Give each row a key: key=... (--key COLUMN on the command line).",
        )
    if len(key) > LONGEST_KEY or len(key.encode()) > LONGEST_KEY:
        raise InvalidInputError(f"its key is longer than {LONGEST_KEY:,} bytes")


def problem_of(error: Exception) -> InvalidInputError:
    """Why a row cannot be sent; without the traceback, which would keep the row alive."""
    if isinstance(error, InvalidInputError):
        return error.with_traceback(None)
    # A type with a bug, or a structure that contains itself.
    return InvalidInputError(f"the data cannot be encoded ({type(error).__name__})")


def rest_of(row: InFlightRow[Any]) -> bytes | None:
    """What could be read of a row that cannot be sent, if that can be encoded."""
    content = row.row.content if isinstance(row.row, Row) else None
    if content is None and isinstance(row.value, Mapping):
        content = dict(row.value)
    if not content:
        return None
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):
        return None
