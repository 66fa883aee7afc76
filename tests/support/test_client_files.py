"""Files that the client sends to both servers, and gets back from them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from support_async import InvalidInputError, SupportClient, SyncSupportClient

from .clients import MIB, RANDOM, TICKET, create, file_of
from .servers import Server


@pytest.mark.parametrize("size", [1, MIB, 2 * MIB], ids=["1 B", "1 MiB", "2 MiB"])
async def test_a_file_comes_back_as_it_went(
    member: SupportClient, tmp_path: Path, size: int
) -> None:
    ticket_id = await create(member, attachment=("random.bin", RANDOM[:size]))
    target = await member.attachments.download(await file_of(member, ticket_id), tmp_path)
    assert target == tmp_path / "random.bin"
    assert target.read_bytes() == RANDOM[:size]


def test_a_file_comes_back_as_it_went_through_the_sync_client(
    server: Server, tmp_path: Path
) -> None:
    with SyncSupportClient(
        server.url, apikey=server.apikey, access_token=server.token(), timeout=10.0
    ) as client:
        client.tickets.create(**TICKET, priority="1", attachment=("random.bin", RANDOM))
        [attachment] = client.tickets.get("101").attachments
        assert attachment.attachment_id is not None
        target = client.attachments.download(attachment.attachment_id, tmp_path / "back.bin")
    assert target.read_bytes() == RANDOM


async def test_a_file_of_a_reply_comes_back_in_a_stream(member: SupportClient) -> None:
    ticket_id = await create(member)
    await member.tickets.reply(ticket_id, "x", attachment=("random.bin", RANDOM))
    async with member.attachments.stream(await file_of(member, ticket_id)) as download:
        chunks = [chunk async for chunk in download]
    assert b"".join(chunks) == RANDOM


async def test_a_file_of_any_kind(member: SupportClient, tmp_path: Path) -> None:
    source = tmp_path / "from disk.txt"
    source.write_bytes(b"disk")
    given: list[Any] = [source, str(source), b"disk", io.BytesIO(b"disk"), ("x.txt", source)]
    names = []
    with source.open("rb") as opened:
        for attachment in [*given, opened]:
            ticket_id = await create(member, attachment=attachment)
            folder = tmp_path / ticket_id
            folder.mkdir()
            path = await member.attachments.download(await file_of(member, ticket_id), folder)
            assert path.read_bytes() == b"disk"
            names.append(path.name)
    on_disk = source.name
    assert names == [on_disk, on_disk, "attachment", "attachment", "x.txt", on_disk]


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("résumé.txt", "résumé.txt"),
        ("日本語 \N{GRINNING FACE}.txt", "日本語 \N{GRINNING FACE}.txt"),
        ("sp ace %20;='.txt", "sp ace %20;='.txt"),
        ('quo"ted.txt', "quo_ted.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\dir\\sample.txt", "sample.txt"),
        ("line\r\nbreak.txt", "line__break.txt"),
        ("x" * 200 + ".txt", "x" * 96 + ".txt"),
        ("é" * 200 + ".txt", "é" * 96 + ".txt"),
        ("..", "attachment"),
        (".", "attachment"),
        ("dir/", "file"),
        ("\u200b", "attachment"),
        ("a&amp;b.txt", "a_amp;b.txt"),
        ("a&#47;b.txt", "a_#47;b.txt"),
    ],
)
async def test_names(member: SupportClient, tmp_path: Path, name: str, stored: str) -> None:
    ticket_id = await create(member, attachment=(name, b"sample bytes"))
    path = await member.attachments.download(await file_of(member, ticket_id), tmp_path)
    assert path.read_bytes() == b"sample bytes"
    assert path.name == stored
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


async def test_too_large_a_file_is_not_sent(member: SupportClient) -> None:
    with pytest.raises(InvalidInputError, match="2,097,153"):
        await create(member, attachment=RANDOM + b"x")
    assert await member.tickets.history() == []
