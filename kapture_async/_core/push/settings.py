"""What every resource's push has in common: its journal, if it has one, and its settings."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ..arguments import check_callable, check_flag, check_path_like
from ..errors import InvalidInputError
from ..requestor import ApiRequestor
from .echoes import AnswerRule
from .events import PushObserver
from .journaling import JournalBridge, KeyRules, RowCodec
from .push import Push
from .reconcile import longest_call
from .restored import Ways
from .rows import Source

R = TypeVar("R")


def bulk_push(
    caller: ApiRequestor,
    source: Source[Any],
    send: Callable[[Any], Awaitable[R]],
    *,
    operation: str,
    records: Callable[[float | None], RowCodec[Any]],
    journal: str | os.PathLike[str] | None,
    from_journal: bool,
    key: Callable[[Any], str] | None,
    max_concurrency: int | None,
    max_rate: float | None,
    patience: float,
    give_up_after: int | None,
    keep_going: bool,
    on_event: PushObserver | None,
    rule: AnswerRule | None = None,
    ways: Ways | None = None,
    restored: bool = False,
    new_journal: bool = False,
    keys_exact: bool = False,
    new_keys: bool = False,
) -> Push[R]:
    """A push of one operation, not yet running.

    Args:
        caller: whose service, connections, time and retries it uses.
        source: the rows.
        send: sends one row, once.
        operation: its name.
        records: how rows stand in a journal, given the seconds that a call may take.
        journal, from_journal, key, max_concurrency, max_rate, patience, give_up_after,
            keep_going, on_event, keys_exact, new_keys: as the resources have them.
        rule: what the answers repeat of their rows, if they repeat anything.
        ways: how rows are looked up, if an older copy of the journal must; ``None`` if they
            cannot be.
        restored, new_journal: as the resources have them.

    Raises:
        InvalidInputError: the source is no iterable, or a setting is out of range.
    """
    check_callable("key", key)
    for name, value in (
        ("from_journal", from_journal),
        ("restored", restored),
        ("new_journal", new_journal),
        ("keys_exact", keys_exact),
        ("new_keys", new_keys),
    ):
        check_flag(name, value)
    settings = caller.transport.settings
    recorder = None
    if journal is not None:
        check_path_like("journal", journal)
        recorder = JournalBridge(
            journal,
            records(longest_call(caller.options.timeout.total)),
            KeyRules(exact=keys_exact, new=new_keys),
            ways=ways,
            restored=restored,
            new_journal=new_journal,
        )
    elif from_journal or restored or new_journal:
        name = "from_journal" if from_journal else "restored" if restored else "new_journal"
        raise InvalidInputError(f"{name} needs a journal")
    return Push(
        source,
        send,
        service=settings.service,
        operation=operation,
        retry=caller.options.retry,
        key=key,
        max_concurrency=settings.max_connections if max_concurrency is None else max_concurrency,
        max_rate=max_rate,
        patience=patience,
        give_up_after=give_up_after,
        keep_going=keep_going,
        on_event=on_event,
        recorder=recorder,
        held=from_journal,
        rule=rule,
        drop_connections=caller.transport.drop_connections,
    )
