"""Downloads to a file or into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support_async import (
    DownloadProgress,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    SupportClient,
)
from support_async.testing import EmulatorReply, SupportEmulator

from ..wire import nothing_changes, tree
from .shared import CONTENT, ID, a_file


async def test_to_a_file(emulator: SupportEmulator, client: SupportClient, folder: Path) -> None:
    emulator.downloads[ID] = a_file(disposition='attachment; filename="theirs.bin"')
    for to in (folder / "mine.bin", f"{folder}/mine too.bin"):
        path = await client.attachments.download(int(ID), to)
        assert path == Path(to)
    assert tree(folder.parent) == {
        "folder": "folder",
        "folder/mine.bin": CONTENT,
        "folder/mine too.bin": CONTENT,
    }


async def test_the_emulator_gives_the_name_that_was_sent(
    emulator: SupportEmulator, client: SupportClient, folder: Path
) -> None:
    name = "Grüße 日本.txt"
    file_id = emulator.seed_attachment(emulator.seed(), name, b"x")
    assert await client.attachments.download(file_id, folder) == folder / name
    [request] = emulator.received
    assert request.method == "GET"
    assert request.path == f"/support/ticket/download/{file_id}/"
    assert request.body == b""
    assert request.headers["Accept"] == "*/*"
    assert request.headers["Accept-Encoding"] == "identity"
    assert "Transfer-Encoding" not in request.headers


DISPOSITIONS = {
    'attachment; filename="plain.txt"': "plain.txt",
    "attachment; filename=plain.txt": "plain.txt",
    'inline; FileName = "plain.txt" ; size=3': "plain.txt",
    "attachment; filename*=utf-8''gr%C3%BC%C3%9Fe.txt": "grüße.txt",
    "attachment; filename=\"a.txt\"; filename*=UTF-8'de'gr%C3%BC.txt": "grü.txt",
    "attachment; filename*=iso-8859-1''%e9.txt; filename=b.txt": "é.txt",
    "attachment; filename*=utf-8''%zz; filename=b.txt": "b.txt",
    'attachment; filename="quo\\"te\\\\d.txt"': "d.txt",
    'attachment; filename="never closed.txt': "never closed.txt",
    'attachment; filename=""': "attachment-7",
    "attachment": "attachment-7",
    "": "attachment-7",
    None: "attachment-7",
}


@pytest.mark.parametrize("disposition", DISPOSITIONS)
async def test_to_a_folder_under_the_name_that_the_service_gives(
    emulator: SupportEmulator, client: SupportClient, folder: Path, disposition: str | None
) -> None:
    emulator.downloads[ID] = a_file(b"x", disposition)
    name = DISPOSITIONS[disposition]
    assert await client.attachments.download(ID, folder) == folder / name
    assert await client.attachments.download(ID, f"{folder}/", overwrite=True) == folder / name
    async with client.attachments.stream(ID) as download:
        assert download.filename == name
    assert tree(folder.parent) == {"folder": "folder", f"folder/{name}": b"x"}


async def test_what_is_there_is_left_alone(
    emulator: SupportEmulator, client: SupportClient, folder: Path
) -> None:
    emulator.downloads[ID] = a_file(disposition="attachment; filename=a.bin")
    (folder / "a.bin").write_bytes(b"old")
    with nothing_changes(folder.parent):
        with pytest.raises(InvalidInputError, match="already exists"):
            await client.attachments.download(ID, folder / "a.bin")
        assert not emulator.requests
        with pytest.raises(FileExistsError, match="left alone"):
            await client.attachments.download(ID, folder)
    await client.attachments.download(ID, folder / "a.bin", overwrite=True)
    await client.attachments.download(ID, folder, overwrite=True)
    assert tree(folder) == {"a.bin": CONTENT}


async def test_what_appears_during_the_download_is_left_alone(
    client: SupportClient, folder: Path
) -> None:
    def appear(progress: DownloadProgress) -> None:
        (folder / "a.bin").write_bytes(b"somebody else's")

    with pytest.raises(FileExistsError, match="appeared in the meantime"):
        await client.attachments.download(ID, folder / "a.bin", on_progress=appear)
    assert tree(folder) == {"a.bin": b"somebody else's"}


async def test_a_symbolic_link_is_not_followed(
    emulator: SupportEmulator, client: SupportClient, folder: Path
) -> None:
    emulator.downloads[ID] = a_file(disposition="attachment; filename=a.bin")
    victim = folder.parent / "victim"
    victim.write_bytes(b"victim")
    (folder / "a.bin").symlink_to(victim)
    with nothing_changes(folder.parent):
        for to in (folder, folder / "a.bin"):
            with pytest.raises((InvalidInputError, FileExistsError)):
                await client.attachments.download(ID, to)
    await client.attachments.download(ID, folder, overwrite=True)
    assert tree(folder) == {"a.bin": CONTENT}
    assert victim.read_bytes() == b"victim"


@pytest.mark.parametrize("to", ["none/a.bin", "none/", "a file/b.bin", "", "a\0b"])
async def test_no_place_for_it(
    emulator: SupportEmulator, client: SupportClient, folder: Path, to: str
) -> None:
    (folder / "a file").write_bytes(b"")
    with nothing_changes(folder.parent):
        with pytest.raises(InvalidInputError, match=r"cannot save|must be a path"):
            await client.attachments.download(ID, f"{folder}/{to}" if to else "")
    assert not emulator.requests


@pytest.mark.parametrize("attachment_id", ["", ".", "..", "a/b", " ", True, -1, 1.5, None])
async def test_no_id(
    emulator: SupportEmulator, client: SupportClient, folder: Path, attachment_id: Any
) -> None:
    """Either it is refused here, or it stays one part of the path."""
    with pytest.raises((InvalidInputError, NotFoundError)):
        await client.attachments.download(attachment_id, folder)
    assert all(path.startswith("/support/ticket/download/") for path in emulator.requests)
    assert tree(folder) == {}


async def test_what_the_service_does_not_give(
    emulator: SupportEmulator, client: SupportClient, folder: Path
) -> None:
    foreign = emulator.seed_attachment(emulator.seed(author="other@example.com"), "a.txt", b"x")
    with nothing_changes(folder.parent):
        for file_id in ("999", foreign):
            with pytest.raises(NotFoundError):
                await client.attachments.download(file_id, folder)
            with pytest.raises(NotFoundError):
                async with client.attachments.stream(file_id):
                    pass
        emulator.downloads[ID] = EmulatorReply(403, b'{"detail":"no"}')
        with pytest.raises(PermissionDeniedError):
            await client.attachments.download(ID, folder)


async def test_a_file_may_look_like_an_answer(
    emulator: SupportEmulator, client: SupportClient, folder: Path
) -> None:
    body = b'{"status_code":401,"errors":{"detail":"x"},"data":{}}'
    named = (("Content-Disposition", "attachment"),)
    emulator.downloads[ID] = EmulatorReply(200, body, headers=named)
    path = await client.attachments.download(ID, folder / "a.json")
    assert path.read_bytes() == body
    assert sum(emulator.requests.values()) == 1
