"""Ray Data: a data set is pushed by ``ds.write_datasink(KaptureDatasink(...))``. Extra ``ray``."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ._partitions import PartitionPush, added_up, in_words

try:
    from ray.data import Datasink  # pyright: ignore[reportMissingImports]
    from ray.data.block import BlockAccessor  # pyright: ignore[reportMissingImports]
except ImportError as _error:
    _words = "this needs Ray Data (the extra ray): pip install 'ray[data]'"
    raise ImportError(_words) from _error

_logger = logging.getLogger("kapture_async.push")


class KaptureDatasink(Datasink[dict[str, int]]):
    """A place to write tickets to.

    ::

        sink = KaptureDatasink(
            journal="postgresql://db.internal/pushes?job=2026-12",
            key="id",
            map={"title": "subject"},
        )
        ds.write_datasink(sink, concurrency=4)
        print(sink.counts)

    Ray runs the tasks of a lost worker again: the journal, which all workers share, sees to it
    that no row becomes two tickets. A row that is refused, or in doubt, fails no task:
    ``kapture-async status`` and ``reconcile`` take the same address. A task fails if its push
    stops early (credentials refused, nothing answers, no database); write again then.

    The workers' environment holds what the client needs (``KAPTURE_SUBDOMAIN`` or
    ``KAPTURE_BASE_URL``, ``KAPTURE_TOKEN``) and the database's password (``PGPASSWORD``).

    Args:
        journal: address of a journal in PostgreSQL, with the name of the job.
        key: the column that identifies a row.
        map: which column is sent as which field; without it every column must have the name of a
            documented field.
        max_concurrency, max_rate: of one task.
        timeout: the most seconds of one call.
        allow_http: as for the client.

    Attributes:
        counts: after the write, how many rows by outcome; ``None`` before.

    Raises:
        ConfigurationError: the journal is no address, or the key is missing.
    """

    def __init__(
        self,
        *,
        journal: str,
        key: str,
        map: Mapping[str, str] | None = None,
        max_concurrency: int | None = None,
        max_rate: float | None = None,
        timeout: float = 60.0,
        allow_http: bool = False,
    ) -> None:
        self._push = PartitionPush(
            journal=journal,
            key=key,
            map=map,
            max_concurrency=max_concurrency,
            max_rate=max_rate,
            timeout=timeout,
            allow_http=allow_http,
        )
        self.counts: dict[str, int] | None = None

    def write(self, blocks: Iterable[Any], ctx: Any) -> dict[str, int]:
        """Push the rows of one task."""
        return self._push.run(BlockAccessor.for_block(block).to_arrow() for block in blocks)

    def on_write_complete(self, write_result: Any) -> None:
        """Add up what the tasks report."""
        self.counts = added_up(write_result.write_returns)
        _logger.warning("all tasks ended. %s", in_words(self.counts, self._push.journal))

    def on_write_failed(self, error: Exception) -> None:
        """Say what a failed write leaves."""
        _logger.warning("the write failed; what was sent stays sent, and is in the journal")
