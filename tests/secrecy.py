"""What the secrecy tests of both clients share: all that could be shown, and is it clean?"""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Iterable

from kapture_async import HelpdeskError


def every_word_of(error: BaseException, *, variables: bool = False) -> str:
    """All that a careless logger could show of an exception.

    With ``variables``, also the local variables of the library's frames, as an error tracker may
    be set to show them: they may hold the caller's data, but no credential of the client.
    """
    seen: list[str] = []
    todo: list[BaseException | None] = [error]
    done: set[int] = set()
    while todo:
        current = todo.pop()
        if current is None or id(current) in done:
            continue
        done.add(id(current))
        told = traceback.TracebackException.from_exception(current, capture_locals=variables)
        # A test's own frames hold the canaries on purpose.
        for frame in told.stack:
            if "/tests/" in frame.filename.replace("\\", "/"):
                frame.locals = None
        seen += [repr(current), str(current), *told.format(chain=False)]
        seen += [repr(value) for value in vars(current).values()]
        todo += [current.__cause__, current.__context__]
        if isinstance(current, HelpdeskError):
            seen.append(repr(pickle.dumps(current)))
            seen.append(repr(vars(pickle.loads(pickle.dumps(current)))))
            seen.append(str(copy.copy(current)))
    return "\n".join(seen)


def assert_clean(text: str, canaries: Iterable[str]) -> None:
    """No canary stands in the text."""
    assert not [canary for canary in canaries if canary in text], text
