"""Attachments on their way out: what may be given as one, and how it becomes bytes."""

from __future__ import annotations

import asyncio
import html
import inspect
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from kapture_async._core.arguments import LONE_SURROGATE
from kapture_async._core.errors import InvalidInputError
from kapture_async._core.transport.request import MEBI, Attachment, clean_filename


class SupportsRead(Protocol):
    """An open binary file, as far as it is needed: it gives bytes, and none at its end."""

    def read(self, size: int = ..., /) -> bytes:
        """At most so many bytes."""
        ...


class SupportsAsyncRead(Protocol):
    """The same with ``await``: Starlette's ``UploadFile``, a file of anyio or aiofiles."""

    async def read(self, size: int = ..., /) -> bytes:
        """At most so many bytes."""
        ...


FileLike = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | SupportsRead | SupportsAsyncRead
)
AttachmentLike = FileLike | tuple[str, FileLike]
"""A path, bytes, an open binary file (also one that is read with ``await``), or a pair of a name
and one of these."""

MAX_ATTACHMENT_BYTES: Final = 2 * MEBI
"""The documented limit, which itself is allowed (SERVICE.md, sections 3.2 and 4.3)."""

_LONGEST_NAME: Final = 100
"""Characters of a file name: Django's usual limit (SERVICE.md, section 3.2)."""
_POSITIONS = threading.Lock()
"""One open file may stand on many rows of a push, and has only one position."""
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
_UNNAMED: Final = "attachment"
_NO_WAITING: Final = getattr(os, "O_NONBLOCK", 0)


def check_attachment(given: Any) -> None:
    """Check that something can be an attachment, without reading it.

    Raises:
        InvalidInputError: it cannot.
    """
    if given is None:
        return
    file = given
    if isinstance(given, tuple):
        if len(given) != 2 or not isinstance(given[0], str) or not given[0].strip():
            raise _wrong("must be a pair of a name and its content")
        file = given[1]
    if isinstance(file, (str, os.PathLike)):
        if not os.fspath(file):
            raise _wrong("is an empty path")
    elif not isinstance(file, (bytes, bytearray, memoryview)) and not _is_binary_file(file):
        raise _wrong(f"must be a path, bytes or an open binary file, not {type(file).__name__}")


def check_no_path_text(given: Any) -> None:
    """Check that an attachment in a mapping does not name a file of this machine.

    Raises:
        InvalidInputError: it is a text, or a pair of a name and a text.
    """
    file = given[1] if isinstance(given, tuple) and len(given) == 2 else given
    if isinstance(file, str) and file:
        problem = "is a text, which in a mapping is not taken for a path"
        raise InvalidInputError(
            f"the attachment {problem}",
            fields={"attachment": (problem,)},
            next_step="If the path is your own, give a Path, bytes, an open file, or a pair of a "
            "name and one of these.",
        )


async def read_attachment(given: AttachmentLike | None, limit: int) -> Attachment | None:
    """The file with its name, read whole: the size of a body must be known beforehand
    (SERVICE.md, section 8), and a second attempt must send the same bytes.

    An open file is read from where it stands, and is put back there if it can be; it is not
    closed. One that waits for its data (a pipe) is waited for without a limit: the client's
    timeouts count from the sending on.

    Args:
        given: see :data:`AttachmentLike`.
        limit: bytes that it may have.

    Raises:
        InvalidInputError: it is too large, cannot be read, or is no attachment.
    """
    if given is None:
        return None
    check_attachment(given)
    name, file = given if isinstance(given, tuple) else (None, given)
    if isinstance(file, (bytes, bytearray, memoryview)):
        content = bytes(file)
        if len(content) > limit:
            raise _too_large(f"{len(content):,}", limit)
    elif inspect.iscoroutinefunction(getattr(file, "read", None)):
        content = await _awaited_content_of(file, limit)
    else:
        # Disks block, and so do the pipes and network drives that look like them.
        content = await asyncio.to_thread(_content_of, file, limit)
    return Attachment(_kept_name(name or _name_of(file)), content)


