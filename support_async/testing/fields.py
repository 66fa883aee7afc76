"""Checks the fields of a request as serializers of Django REST Framework do, in their words.

All errors of a request are gathered, in the order in which the fields are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from kapture_async._core.testing.forms import Form, FormFile, FormValue

from .rest import ApiError

MAX_FILE_NAME = 100

# Files above this size wait on Django's disk, in an object of another type.
_IN_MEMORY = 2_621_440

T = TypeVar("T")


class FieldError(Exception):
    """A field is refused; ``texts`` say why."""

    def __init__(self, *texts: str) -> None:
        super().__init__(*texts)
        self.texts = list(texts)


class Fields:
    """The fields of one request; ask for all of them, then call :meth:`finish`."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._errors: dict[str, list[str]] = {}

    def finish(self) -> None:
        """Refuse the request if any field was refused."""
        if self._errors:
            raise ApiError(400, self._errors)

    def text(self, name: str, *, max_length: int | None = None) -> str:
        """Return a text without outer white space; it may be neither missing nor blank."""
        return self._checked(name, lambda value: _text(value, max_length)) or ""

    def choice(self, name: str, choices: Collection[str], *, required: bool = True) -> str | None:
        """Return one of the choices; ``None`` where an optional one was left out or empty."""

        def check(value: FormValue) -> str:
            if (text := shown(value)) not in choices:
                raise FieldError(f'"{text}" is not a valid choice.')
            return text

        return self._checked(name, check, required=required)

    def related(
        self, name: str, known: Mapping[int, T], check: Callable[[T], None] | None = None
    ) -> T | None:
        """Return the object of an id; ``check`` may raise FieldError about it."""

        def find(value: FormValue) -> T:
            if value == "":
                raise FieldError("This field may not be null.")
            found = known[_known_id(value, known)]
            if check is not None:
                check(found)
            return found

        return self._checked(name, find)

    def many_related(self, name: str, known: Mapping[int, Any]) -> None:
        """Take the ids of at least one object; only the first bad one is named."""
        values = self._form.values(name)
        try:
            if not values:
                raise FieldError("This list may not be empty.")
            for value in values:
                _known_id(value, known)
        except FieldError as error:
            self._errors[name] = error.texts

    def file(self, name: str, max_bytes: int) -> FormFile | None:
        """Return an optional file."""
        return self._checked(name, lambda value: _file(value, max_bytes), required=False)

    def _checked(
        self, name: str, check: Callable[[FormValue], T], *, required: bool = True
    ) -> T | None:
        value = self._form.last(name)
        if value is None or (value == "" and not required):  # how a form leaves a field out
            if required:
                self._errors[name] = ["This field is required."]
            return None
        try:
            return check(value)
        except FieldError as error:
            self._errors[name] = error.texts
            return None


def shown(value: FormValue) -> str:
    """Return a value as messages show it: a file by its name."""
    return value if isinstance(value, str) else value.name


def as_id(value: FormValue) -> int | None:
    """Return the number that Django takes a value for, or ``None`` when it takes it for none.

    A text may have outer blanks, a sign, and digits of any script.
    """
    try:
        return int(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(value: FormValue, max_length: int | None) -> str:
    if isinstance(value, FormFile):
        raise FieldError("Not a valid string.")
    text = value.strip()
    if not text:
        raise FieldError("This field may not be blank.")
    problems: list[str] = []
    if max_length is not None and len(text) > max_length:
        problems.append(f"Ensure this field has no more than {max_length} characters.")
    if "\x00" in text:
        problems.append("Null characters are not allowed.")
    if problems:
        raise FieldError(*problems)
    return text


def _known_id(value: FormValue, known: Mapping[int, Any]) -> int:
    number = as_id(value)
    if number is None:
        raise FieldError(f"Incorrect type. Expected pk value, received {_type_name(value)}.")
    if number not in known:
        raise FieldError(f'Invalid pk "{value}" - object does not exist.')
    return number


def _type_name(value: FormValue) -> str:
    if isinstance(value, str):
        return "str"
    return "InMemoryUploadedFile" if value.size <= _IN_MEMORY else "TemporaryUploadedFile"


def _file(value: FormValue, max_bytes: int) -> FormFile:
    if isinstance(value, str):
        raise FieldError("The submitted data was not a file. Check the encoding type on the form.")
    if not value.size:
        raise FieldError("The submitted file is empty.")
    length = len(value.name)
    if length > MAX_FILE_NAME:
        raise FieldError(
            f"Ensure this filename has at most {MAX_FILE_NAME} characters (it has {length})."
        )
    if value.size > max_bytes:
        raise FieldError(f"File is too big. Max filesize: {_size(max_bytes)}.")
    return value


def _size(count: int) -> str:
    """Return a number of bytes in the largest unit that divides it."""
    for unit, name in ((2**20, "MiB"), (2**10, "KiB")):
        if count and count % unit == 0:
            return f"{count // unit}{name}"
    return f"{count}B"
