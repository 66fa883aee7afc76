"""Spark 4: a data frame is pushed by ``df.write.format("kapture")``. Extra ``spark``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._partitions import PartitionPush, added_up, in_words

try:
    from pyspark.sql.datasource import (  # pyright: ignore[reportMissingImports]
        DataSource,
        DataSourceArrowWriter,
        WriterCommitMessage,
    )
except ImportError as _error:
    _words = "this needs Spark 4 (the extra spark): pip install 'pyspark>=4.0' pyarrow"
    raise ImportError(_words) from _error

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyspark.sql.types import StructType  # pyright: ignore[reportMissingImports]

_logger = logging.getLogger("kapture_async.push")


class KaptureDataSource(DataSource):
    """A place to write tickets to.

    ::

        spark.dataSource.register(KaptureDataSource)
        (
            df.write.format("kapture")
            .option("journal", "postgresql://db.internal/pushes?job=2026-12")
            .option("key", "id")
            .option("map", '{"title": "subject", "ticket_details": "body"}')
            .mode("append")
            .save()
        )

    Each task pushes its partition. Spark runs tasks again, and sometimes twice at once: the
    journal, which all executors share, sees to it that no row becomes two tickets. A row that is
    refused, or in doubt, fails no task: ``kapture-async status`` and ``reconcile`` take the same
    address. A task fails if its push stops early (credentials refused, nothing answers, no
    database); run the job again then.

    The executors' environment holds what the client needs (``KAPTURE_SUBDOMAIN`` or
    ``KAPTURE_BASE_URL``, ``KAPTURE_TOKEN``) and the database's password (``PGPASSWORD``).

    Options: ``journal`` and ``key``, which are needed; ``map``; ``max_concurrency`` and
    ``max_rate`` of one task; ``timeout``, the seconds of one call; ``allow_http``.
    """

    @classmethod
    def name(cls) -> str:
        """What ``format()`` calls it: ``kapture``."""
        return "kapture"

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceArrowWriter:
        """The writer of one ``save()``.

        Raises:
            ConfigurationError: an option is missing or wrong, or the mode is not ``append``.
        """
        from ._core.errors import ConfigurationError

        if overwrite:
            raise ConfigurationError("tickets can only be added", next_step='Use mode("append").')
        return _Writer(PartitionPush.of_options(dict(self.options)))


class _Counts(WriterCommitMessage):
    def __init__(self, counts: dict[str, int]) -> None:
        self.counts = counts


class _Writer(DataSourceArrowWriter):
    def __init__(self, push: PartitionPush) -> None:
        self._push = push

    def write(self, iterator: Iterator[RecordBatch]) -> WriterCommitMessage:
        return _Counts(self._push.run(iterator))

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        _logger.warning("all tasks ended. %s", self._words(messages))

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        _logger.warning("a task failed; what was sent stays sent. %s", self._words(messages))

    def _words(self, messages: Any) -> str:
        counts = added_up(one.counts for one in messages if isinstance(one, _Counts))
        return in_words(counts, self._push.journal)
