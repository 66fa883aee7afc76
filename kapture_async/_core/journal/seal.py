"""The seal of a journal at rest: a hash of all its bytes, behind the last page of the file.

SQLite's own check sees a broken page, and not a letter of a key or a digit of a ticket id that has
changed on the disk. A push that ends closes the journal into one file and seals it; whoever opens
it next compares. SQLite takes no notice of bytes behind its last page. While a journal is open it
has no seal: the checksums of the ``-wal`` file stand for what is new.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import BinaryIO

from .trouble import DAMAGED, trouble

_MAGIC = b"journal-sealed-1"
_LENGTH = len(_MAGIC) + 32
_SMALLEST_PAGE = 512
_HEADER = 18


def is_sealed(size: int) -> bool:
    """Whether a journal of so many bytes ends with a seal: pages are powers of two."""
    return size % _SMALLEST_PAGE == _LENGTH


def check_seal(path: str) -> None:
    """Refuse a journal whose bytes are not those that were sealed. Reads the whole file.

    Raises:
        JournalError: they are not.
    """
    before = os.stat(path)
    try:
        with open(path, "rb") as file:
            if not is_sealed(before.st_size):
                _check_length(path, file.read(_HEADER), before.st_size)
                return
            found = _hash(file, before.st_size - _LENGTH)
            end = file.read()
    except PermissionError:
        return  # SQLite may not read it either, and says so
    if end in (_MAGIC + found, bytes(_LENGTH)):  # zeros: cut off by a power failure
        return
    after = os.stat(path)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        return  # somebody begins to push with it just now
    raise trouble(path, "the file is damaged: it is not what was written to it", DAMAGED)


def _check_length(path: str, head: bytes, size: int) -> None:
    """A file that was cut within a page; SQLite would take zeros for the rest."""
    page = int.from_bytes(head[16:18], "big")
    page = 65536 if page == 1 else page
    if head.startswith(b"SQLite") and page >= _SMALLEST_PAGE and size % page:
        raise trouble(path, "the file is damaged: it was cut short", DAMAGED)


def put_seal(path: str) -> None:
    """Seal a journal that nobody has open."""
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if is_sealed(size):
            size -= _LENGTH
        seal = _MAGIC + _hash(file, size)
        file.seek(size)
        file.write(seal)
        file.flush()
        os.fsync(file.fileno())


def take_seal(path: str) -> None:
    """Take the seal off, before anything is written."""
    size = os.stat(path).st_size
    if is_sealed(size):
        with suppress(PermissionError):  # SQLite may not write to it either, and says so
            os.truncate(path, size - _LENGTH)


def _hash(file: BinaryIO, size: int) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    while size > 0:
        part = file.read(min(size, 1 << 20))
        if not part:
            break
        digest.update(part)
        size -= len(part)
    return digest.digest()
