"""Files that come back as they went up, and how large they may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support_async import AttachmentTooLargeError, InvalidInputError, SupportClient, ValidationError
from support_async._files import MAX_ATTACHMENT_BYTES
from support_async.testing import SupportEmulator

from ..wire import MIB, TICKET, client_of, sync_client_of
from .shared import RANDOM, WHOLE, OnlyRead, assert_sent

# --- there and back -------------------------------------------------------------------------------


async def test_a_file_comes_back_byte_for_byte(
    emulator: SupportEmulator, client: SupportClient, tmp_path: Path
) -> None:
    assert len(WHOLE) == MAX_ATTACHMENT_BYTES
    source = tmp_path / "from.bin"
    source.write_bytes(WHOLE)
    created = await client.tickets.create_and_find(**TICKET, attachment=source)
    assert created.ticket_id is not None
    await client.tickets.reply(created.ticket_id, "again", attachment=("b.bin", WHOLE))
    detail = await client.tickets.get(created.ticket_id)
    for attachment in detail.attachments:
        assert attachment.attachment_id is not None
        path = await client.attachments.download(attachment.attachment_id, tmp_path / "to.bin")
        assert path.read_bytes() == WHOLE
        path.unlink()
        async with client.attachments.stream(attachment.attachment_id) as download:
            assert await download.read() == WHOLE
    assert len(detail.attachments) == 2


def test_a_file_comes_back_byte_for_byte_without_asyncio(tmp_path: Path) -> None:
    source = tmp_path / "from.bin"
    source.write_bytes(WHOLE)
    with SupportEmulator().in_thread() as emulator, sync_client_of(emulator) as client:
        created = client.tickets.create_and_find(**TICKET, attachment=source)
        assert created.ticket_id is not None
        client.tickets.reply(created.ticket_id, "again", attachment=("b.bin", WHOLE))
        detail = client.tickets.get(created.ticket_id)
        for attachment in detail.attachments:
            assert attachment.attachment_id is not None
            path = client.attachments.download(attachment.attachment_id, tmp_path / "to.bin")
            assert path.read_bytes() == WHOLE
            path.unlink()
            with client.attachments.stream(attachment.attachment_id) as download:
                assert download.read() == WHOLE
        assert len(detail.attachments) == 2


# --- how large ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2 * MIB - 1, 2 * MIB])
async def test_every_size_that_is_allowed(
    emulator: SupportEmulator, client: SupportClient, size: int
) -> None:
    await client.tickets.create(**TICKET, attachment=("a.bin", RANDOM[:size]))
    assert_sent(emulator, RANDOM[:size], "a.bin")


async def test_an_empty_file_is_for_the_service_to_refuse(
    emulator: SupportEmulator, client: SupportClient
) -> None:
    with pytest.raises(ValidationError) as caught:
        await client.tickets.create(**TICKET, attachment=b"")
    assert caught.value.fields == {"attachment": ("The submitted file is empty.",)}
    assert len(emulator.ledger) == 0


@pytest.mark.parametrize("kind", ["bytes", "path", "open file", "no seek"])
async def test_one_byte_too_many_is_not_sent(
    emulator: SupportEmulator, client: SupportClient, tmp_path: Path, kind: str
) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(RANDOM)
    with source.open("rb") as opened:
        given: dict[str, Any] = {
            "bytes": RANDOM,
            "path": source,
            "open file": opened,
            "no seek": OnlyRead(RANDOM),
        }
        with pytest.raises(InvalidInputError, match=r"2,097,15[23].* are allowed") as caught:
            await client.tickets.reply(emulator.seed(), "x", attachment=given[kind])
        assert opened.tell() == 0
    assert caught.value.fields == {"attachment": ("is too large",)}
    assert "Nothing was sent" in str(caught.value)
    assert not emulator.requests


async def test_where_more_is_allowed_the_service_itself_may_refuse(
    emulator: SupportEmulator,
) -> None:
    async with client_of(emulator, max_attachment_bytes=len(RANDOM)) as client:
        with pytest.raises(AttachmentTooLargeError) as caught:
            await client.tickets.create(**TICKET, attachment=RANDOM)
    assert caught.value.status == 400
    assert caught.value.fields == {"attachment": ("File is too big. Max filesize: 2MiB.",)}
    assert "Make the attachment smaller" in str(caught.value)
    assert len(emulator.ledger) == 0


@pytest.mark.parametrize("where", ["create", "reply"])
async def test_a_proxy_may_refuse_what_is_allowed(where: str) -> None:
    async with SupportEmulator(max_body=MIB) as emulator, client_of(emulator) as client:
        ticket_id = emulator.seed()
        fields: dict[str, Any] = {
            **TICKET,
            "attachment": RANDOM[:MIB],
        }  # with the rest of the form: too much
        with pytest.raises(AttachmentTooLargeError, match="takes no more than 1 MiB") as caught:
            if where == "create":
                await client.tickets.create(**fields)
            else:
                await client.tickets.reply(ticket_id, "x", attachment=RANDOM[:MIB])
        assert caught.value.status == 413
        assert len(caught.value.attempts) == 1
        await client.tickets.create(**(fields | {"attachment": RANDOM[: MIB - 4096]}))
        assert len(emulator.ledger) == 1
