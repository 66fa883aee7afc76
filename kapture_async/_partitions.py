"""One partition of a distributed job: what Spark and Ray do with the rows they hand out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from attrs import field, frozen

from ._core.errors import ConfigurationError, InvalidInputError
from ._core.journal.address import Address, is_address

_SECRET = ("token", "password", "username", "credentials", "headers", "proxy")


@frozen(kw_only=True)
class PartitionPush:
    """How every partition of a job is pushed. Holds no credential, so it may be pickled and shown.

    The client is made from the environment of the worker (see :meth:`KaptureClient.from_env`), so
    that credentials never travel in a plan.

    Attributes:
        journal: address of a journal in PostgreSQL, which all workers reach; the password comes
            from their environment (``PGPASSWORD``, a service file).
        key: the column that names a row. A task that is run again, or twice at once, is told by
            it which rows are in the helpdesk already.
        map: which column is sent as which field.
        max_concurrency: requests in flight, of one worker.
        max_rate: requests per second, of one worker.
        timeout: the most seconds of one call. The rows that a worker had under way when it died can
            be looked up that much later, and a quarter of a minute.
        allow_http: as for the client.
    """

    journal: str = field(repr=False)  # it may hold a password
    key: str
    map: Mapping[str, str] | None = None
    max_concurrency: int | None = None
    max_rate: float | None = None
    timeout: float = 60.0
    allow_http: bool = False

    def __attrs_post_init__(self) -> None:
        if not is_address(self.journal):
            raise ConfigurationError(
                "journal must be the address of a database that all workers reach",
                next_step='Give "postgresql://host/database?job=NAME". A file is of no use here: '
                "each worker would have its own.",
            )
        if not self.key:
            raise ConfigurationError(
                "key is missing: without it a task that is run again would send its rows twice",
                next_step="Name the column that identifies a row.",
            )

    @classmethod
    def of_options(cls, options: Mapping[str, str]) -> PartitionPush:
        """From options that are all text, in any letter case.

        Raises:
            ConfigurationError: one is missing, unknown, or holds a credential.
        """
        known = {name: value for name, value in options.items() if name != "path"}
        for name in known:
            if name.lower() in _SECRET:
                raise ConfigurationError(
                    f"{name} must not be an option: plans and logs show options",
                    next_step="Set KAPTURE_TOKEN in the environment of the executors.",
                )
        given = {name.lower().replace("_", ""): value for name, value in known.items()}
        settings: dict[str, Any] = {}
        try:
            settings["journal"] = given.pop("journal", "")
            settings["key"] = given.pop("key", "")
            if "map" in given:
                settings["map"] = _mapping(given.pop("map"))
            if "maxconcurrency" in given:
                settings["max_concurrency"] = int(given.pop("maxconcurrency"))
            if "maxrate" in given:
                settings["max_rate"] = float(given.pop("maxrate"))
            if "timeout" in given:
                settings["timeout"] = float(given.pop("timeout"))
            settings["allow_http"] = given.pop("allowhttp", "false").lower() == "true"
        except ValueError as error:
            raise ConfigurationError(f"an option cannot be read: {error}") from None
        if is_address(settings["journal"]) and Address.of(settings["journal"]).password:
            raise ConfigurationError(
                "the journal's address must not hold a password: plans and logs show options",
                next_step="Set PGPASSWORD in the environment of the executors.",
            )
        if given:
            raise ConfigurationError(
                f"there is no option {', '.join(sorted(given))}",
                next_step="Known are journal, key, map, max_concurrency, max_rate, timeout and "
                "allow_http.",
            )
        return cls(**settings)

    def run(self, batches: Iterable[Any]) -> dict[str, int]:
        """Push the rows of one partition.

        Args:
            batches: ``pyarrow.RecordBatch`` or ``pyarrow.Table``, one after the other.

        Returns:
            How many rows, by outcome. A row that was not accepted raises nothing.

        Raises:
            PushStoppedError: the push stopped early: the credentials were refused, or nothing
                answered. What was sent is in the journal, so the task may be run again.
            JournalError: the journal cannot be used. Nothing was sent after that.
        """
        return asyncio.run(self._push(iter(batches)))

    async def _push(self, batches: Iterator[Any]) -> dict[str, int]:
        import pyarrow

        from .client import KaptureClient

        first = next(batches, None)
        if first is None:
            return added_up(())

        parts = (batch for part in chain((first,), batches) for batch in _batches_of(part))
        rows = pyarrow.RecordBatchReader.from_batches(first.schema, parts)
        async with KaptureClient.from_env(
            timeout=self.timeout, allow_http=self.allow_http
        ) as client:
            push = client.tickets.push(
                rows,
                key=self.key,
                map=self.map,
                journal=self.journal,
                max_concurrency=self.max_concurrency,
                max_rate=self.max_rate,
            )
            report = await push.run()
        return {name: getattr(report, name) for name in COUNTED}


COUNTED: tuple[str, ...] = ("rows", "accepted", "rejected", "not_sent", "unknown", "earlier")


def added_up(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The counts of several partitions together."""
    total: dict[str, int] = dict.fromkeys(COUNTED, 0)
    for one in counts:
        for name in COUNTED:
            total[name] += one.get(name, 0)
    return total


def in_words(counts: Mapping[str, int], journal: str) -> str:
    """One line on how a job ended, and what to type next."""
    line = ", ".join(f"{counts[name]:,} {name.replace('_', ' ')}" for name in COUNTED[1:])
    line = f"{counts['rows']:,} rows: {line}"
    if counts["unknown"] or counts["not_sent"]:
        line += f". Next: kapture-async reconcile '{Address.of(journal).text}'"
    return line


def _mapping(text: str) -> dict[str, str]:
    try:
        mapping = json.loads(text)
    except ValueError:
        mapping = None
    if not isinstance(mapping, dict) or not all(isinstance(v, str) for v in mapping.values()):
        raise InvalidInputError(
            'map must be a JSON object of texts, such as {"title": "Subject"}'
        ) from None
    return mapping


def _batches_of(part: Any) -> Iterable[Any]:
    return part.to_batches() if hasattr(part, "to_batches") else (part,)
