"""The truth about what an emulator executed: what tests compare a client's beliefs with."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import orjson


@attrs.frozen
class LedgerEntry:
    """One executed call. ``number`` counts from 1 in the order of execution."""

    number: int
    operation: str
    ticket_id: str
    time: float
    """The emulator's clock, in seconds since the epoch."""
    monotonic: float
    """The machine's monotonic clock, which no test moves."""
    encoded: bytes = attrs.field(repr=False)
    """What the client sent, as JSON: ledgers grow to millions of entries."""
    user: str = attrs.field(default="", repr=False)
    """Who called; empty where the service does not know its callers apart."""

    @property
    def payload(self) -> Any:
        """What the client sent, decoded."""
        return orjson.loads(self.encoded)


class Ledger:
    """Append-only list of executed calls, safe to read from any thread; perhaps a file as well.

    The file has one JSON line per call. A line is handed to the operating system before the call
    is answered, so killing the emulator loses no answered call. A ledger opened on an existing file
    appends to it; a last line cut in the middle was never answered, and is dropped.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path: Path | None = None if path is None else Path(path)
        self._entries: list[LedgerEntry] = []
        self._changed = threading.Condition()
        self._file: int | None = None
        self._size = 0
        if self.path is not None:
            if self.path.exists():
                self._entries, self._size = _read(self.path)
            self._file = self._open(self.path)

    @staticmethod
    def read(path: str | os.PathLike[str]) -> list[LedgerEntry]:
        """Return the entries of a ledger file, even while an emulator is writing it."""
        return _read(Path(path))[0]

    def record(
        self,
        operation: str,
        ticket_id: str,
        payload: Any,
        *,
        time_: float | None = None,
        user: str = "",
    ) -> LedgerEntry:
        """Append one executed call; it is in the file, if there is one, when this returns."""
        # A copy of the right size: orjson's own result occupies several times its length.
        encoded = bytes(memoryview(orjson.dumps(payload)))
        with self._changed:
            entry = LedgerEntry(
                len(self._entries) + 1,
                operation,
                ticket_id,
                time.time() if time_ is None else time_,
                time.monotonic(),
                encoded,
                user,
            )
            if self.path is not None:
                if self._file is None:
                    self._file = self._open(self.path)
                self._size = _append(self._file, self._size, _line(entry))
            self._entries.append(entry)
            self._changed.notify_all()
        return entry

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """All executed calls so far, in order."""
        with self._changed:
            return tuple(self._entries)

    @property
    def last(self) -> LedgerEntry:
        """The call that was executed last."""
        with self._changed:
            return self._entries[-1]

    def of(self, operation: str) -> tuple[LedgerEntry, ...]:
        """Return the executed calls of one operation, in order."""
        return tuple(entry for entry in self.entries if entry.operation == operation)

    def wait_for(self, count: int, timeout: float = 5.0) -> bool:
        """Block until there are ``count`` entries; return whether they came in time.

        It blocks the calling thread: where the emulator shares the caller's event loop, call it by
        ``asyncio.to_thread``.
        """
        with self._changed:
            return self._changed.wait_for(lambda: len(self._entries) >= count, timeout)

    def close(self) -> None:
        """Close the file until the next record; the entries stay readable."""
        with self._changed:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _open(self, path: Path) -> int:
        flags = os.O_CREAT | os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)
        file = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o600)
        os.ftruncate(file, self._size)  # drops a last line cut in the middle
        return file

    def __len__(self) -> int:
        with self._changed:
            return len(self._entries)

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self.entries)

    def __repr__(self) -> str:
        return f"Ledger({len(self)} entries, path={None if self.path is None else str(self.path)})"


def _line(entry: LedgerEntry) -> bytes:
    fields = {
        "number": entry.number,
        "operation": entry.operation,
        "ticket_id": entry.ticket_id,
        "time": entry.time,
        "monotonic": entry.monotonic,
    }
    if entry.user:
        fields["user"] = entry.user
    return orjson.dumps(fields)[:-1] + b',"payload":' + entry.encoded + b"}\n"


def _read(path: Path) -> tuple[list[LedgerEntry], int]:
    """Return the whole lines of a ledger file, and how many bytes they take."""
    data = path.read_bytes()
    size = data.rfind(b"\n") + 1
    entries: list[LedgerEntry] = []
    for line in data[:size].splitlines():
        fields = orjson.loads(line)
        encoded = orjson.dumps(fields.pop("payload"))
        entries.append(LedgerEntry(**fields, encoded=encoded))
    return entries, size


def _append(file: int, size: int, line: bytes) -> int:
    """Write a whole line or none of it; return the new size of the file."""
    try:
        written = os.write(file, line)
        while written < len(line):  # a file system that is nearly full takes a part
            written += os.write(file, line[written:])
    except OSError:
        os.ftruncate(file, size)
        raise
    return size + len(line)
