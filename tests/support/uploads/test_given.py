"""What may be given as a file."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support_async import InvalidInputError, NewTicket, SupportClient
from support_async.testing import SupportEmulator

from ..wire import TICKET, client_of
from .shared import CONTENT, WHOLE, OnlyRead, assert_sent


class Little(io.RawIOBase):
    """An unbuffered file, which gives as little at a time as it likes."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._rest.readinto(memoryview(buffer)[:1000])


KINDS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "text path": (str, "on disk.bin"),
    "path": (lambda path: path, "on disk.bin"),
    "path of bytes": (
        lambda path: [*os.scandir(os.fsencode(path.parent))].pop(),
        "on disk.bin",
    ),
    "bytes": (lambda path: CONTENT, "attachment"),
    "bytearray": (lambda path: bytearray(CONTENT), "attachment"),
    "memoryview": (lambda path: memoryview(CONTENT), "attachment"),
    "BytesIO": (lambda path: io.BytesIO(CONTENT), "attachment"),
    "open file": (lambda path: path.open("rb"), "on disk.bin"),
    "unbuffered": (lambda path: path.open("rb", buffering=0), "on disk.bin"),
    "descriptor": (lambda path: os.fdopen(os.open(path, os.O_RDONLY), "rb"), "attachment"),
    "little": (lambda path: Little(CONTENT), "attachment"),
    "only read": (lambda path: OnlyRead(CONTENT), "attachment"),
    "temporary": (lambda path: temporary(CONTENT), "attachment"),
    "named path": (lambda path: ("named.txt", path), "named.txt"),
    "named bytes": (lambda path: ("named.txt", CONTENT), "named.txt"),
    "named file": (lambda path: ("named.txt", path.open("rb")), "named.txt"),
}


def temporary(content: bytes) -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115  (the test closes it)
    file.write(content)
    file.seek(0)
    return file


@pytest.mark.parametrize("kind", KINDS)
async def test_everything_that_may_be_given(
    emulator: SupportEmulator, client: SupportClient, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "on disk.bin").write_bytes(CONTENT)
    make, name = KINDS[kind]
    given = make(tmp_path / "on disk.bin")
    await client.tickets.create(**TICKET, attachment=given)
    assert_sent(emulator, CONTENT, name)
    await client.tickets.create(NewTicket(subject="s", comment="c", category="3", priority="1"))
    assert "attachment" not in emulator.ledger.entries[-1].payload
    file = given[1] if isinstance(given, tuple) else given
    if hasattr(file, "close"):
        assert not getattr(file, "closed", False)
        file.close()


@pytest.mark.parametrize("buffering", [-1, 0])
async def test_an_open_file_goes_from_where_it_stands_and_stays_there(
    emulator: SupportEmulator, client: SupportClient, tmp_path: Path, buffering: int
) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(CONTENT)
    with source.open("rb", buffering=buffering) as file:
        file.seek(1000)
        for _ in range(2):
            await client.tickets.create(**TICKET, attachment=file)
            assert_sent(emulator, CONTENT[1000:], "a.bin")
            assert file.tell() == 1000
        assert not file.closed


async def test_a_pipe_is_read_to_its_end(emulator: SupportEmulator, client: SupportClient) -> None:
    ends = os.pipe()

    def write() -> None:
        with os.fdopen(ends[1], "wb") as pipe:
            pipe.write(WHOLE)  # many times what a pipe holds

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(ends[0], "rb") as pipe:
        await client.tickets.create(**TICKET, attachment=("piped.bin", pipe))
        assert not pipe.closed
    writer.join()
    assert_sent(emulator, WHOLE, "piped.bin")


@pytest.mark.skipif(sys.platform != "linux", reason="reads a file in /proc")
async def test_a_file_that_has_more_than_its_size_says(
    emulator: SupportEmulator, client: SupportClient
) -> None:
    """As one that grows while it is read: the length that goes out is that of what was read."""
    source = Path("/proc/version")
    content = source.read_bytes()
    assert source.stat().st_size == 0 < len(content)
    await client.tickets.create(**TICKET, attachment=source)
    assert_sent(emulator, content, source.name)
    async with client_of(emulator, max_attachment_bytes=len(content) - 1) as strict:
        with pytest.raises(InvalidInputError, match="more than"):
            await strict.tickets.create(**TICKET, attachment=source)
    assert len(emulator.ledger) == 1
