"""Where a download goes: a temporary file beside its target, then the target, whole or not at all.

Nothing here waits for a network; it is called from a thread, so that a slow disk holds up no
event loop.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from contextlib import suppress
from io import FileIO
from pathlib import Path

from ..arguments import check_flag
from ..atomicfile import PartFile
from ..errors import InvalidInputError
from .filenames import safe_filename

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_TAKE_ANOTHER = "name a file that does not exist, or pass overwrite=True"


class Saving:
    """Where one download goes: :meth:`prepare`, :meth:`begin`, :meth:`write`, :meth:`finish`.

    Until :meth:`finish` nothing stands under the name of the target; what has come so far is in
    a hidden file beside it, which :meth:`discard` removes. The methods may be called from
    several threads: a :meth:`discard` that comes while another one runs waits for it, and what
    comes after it does nothing but raise.
    """

    def __init__(self, folder: str, name: str | None, *, overwrite: bool) -> None:
        self._folder = folder
        self._name = name
        self._overwrite = overwrite
        self._target = ""
        self._temporary: str | None = None
        self._part: PartFile | None = None
        self._file: FileIO | None = None
        self._over = False
        self._lock = threading.Lock()

    @classmethod
    def prepare(cls, to: str | os.PathLike[str], *, overwrite: bool) -> Saving:
        """Look at the place, and refuse what cannot come to good before anything is sent.

        Args:
            to: the file to make; or a folder, if one stands there already or the text ends in a
                separator, and then the service names the file. A relative path counts from the
                working directory of now. ``~`` has no meaning.
            overwrite: whether a file that is there already may be replaced. A symbolic link is
                replaced itself; what it points to stays as it is.

        Raises:
            InvalidInputError: the folder is missing or cannot be written to, the file is there
                and ``overwrite`` is false, or what is there is no ordinary file. Nothing was
                made.
        """
        check_flag("overwrite", overwrite)
        text = _text_of(to)
        try:
            # Joined and not "made absolute": cutting ".." out of a text leads elsewhere if the
            # part before it is a symbolic link.
            path = text if os.path.isabs(text) else os.path.join(os.getcwd(), text)
            if _means_folder(text) or os.path.isdir(path):
                folder, name = path, None
            else:
                folder, name = os.path.split(path)
            _check_folder(folder, text)
            if name is not None:
                _check_target(path, overwrite=overwrite)
        except InvalidInputError:
            raise
        except (OSError, ValueError) as error:  # ValueError: a NUL, a lone surrogate
            reason = getattr(error, "strerror", None) or str(error)
            raise InvalidInputError(
                f"cannot save to {text!r}: {reason}", next_step="Name another place."
            ) from error
        return cls(folder, name, overwrite=overwrite)

    def begin(self, filename: str) -> None:
        """Make the temporary file.

        Args:
            filename: the name the file gets if the target is a folder; else it has no meaning.
                Whatever it is, the file ends up in that folder: see :func:`.safe_filename`.

        Raises:
            FileExistsError: a file of that name is there, and may not be overwritten. Nothing
                was made.
            OSError: the file system refuses; its reason.
            RuntimeError: begun or discarded before.
        """
        with self._lock:
            if self._over or self._temporary is not None:
                raise RuntimeError("this saving was begun before, or it is over")
            name = self._name
            if name is None:
                name = safe_filename(filename, "download")
            target = os.path.join(self._folder, name)
            _check_target(target, overwrite=self._overwrite, sent=True)
            self._part = part = PartFile(self._folder)
            self._target, self._temporary = target, part.path
            self._file = FileIO(part.descriptor, "r+b")

    def write(self, data: bytes) -> None:
        """Add to the temporary file.

        Raises:
            OSError: the disk is full, or anything else the file system complains of. What was
                written is there still; :meth:`restart` or :meth:`discard` it.
            RuntimeError: not begun, or over.
        """
        with self._lock:
            file = self._begun()
            left = memoryview(data)
            while left:  # a disk that fills up takes a part first, and refuses the rest
                left = left[file.write(left) :]

    def restart(self) -> None:
        """Empty the temporary file, to begin the transfer anew.

        Raises:
            OSError: as for :meth:`write`.
            RuntimeError: not begun, or over.
        """
        with self._lock:
            file = self._begun()
            file.seek(0)
            file.truncate()

    def finish(self) -> Path:
        """Give the file its name, in one step: it is there whole, or not at all.

        What was written is on the disk before it gets its name.

        Returns:
            Where it is, as an absolute path.

        Raises:
            FileExistsError: something has appeared under that name meanwhile, and may not be
                overwritten; it was left alone.
            OSError: the file system refuses. There is no target, or the old one is untouched.
            RuntimeError: not begun, or over.
        """
        with self._lock:
            file = self._begun()
            assert self._temporary is not None
            os.fsync(file.fileno())
            # Closed first: Windows moves no open file, and network file systems report what
            # they could not write only here.
            self._close()
            if self._overwrite:
                _check_target(self._target, overwrite=True, sent=True)
                os.replace(self._temporary, self._target)
            else:
                _publish(self._temporary, self._target)
            self._over = True
            self._remove()
            return Path(self._target)

    def discard(self, *, wait: bool = True) -> bool:
        """Leave nothing behind but what :meth:`finish` has made. Never raises OSError.

        May be called at any time, also again, also while another method runs in another thread.

        Args:
            wait: for that other method; if false, nothing is done while there is one.

        Returns:
            Whether it was done.
        """
        if not self._lock.acquire(blocking=wait):
            return False
        try:
            self._over = True
            # The error that led here matters more than one of the cleaning up.
            with suppress(OSError):
                self._close()
            self._remove()
        finally:
            self._lock.release()
        return True

    def _begun(self) -> FileIO:
        if self._over or self._file is None:
            raise RuntimeError("this saving was not begun, or it is over")
        return self._file

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _remove(self) -> None:
        if self._part is not None:
            self._part.release()


def _text_of(to: str | os.PathLike[str]) -> str:
    try:
        text: object = os.fspath(to)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text:
        raise InvalidInputError(
            "a download is saved to a path, given as a text or a Path that is not empty"
        )
    return text


def _means_folder(text: str) -> bool:
    """Whether a path can only be a folder, whatever stands there."""
    return os.path.basename(text) in {"", os.curdir, os.pardir}


def _check_folder(folder: str, text: str) -> None:
    try:
        is_folder = stat.S_ISDIR(os.stat(folder).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidInputError(
            f"cannot save to {text!r}: there is no folder {folder!r}",
            next_step="Make the folder, or name another place.",
        ) from None
    if not is_folder:
        raise InvalidInputError(
            f"cannot save to {text!r}: {folder!r} is not a folder",
            next_step="Name another place.",
        )
    # Only a hint, but one that comes before the transfer and not after it.
    effective = os.access in os.supports_effective_ids
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        raise InvalidInputError(
            f"cannot save to {text!r}: the folder {folder!r} cannot be written to",
            next_step="Have it permitted, or name another place.",
        )


def _check_target(target: str, *, overwrite: bool, sent: bool = False) -> None:
    """Refuse a target that is there and may not be replaced.

    Args:
        target: the path.
        overwrite: whether an ordinary file may be.
        sent: whether a request has gone out, so that the error must not deny it.
    """
    try:
        mode = os.lstat(target).st_mode
        if stat.S_ISLNK(mode) and overwrite:
            # A link to a device (/dev/stdout is one) is as little a place for files as that.
            mode = os.stat(target).st_mode
    except FileNotFoundError:  # or a link that leads nowhere
        return
    if stat.S_ISDIR(mode):
        problem, remedy = "is a folder", "name a file in it, or another place"
    elif not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        problem, remedy = "is a device, a pipe or a socket", "name another place"
    elif not overwrite:
        problem, remedy = "is there already", _TAKE_ANOTHER
    else:
        return
    if sent:
        raise FileExistsError(errno.EEXIST, f"it {problem}, and was left alone; {remedy}", target)
    raise InvalidInputError(
        f"cannot save to {target!r}: it {problem}",
        next_step=f"{remedy[0].upper()}{remedy[1:]}.",
    )


def _appeared(target: str) -> FileExistsError:
    return FileExistsError(
        errno.EEXIST,
        f"it appeared during the download, and was left alone; {_TAKE_ANOTHER}",
        target,
    )


def _publish(temporary: str, target: str) -> None:
    """Give a file its name if nothing has that name, in one step."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _appeared(target) from None
    except (AttributeError, NotImplementedError, OSError):
        # No hard links here: FAT, Android, some network file systems. They say so in many ways,
        # and if it was for another reason, that will be told below.
        _publish_without_links(temporary, target)


def _publish_without_links(temporary: str, target: str) -> None:
    # An empty file takes the name, which only one can; then the whole one takes its place. For
    # that moment the name stands for an empty file: the best there is without links.
    try:
        place = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600)
    except FileExistsError:
        raise _appeared(target) from None
    try:
        ours = os.fstat(place)
    finally:
        os.close(place)
    try:
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            # Its number may be another file's by now; an empty one is no loss in any case.
            there = os.lstat(target)
            if os.path.samestat(there, ours) and there.st_size == 0:
                os.unlink(target)
        raise