def _content_of(file: FileLike, limit: int) -> bytes:
    problem = "cannot be read"
    try:
        if not isinstance(file, (str, os.PathLike)):
            return _rest_of(file, limit)
        with open(file, "rb", opener=_open_at_once) as opened:
            found = os.fstat(opened.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise _wrong("is not a regular file; open it and pass the open file")
            if found.st_size > limit:
                raise _too_large(f"{found.st_size:,}", limit)
            return _rest_of(opened, limit)
    except InvalidInputError:
        raise
    except OSError as error:
        problem += f": {(error.strerror or type(error).__name__).lower()}"
    except Exception as error:  # a path with a NUL, or anything a caller's file raises
        problem += f" ({type(error).__name__})"
    raise _wrong(problem)


async def _awaited_content_of(file: Any, limit: int) -> bytes:
    """The same of a file that is read with ``await``. Where it stands is asked of what it wraps,
    if it cannot be asked itself.
    """
    problem = "cannot be read"
    try:
        # One open file may stand on many rows of a push, and has only one position.
        async with _TURNS.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            tell = getattr(file, "tell", None) or getattr(getattr(file, "file", None), "tell", None)
            seek = getattr(file, "seek", None)
            start = await _value_of(tell()) if tell is not None and seek is not None else None
            try:
                return await _read_awaiting(file, limit)
            finally:
                if start is not None and seek is not None:
                    await _value_of(seek(start))
    except InvalidInputError:
        raise
    except OSError as error:
        problem += f": {(error.strerror or type(error).__name__).lower()}"
    except Exception as error:  # a caller's file may raise anything
        problem += f" ({type(error).__name__})"
    raise _wrong(problem)


async def _read_awaiting(file: Any, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await file.read(limit + 1 - size):
        if not isinstance(part, (bytes, bytearray, memoryview)):
            raise _wrong("is a file that was not opened in binary mode")
        parts.append(bytes(part))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(f"more than {limit:,}", limit)
    if isinstance(part, str):
        raise _wrong("is a file that was not opened in binary mode")
    return b"".join(parts)


async def _value_of(given: Any) -> Any:
    return await given if inspect.isawaitable(given) else given


def _open_at_once(path: str, flags: int) -> int:
    # Opening a pipe without a writer would block forever, in a thread that cannot be ended.
    return os.open(path, flags | _NO_WAITING)


def _rest_of(file: Any, limit: int) -> bytes:
    if getattr(file, "closed", False):
        raise _wrong("is a file that was closed")
    if not getattr(file, "readable", lambda: True)():
        raise _wrong("is a file that was not opened for reading")
    if not getattr(file, "seekable", lambda: False)():
        return _read(file, limit)
    with _POSITIONS:
        start = file.tell()
        try:
            return _read(file, limit)
        finally:
            file.seek(start)


def _read(file: SupportsRead, limit: int) -> bytes:
    read: Callable[[int], Any] = file.read
    parts: list[bytes] = []
    size = 0
    while part := read(limit + 1 - size):  # an unbuffered file may give less at a time
        if inspect.isawaitable(part):
            if inspect.iscoroutine(part):
                part.close()
            raise _wrong("is a file whose read() must be awaited but is no coroutine function")
        if not isinstance(part, bytes):
            raise _wrong("is a file that was not opened in binary mode")
        parts.append(part)
        size += len(part)
        if size > limit:
            raise _too_large(f"more than {limit:,}", limit)
    if part is None:  # no end of the file: what comes later would be missing
        raise _wrong("is a file that does not wait for its data")
    return b"".join(parts)


def _is_binary_file(file: Any) -> bool:
    return callable(getattr(file, "read", None)) and not hasattr(file, "encoding")


def _name_of(file: Any) -> str:
    if isinstance(file, (str, os.PathLike)):
        return Path(os.fsdecode(file)).name
    # Uploads of web frameworks have a filename; Werkzeug's "name" is that of the form's field.
    name = getattr(file, "filename", None)
    if not isinstance(name, str) or not name:
        name = getattr(file, "name", None)  # a number for a bare descriptor
    return os.path.basename(name) if isinstance(name, str) else _UNNAMED


def _kept_name(name: str) -> str:
    """A name that a stock Django server keeps as it is (SERVICE.md, section 8).

    It takes ``&amp;`` for what it stands for, drops what cannot be printed, and drops the whole
    file, without a word, where nothing is left of its name.
    """
    name = clean_filename(LONE_SURROGATE.sub("_", name))
    if html.unescape(name) != name:
        name = name.replace("&", "_")
    name = "".join(filter(str.isprintable, name)).strip()
    if name in ("", ".", ".."):
        return _UNNAMED
    stem, dot, ending = name.rpartition(".")
    if len(name) <= _LONGEST_NAME or not stem or len(ending) > 20:
        return name[:_LONGEST_NAME]
    return stem[: _LONGEST_NAME - 1 - len(ending)] + dot + ending


def _too_large(size: str, limit: int) -> InvalidInputError:
    return InvalidInputError(
        f"the attachment has {size} bytes, and {limit:,} are allowed",
        fields={"attachment": ("is too large",)},
        next_step="Send a smaller file; where the service takes more, set max_attachment_bytes.",
    )


def _wrong(problem: str) -> InvalidInputError:
    return InvalidInputError(f"the attachment {problem}", fields={"attachment": (problem,)})
