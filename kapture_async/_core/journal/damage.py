"""What a journal's files show before SQLite touches them.

SQLite repairs silently: commits that are missing at the end of the ``-wal`` file are simply not
there any more, and without that file the database is what it was when it was last written
through. For most programs that is right. Here it would mean that rows are taken for new that are
in the helpdesk. A commit is on the disk before its row is sent, so SQLite alone never loses one;
but people copy, clean up and restore. What is found:

- The ``-wal`` file is gone or empty. While a journal is open, the main file by itself always
  says that it is not whole; only the ``-wal`` file says that it is, from its first commit on.
  Whatever writes the one through to the other, in full, makes the main file whole. See
  ``Store._write_through``.
- The ``-wal`` file is shorter than it was, or damaged. The ``-shm`` file that a killed process
  leaves says how many frames it had, and the checksum over all of them.
- Anything SQLite's own check finds in the main file.

What is not found here: an older copy of all files in place of them, see :mod:`.marks`; and, if the
``-shm`` file is lost as well or was not written before a power failure, a ``-wal`` file that is cut
between two commits. That can cost what was written since the last writing through, at most
``WAL_BYTES`` in :mod:`.schema`, and never an attempt of before; where a mark is left, it shows.

The layouts are those of https://www.sqlite.org/walformat.html, unchanged since 2010.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import BinaryIO

from attrs import frozen

from .trouble import DAMAGED, trouble

_WAL_VERSION = 3007000
_WAL_HEADER, _FRAME_HEADER, _INDEX_HEADER = 32, 24, 48
_LITTLE, _BIG = 0x377F0682, 0x377F0683  # how the checksums of a -wal file read their words

RESTORE = (
    "Bring the -wal file back from where the journal was copied or cleaned up. If it is gone, push "
    "with --restored (Python: restored=True): without it the journal does not know what was sent "
    "last, so each row is looked up in the helpdesk before it is sent."
)


@frozen
class WalIndex:
    """What the ``-shm`` file says of the ``-wal`` file."""

    frames: int
    salts: bytes
    checksum: bytes
    """Over all frames, as it stands in the header of the last one."""


def check_file(path: str) -> os.stat_result:
    """Refuse what cannot be a journal. Does not open it: see :mod:`.schema`.

    Raises:
        JournalError: it is no ordinary file, or empty.
        OSError: it is not there.
    """
    seen = os.stat(path)
    if not stat.S_ISREG(seen.st_mode):
        what = "it is a folder" if stat.S_ISDIR(seen.st_mode) else "it is no ordinary file"
        raise trouble(path, what, "Name another file.")
    if not seen.st_size:
        raise trouble(
            path,
            "the file is empty, which a journal never is",
            f"If no push ever used it, delete it. Else: {DAMAGED}",
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
    """What the ``-shm`` file says; ``None`` if it is not there or not whole."""
    try:
        with open(f"{path}-shm", "rb") as file:
            head = file.read(2 * _INDEX_HEADER)
    except OSError:
        return None
    first, second = head[:_INDEX_HEADER], head[_INDEX_HEADER:]
    if len(second) < _INDEX_HEADER or first != second:
        return None  # its writer was killed in the middle of writing it
    words = struct.unpack("=12I", first)
    if words[0] != _WAL_VERSION or _summed(words[:10], (0, 0)) != words[10:]:
        return None
    # The checksum stands there in this machine's order, in a frame in big-endian order.
    return WalIndex(words[4], first[32:40], struct.pack(">2I", *words[6:8]))


def check_wal(path: str, index: WalIndex | None) -> None:
    """Refuse a ``-wal`` file that is shorter than its index says, or damaged.

    Takes some 60 microseconds for each frame, and only after a process was killed.

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
        raise trouble(path, "its -wal file was removed, cut short or damaged", RESTORE)


def _holds(file: BinaryIO, index: WalIndex) -> bool:
    head = file.read(_WAL_HEADER)
    if len(head) < _WAL_HEADER:
        return False
    magic, _, page = struct.unpack(">3I", head[:12])
    if magic not in (_LITTLE, _BIG):
        return False
    if head[16:24] != index.salts:
        # Of another time: after a power failure the index may be an old one.
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
    """SQLite's checksum, gone on with."""
    one, two = sums
    for place in range(0, len(words), 2):
        one = (one + words[place] + two) & 0xFFFFFFFF
        two = (two + words[place + 1] + one) & 0xFFFFFFFF
    return one, two
