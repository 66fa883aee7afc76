"""The settings of a push, checked when they are made, before anything is opened or sent."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from attrs import frozen

from ..arguments import check_callable, check_flag, check_path_like, check_seconds
from ..errors import InvalidInputError
from .events import PushObserver


@frozen(kw_only=True)
class PushSettings:
    """What the caller of a push decides; the resources document each setting.

    ``keys`` names what identifies rows, for the journal; ``"key"`` where ``key`` is a function.

    Raises:
        InvalidInputError: a setting is of a wrong type, out of range, or needs a journal.
    """

    journal: str | os.PathLike[str] | None = None
    keys: str | None = None
    payloads: bool = True
    from_journal: bool = False
    restored: bool = False
    new_journal: bool = False
    keys_exact: bool = False
    new_keys: bool = False
    key: Callable[[Any], str] | None = None
    max_concurrency: int | None = None
    max_rate: float | None = None
    patience: float = 300.0
    give_up_after: int | None = 100
    keep_going: bool = False
    on_event: PushObserver | None = None

    def __attrs_post_init__(self) -> None:
        check_callable("key", self.key)
        check_callable("on_event", self.on_event)
        check_seconds("patience", self.patience)
        for name in ("payloads", "keys_exact", "new_keys", "keep_going", *_NEED_A_JOURNAL):
            check_flag(name, getattr(self, name))
        most, rate = self.max_concurrency, self.max_rate
        if most is not None and (type(most) is not int or not 1 <= most <= 10_000):
            raise InvalidInputError("max_concurrency must be a whole number from 1 to 10,000")
        if rate is not None and (
            isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < math.inf
        ):
            raise InvalidInputError("max_rate must be more than 0 requests per second")
        failures = self.give_up_after
        if failures is not None and (type(failures) is not int or failures < 1):
            raise InvalidInputError("give_up_after must be 1 or more, or None for never")
        if self.journal is not None:
            check_path_like("journal", self.journal)
            return
        for name in _NEED_A_JOURNAL:
            if getattr(self, name):
                raise InvalidInputError(f"{name} needs a journal")


_NEED_A_JOURNAL = ("from_journal", "restored", "new_journal")
