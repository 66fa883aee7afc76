"""What may not be given as a file: refused before anything is sent."""

from __future__ import annotations

import asyncio
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support_async import InvalidInputError, SupportClient
from support_async.testing import SupportEmulator

from ..wire import MIB, TICKET
from .shared import RANDOM


class Broken(io.RawIOBase):
    """A file on a drive that was pulled out."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise OSError(5, "Input/output error")


class Surprise:
    """A file that raises what nobody expects."""

    def read(self, size: int) -> bytes:
        raise LookupError("canary of a file")


class Coroutines:
    """A file of an async library."""

    def read(self, size: int) -> Any:
        return iter(())


def closed(path: Path) -> Any:
    file = io.BytesIO(b"x")
    file.close()
    return file


def fifo(path: Path) -> Path:
    os.mkfifo(path.parent / "fifo")
    return path.parent / "fifo"


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: path.parent / "none", "cannot be read: no such file or directory"),
    "folder": (lambda path: path.parent, "cannot be read: is a directory"),
    "device": (lambda path: "/dev/zero", "is not a regular file; open it and pass the open file"),
    "pipe nobody writes to": (fifo, "is not a regular file; open it and pass the open file"),
    "no rights": (lambda path: path.parent / "a\0b", r"cannot be read \(ValueError\)"),
    "broken": (lambda path: Broken(), "cannot be read: input/output error"),
    "surprise": (lambda path: Surprise(), r"cannot be read \(LookupError\)$"),
    "closed": (closed, "is a file that was closed"),
    "other mode": (lambda path: path.open("ab"), "is a file that was not opened for reading"),
    "no bytes": (lambda path: Coroutines(), "is a file that was not opened in binary mode"),
    "text mode": (lambda path: path.open("r"), "must be a path, bytes or an open binary file"),
    "text in memory": (lambda path: io.StringIO("x"), "must be a path, bytes or an open binary"),
    "number": (lambda path: 3, "must be a path, bytes or an open binary file, not int"),
    "empty path": (lambda path: "", "is an empty path"),
    "empty name": (lambda path: (" ", b"x"), "must be a pair of a name and its content"),
    "three": (lambda path: ("a", b"x", "text/plain"), "must be a pair of a name and its content"),
    "pair in a pair": (lambda path: ("a", ("b", b"x")), "must be a path, bytes or an open binary"),
    "nothing": (lambda path: ("a", None), "must be a path, bytes or an open binary file"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="has other files")
@pytest.mark.parametrize("kind", WRONG)
async def test_what_cannot_be_sent_is_refused_before_anything_is(
    emulator: SupportEmulator, client: SupportClient, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "a.bin").write_bytes(b"x")
    make, words = WRONG[kind]
    wrong = make(tmp_path / "a.bin")
    ticket_id = emulator.seed()
    for call in (
        lambda: client.tickets.create(**TICKET, attachment=wrong),
        lambda: client.tickets.reply(ticket_id, "x", attachment=wrong),
    ):
        with pytest.raises(InvalidInputError) as caught:
            await asyncio.wait_for(call(), 5)
        assert re.search(words, caught.value.message)
        assert "canary" not in str(caught.value)
    assert not emulator.requests
    if hasattr(wrong, "close"):
        wrong.close()


async def test_a_pipe_that_has_nothing_yet_is_not_taken_for_its_end(
    emulator: SupportEmulator, client: SupportClient
) -> None:
    ends = os.pipe()
    os.set_blocking(ends[0], False)
    with os.fdopen(ends[0], "rb", buffering=0) as pipe, os.fdopen(ends[1], "wb", 0) as other:
        other.write(b"the first half")
        with pytest.raises(InvalidInputError, match="does not wait for its data"):
            await client.tickets.create(**TICKET, attachment=pipe)
    assert not emulator.requests


async def test_in_a_push_a_file_that_cannot_be_read_is_its_own_row_s_problem(
    emulator: SupportEmulator, client: SupportClient, tmp_path: Path
) -> None:
    files = [b"x", tmp_path, closed(tmp_path), tmp_path / "none", RANDOM, b"y"]
    async with client.tickets.push([{**TICKET, "attachment": file} for file in files]) as outcomes:
        kinds = {outcome.index: outcome.name async for outcome in outcomes}
    assert [kinds[index] for index in sorted(kinds)] == [
        "accepted",
        *["not_sent"] * 4,
        "accepted",
    ]
    assert len(emulator.ledger) == 2


@pytest.mark.parametrize(
    "call",
    ["create", "reply"],
)
async def test_a_file_that_is_refused_does_not_show(client: SupportClient, call: str) -> None:
    secret = b"canary of a file "
    content = secret * (2 * MIB // len(secret) + 1)
    for file in (content, io.BytesIO(content)):
        with pytest.raises(InvalidInputError) as caught:
            if call == "create":
                await client.tickets.create(**TICKET, attachment=file)
            else:
                await client.tickets.reply(1, "x", attachment=file)
        assert "canary" not in str(caught.value) + repr(caught.value)
