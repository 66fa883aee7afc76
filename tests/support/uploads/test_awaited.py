"""Files of web frameworks: read with await, with a file name of their own."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import anyio
import pytest

from support_async import InvalidInputError, SupportClient, SyncSupportClient
from support_async.testing import SupportEmulator

from ..wire import TICKET, client_of, sync_client_of
from .shared import CONTENT, WHOLE, assert_sent


class UploadFile:
    """As Starlette's: read() and seek() are coroutine functions, tell() is missing."""

    def __init__(self, content: bytes, filename: str | None = "invoice.pdf") -> None:
        self.file = io.BytesIO(content)
        self.filename = filename

    async def read(self, size: int = -1) -> bytes:
        await asyncio.sleep(0)
        return self.file.read(size)

    async def seek(self, offset: int) -> None:
        self.file.seek(offset)


class FileStorage:
    """As Werkzeug's: read() is plain, and ``name`` is that of the form's field."""

    name = "attachment"

    def __init__(self, content: bytes, filename: str) -> None:
        self.stream = io.BytesIO(content)
        self.filename = filename

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Text(UploadFile):
    async def read(self, size: int = -1) -> Any:
        return "text"


class Broken(UploadFile):
    async def read(self, size: int = -1) -> bytes:
        raise OSError(5, "Input/output error")


class Awaitable(UploadFile):
    """read() gives something to be awaited, and is no coroutine function."""

    def read(self, size: int = -1) -> Any:  # type: ignore[override]
        return super().read(size)


async def test_an_upload_is_read_from_where_it_stands_and_put_back(
    emulator: SupportEmulator, client: SupportClient
) -> None:
    file = UploadFile(b"xx" + CONTENT)
    file.file.seek(2)
    for _ in range(2):
        await client.tickets.create(**TICKET, attachment=file)
        assert_sent(emulator, CONTENT, "invoice.pdf")
    assert file.file.tell() == 2


async def test_names(emulator: SupportEmulator, client: SupportClient) -> None:
    await client.tickets.create(**TICKET, attachment=FileStorage(CONTENT, "scan.png"))
    assert_sent(emulator, CONTENT, "scan.png")
    await client.tickets.create(**TICKET, attachment=UploadFile(CONTENT, None))
    assert_sent(emulator, CONTENT, "attachment")
    await client.tickets.create(**TICKET, attachment=("mine.txt", UploadFile(CONTENT)))
    assert_sent(emulator, CONTENT, "mine.txt")


async def test_a_file_of_anyio(
    emulator: SupportEmulator, client: SupportClient, tmp_path: Path
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    async with await anyio.open_file(path, "rb") as file:
        await client.tickets.create(**TICKET, attachment=file)
        assert_sent(emulator, CONTENT, "a.bin")
        assert await file.tell() == 0


def test_through_the_sync_client() -> None:
    with SupportEmulator().in_thread() as emulator, sync_client_of(emulator) as client:
        assert isinstance(client, SyncSupportClient)
        client.tickets.create(**TICKET, attachment=UploadFile(CONTENT))
        assert_sent(emulator, CONTENT, "invoice.pdf")


async def test_one_file_on_many_calls(emulator: SupportEmulator) -> None:
    file = UploadFile(CONTENT)
    async with client_of(emulator) as client:
        await asyncio.gather(*(client.tickets.create(**TICKET, attachment=file) for _ in range(10)))
    sizes = {entry.payload["attachment"]["size"] for entry in emulator.ledger.entries}
    assert sizes == {len(CONTENT)}


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (Text(b""), "binary mode"),
        (Broken(b""), "input/output error"),
        (Awaitable(CONTENT), "must be awaited"),
        (UploadFile(WHOLE + b"x"), "bytes"),
    ],
)
async def test_what_cannot_be_sent_is_refused_before(
    emulator: SupportEmulator, client: SupportClient, file: Any, words: str
) -> None:
    with pytest.raises(InvalidInputError, match=words):
        await client.tickets.create(**TICKET, attachment=file)
    assert not emulator.ledger.entries
