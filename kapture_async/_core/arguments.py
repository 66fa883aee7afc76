"""Arguments of a wrong type are refused by name, with our own error, before anything is sent."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

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
    """Whether it is one of these texts; an array, say, is none and has no ``==`` of its own."""
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
