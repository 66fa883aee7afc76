"""The file that rows go to: there whole under its name, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from ..atomicfile import PartFile
from ..errors import InvalidInputError

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


class Output:
    """One file to be: :meth:`begin`, write to :attr:`file`, :meth:`seal`, :meth:`publish`.

    Until it is published, what was written is in a hidden file beside its place, which only its
    owner may read. The methods block; call them from a thread.

    Args:
        to: the file to make. A relative path counts from the working directory of now.
        overwrite: whether an ordinary file that is there already may be replaced.

    Raises:
        InvalidInputError: the place cannot be written to, or the file is there already.
    """

    def __init__(self, to: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.target = _absolute(to)
        self.overwrite = overwrite
        self._check()
        self.temporary = ""
        """The hidden file, once it is made."""
        self._part: PartFile | None = None
        self._file: BinaryIO | None = None

    @property
    def file(self) -> BinaryIO:
        """Where to write, between :meth:`begin` and :meth:`seal`."""
        assert self._file is not None
        return self._file

    def keep_after_a_kill(self) -> None:
        """Have a hidden file that outlives a killed run, for a caller who notes its name: once it
        is sealed it holds rows that no later run reads again.
        """
        folder = os.path.dirname(self.target)
        self.temporary = os.path.join(folder, f".{secrets.token_hex(16)}.part")

    def begin(self) -> None:
        """Make the hidden file.

        Raises:
            OSError: the file system refuses.
        """
        if self.temporary:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | getattr(os, "O_BINARY", 0)
            descriptor = os.open(self.temporary, flags, 0o600)
        else:
            self._part = PartFile(os.path.dirname(self.target))
            self.temporary, descriptor = self._part.path, self._part.descriptor
        self._file = open(descriptor, "wb", buffering=256 * 1024)  # noqa: SIM115

    def seal(self) -> None:
        """See that all that was written is on the disk, and close the file.

        Raises:
            OSError: the disk is full, or fails.
        """
        with naming(self.target):
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()

    def publish(self) -> None:
        """Give the file its name, in one step.

        Raises:
            FileExistsError: a file has appeared under that name meanwhile; it was left alone.
            OSError: the file system refuses.
        """
        publish(self.temporary, self.target, overwrite=self.overwrite)
        self._let_go()

    def discard(self) -> None:
        """Leave nothing behind but what was published. Never raises OSError."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._part is not None:
            self._part.release()
        elif self.temporary:
            with suppress(OSError):
                os.unlink(self.temporary)

    def _check(self) -> None:
        """See beforehand what would go wrong after the transfer."""
        folder = os.path.dirname(self.target)
        problem, step = "", "Name another file."
        try:
            if not os.path.isdir(folder):
                problem, step = f"there is no folder {folder!r}", "Make the folder first."
            elif os.path.basename(self.target) in ("", ".", ".."):
                problem = "it is a folder"
            elif not os.access(folder, os.W_OK | os.X_OK):
                problem = f"the folder {folder!r} may not be written to"
            else:
                mode = os.lstat(self.target).st_mode
                if stat.S_ISDIR(mode):
                    problem = "it is a folder"
                elif not stat.S_ISREG(mode):
                    problem = "it is no ordinary file"
                elif not self.overwrite:
                    problem, step = (
                        "it is there already",
                        "Name another file, or allow to overwrite it.",
                    )
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or str(error)
        if problem:
            raise InvalidInputError(f"cannot write to {self.target!r}: {problem}", next_step=step)


def publish(temporary: str, target: str, *, overwrite: bool = False) -> None:
    """Give a file its name in one step. Its hidden name may be left: whoever calls removes it.

    A hidden file with a second name has got it before, whatever that is called by now. Where there
    are no hard links, it is the hidden file that has gone when that was done.

    Raises:
        FileExistsError: another file has that name, and may not be overwritten.
        OSError: the file system refuses.
    """
    if not os.path.lexists(temporary):
        return
    if overwrite:
        os.replace(temporary, target)
    elif os.lstat(temporary).st_nlink == 1:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise FileExistsError(
                errno.EEXIST, "it appeared meanwhile, and was left alone", target
            ) from None
        except (AttributeError, NotImplementedError, OSError):  # no hard links here
            _rename_to_nothing(temporary, target)
    sync_folder(os.path.dirname(target))


def _rename_to_nothing(temporary: str, target: str) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "it appeared meanwhile, and was left alone", target)
    os.rename(temporary, target)


def sync_folder(folder: str) -> None:
    """See that names in a folder are on the disk, where the system can that."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Errors of the disk name the file that they are about."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, path) from None


def _absolute(to: str | os.PathLike[str]) -> str:
    try:
        text = os.fspath(to)
    except TypeError:
        text = ""
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidInputError("a file to write to must be a path", next_step="Name a file.")
    return text if os.path.isabs(text) else os.path.join(os.getcwd(), text)
