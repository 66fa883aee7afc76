"""Checks of a journal's files before SQLite touches them.

SQLite recovers silently: commits missing from the end of the ``-wal`` file are simply gone, and
without that file the database is as it was at the last checkpoint. For most programs that is
right. Here, rows that are in the helpdesk would be taken for new. A commit is on disk before its
row is sent, so SQLite alone never loses one; but people copy, clean up and restore files. Detected
are:

- A missing or empty ``-wal`` file. While a journal is open, the main file by itself is always
  marked as incomplete; only the ``-wal`` file marks it as complete, from its first commit on. A
  full checkpoint makes the main file complete. See ``SQLiteStorage._write_through``.
- A truncated or damaged ``-wal`` file. The ``-shm`` file left by a killed process records how many
  frames it had, and the checksum over all of them.
- Anything that SQLite's own check finds in the main file.

Not detected here are an older copy of all files, see :mod:`.marks`; and, if the ``-shm`` file is
missing too or was not written before a power failure, a ``-wal`` file truncated between two
commits. That can lose what was written since the last checkpoint, at most ``WAL_BYTES`` in
:mod:`.schema`, and never an attempt before it; where there is a mark, it shows.

The layouts are those of https://www.sqlite.org/walformat.html, unchanged since 2010.

The seal
--------
The seal of a closed journal is a hash of all its bytes, after the last page of the file.

SQLite's own check finds a broken page, but not a changed letter of a key or digit of a ticket id. A
push closes its journal into one file and seals it; the next one to open it compares. SQLite ignores
bytes after its last page. An open journal has no seal: the checksums of the ``-wal`` file protect
what is new.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from contextlib import suppress
from typing import BinaryIO

from attrs import frozen

from ..records import trouble
from .errors import DAMAGED

_WAL_VERSION = 3007000
_WAL_HEADER, _FRAME_HEADER, _INDEX_HEADER = 32, 24, 48
_LITTLE, _BIG = 0x377F0682, 0x377F0683  # how the checksums of a -wal file read their words

RESTORE = (
    "Restore the -wal file from where the journal was copied or cleaned up. If it is gone, push "
    "with --restored (Python: restored=True): without it the journal does not know what was sent "
    "last, so each row is looked up in the helpdesk before it is sent."
)


@frozen
class WalIndex:
    """What the ``-shm`` file records about the ``-wal`` file."""

    frames: int
    salts: bytes
    checksum: bytes
    """Over all frames, as in the header of the last one."""


def check_file(path: str) -> os.stat_result:
    """Refuse what cannot be a journal. Does not open it: see :mod:`.schema`.

    Raises:
        JournalError: it is not an ordinary file, or empty.
        OSError: it is not there.
    """
    seen = os.stat(path)
    if not stat.S_ISREG(seen.st_mode):
        what = "it is a folder" if stat.S_ISDIR(seen.st_mode) else "it is not an ordinary file"
        raise trouble(path, what, "Use another file.")
    if not seen.st_size:
        raise trouble(
            path,
            "the file is empty, which a journal never is",
            f"If no push has ever used it, delete it. Otherwise: {DAMAGED}",
        )
    return seen


def wal_is_there(path: str) -> bool:
    """Whether the ``-wal`` file holds anything at all."""
    try:
        with open(f"{path}-wal", "rb") as file:
            head = file.read(_WAL_HEADER)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return False
    return size > _WAL_HEADER + _FRAME_HEADER and head[:3] == b"\x37\x7f\x06"


def wal_index(path: str) -> WalIndex | None:
    """The content of the ``-shm`` file; ``None`` if it is missing or incomplete."""
    try:
        with open(f"{path}-shm", "rb") as file:
            head = file.read(2 * _INDEX_HEADER)
    except OSError:
        return None
    first, second = head[:_INDEX_HEADER], head[_INDEX_HEADER:]
    if len(second) < _INDEX_HEADER or first != second:
        return None  # its writer was killed while writing it
    words = struct.unpack("=12I", first)
    if words[0] != _WAL_VERSION or _summed(words[:10], (0, 0)) != words[10:]:
        return None
    # The checksum is in native byte order here, and big-endian in a frame.
    return WalIndex(words[4], first[32:40], struct.pack(">2I", *words[6:8]))


def check_wal(path: str, index: WalIndex | None) -> None:
    """Refuse a ``-wal`` file that is shorter than its index says, or damaged.

    Takes about 60 microseconds per frame, and only after a process was killed.

    Raises:
        JournalError: it is.
    """
    if index is None or not index.frames:
        return
    try:
        with open(f"{path}-wal", "rb") as file:
            whole = _holds(file, index)
    except FileNotFoundError:
        whole = False
    if not whole:
        raise trouble(path, "its -wal file was removed, truncated or damaged", RESTORE)


def _holds(file: BinaryIO, index: WalIndex) -> bool:
    head = file.read(_WAL_HEADER)
    if len(head) < _WAL_HEADER:
        return False
    magic, _, page = struct.unpack(">3I", head[:12])
    if magic not in (_LITTLE, _BIG):
        return False
    if head[16:24] != index.salts:
        # From another time: after a power failure the index may be outdated.
        return True
    order = "<" if magic == _LITTLE else ">"
    words = struct.Struct(f"{order}{2 + page // 4}I")
    sums = _summed(struct.unpack(f"{order}6I", head[:24]), (0, 0))
    if head[24:] != struct.pack(">2I", *sums):
        return False
    stored = b""
    for _ in range(index.frames):
        frame = file.read(_FRAME_HEADER + page)
        if len(frame) < _FRAME_HEADER + page or frame[8:16] != index.salts:
            return False
        sums = _summed(words.unpack(frame[:8] + frame[_FRAME_HEADER:]), sums)
        stored = frame[16:24]
        if stored != struct.pack(">2I", *sums):
            return False
    return stored == index.checksum


def _summed(words: tuple[int, ...], sums: tuple[int, int]) -> tuple[int, int]:
    """SQLite's checksum, continued."""
    one, two = sums
    for place in range(0, len(words), 2):
        one = (one + words[place] + two) & 0xFFFFFFFF
        two = (two + words[place + 1] + one) & 0xFFFFFFFF
    return one, two


# --- the seal of a journal at rest

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
        return  # SQLite cannot read it either, and reports that
    if end in (_MAGIC + found, bytes(_LENGTH)):  # zeros: cut off by a power failure
        return
    after = os.stat(path)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        return  # another process is just starting to use it
    raise trouble(path, "the file is damaged: checksum mismatch", DAMAGED)


def _check_length(path: str, head: bytes, size: int) -> None:
    """Refuse a file that was truncated within a page; SQLite would read zeros for the rest."""
    page = int.from_bytes(head[16:18], "big")
    page = 65536 if page == 1 else page
    if head.startswith(b"SQLite") and page >= _SMALLEST_PAGE and size % page:
        raise trouble(path, "the file is damaged: it is truncated", DAMAGED)


def put_seal(path: str) -> None:
    """Seal a journal that is not open."""
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
    """Remove the seal, before anything is written."""
    size = os.stat(path).st_size
    if is_sealed(size):
        with suppress(PermissionError):  # SQLite cannot write to it either, and reports that
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
