"""What the service says when it refuses: all its shapes, read into one.

The service documents its texts but not one error body (SERVICE.md, sections 2.4 and 6), so every
shape that its framework, a wrapper around that and a gateway in front of it could give is taken.
Nothing here raises, whatever the body holds, and nothing here grows with the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from attrs import define, field, frozen

from kapture_async._core.lazy import lazy_pattern

ENVELOPE: Final = frozenset({"status_code", "errors", "data", "message", "error_type"})
"""The keys an envelope may have; ``errors`` it must have (section 6.3)."""

# "errors" is here for wrappers with further keys of their own, which are no envelope.
_NO_FIELD = frozenset({"", "detail", "non_field_errors", "__all__", "message", "error", "errors"})
_PUBLIC_NAMES = {"ticket": "ticket_id"}
# The answer of a login. They are no form fields, so what stands there is no complaint.
_TOKENS = frozenset({"access", "refresh"})

_DEPTH = 8
_VALUES = 1_000
_FIELDS = 64
_TEXTS = 16
"""Texts per field."""
_NAME_CAP = 60
_TEXT_CAP = 500
_TOTAL_CAP = 8_000

_BLANKS = lazy_pattern(r"\s+")
_CODE = lazy_pattern(r"[\w.-]{1,64}")
_JWT = lazy_pattern(r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}")


@frozen(repr=False)
class Refusal:
    """A refusal in the service's own words. Its repr shows none of them.

    Attributes:
        fields: public field name to texts; nested ones have dotted names (``tags.1``). Texts
            that belong to no field stand under ``""``, which comes first.
        status_code: the HTTP status that the body itself names.
        error_type: the label that the documentation prints beside each text, if a body has it.
        code: the framework's code of the cause, such as ``token_not_valid``.
        messages: further texts that come with ``code``.
        enveloped: it came in the service's envelope.
        detailed: it came under ``detail``, where the framework puts what concerns no field.
        cut: there was more than is kept.
    """

    fields: Mapping[str, tuple[str, ...]]
    status_code: int | None = None
    error_type: str | None = None
    code: str | None = None
    messages: tuple[str, ...] = ()
    enveloped: bool = False
    detailed: bool = False
    cut: bool = False

    def __repr__(self) -> str:
        return f"<Refusal with {len(self.fields)} fields, status_code={self.status_code}>"

    @property
    def words(self) -> str | None:
        """All texts in one line, for a person; ``None`` if there are none.

        The name of a field stands before its texts where they do not name it themselves.
        """
        parts = []
        for name, texts in self.fields.items():
            said = " ".join(texts)
            parts.append(f"{name}: {said}" if _needs_name(name, said) else said)
        if self.messages:
            parts.append(" ".join(self.messages))
        if len(parts) > 1:
            parts = [part.rstrip(" .,;") for part in parts]
        told = "; ".join(part for part in parts if part) or self.error_type
        return f"{told} …" if told and self.cut else told

    @property
    def named(self) -> set[str]:
        """The fields it names, without what stands below them."""
        return {name.partition(".")[0] for name in self.fields if name}

    def hint(self, name: str) -> str:
        """The texts of one field and those below it, fit for comparing; see :func:`plain`."""
        below = f"{name}."
        return " ".join(
            plain(text)
            for found, texts in self.fields.items()
            if found == name or (name and found.startswith(below))
            for text in texts
        )

    def hints(self) -> str:
        """All texts, fit for comparing."""
        return " ".join(plain(text) for texts in self.fields.values() for text in texts)


def plain(text: str) -> str:
    """A text fit for comparing with a documented one.

    Case, white space and closing punctuation differ between the documentation and the wire, and
    from page to page (section 5, A10).
    """
    return _BLANKS.sub(" ", text).strip().rstrip(".,; ").casefold()


def refusal_of(body: Any, mask: Callable[[str], str] = str) -> Refusal:
    """What a decoded body complains about, in one shape (SERVICE.md, section 6.3).

    Args:
        body: any JSON value.
        mask: hides the secrets in a text.

    Returns:
        The refusal; one without texts if the body says nothing.
    """
    gathered = _Gathered(mask)
    enveloped = isinstance(body, dict) and "errors" in body and body.keys() <= ENVELOPE
    if isinstance(body, dict):
        gathered.status_code = status_code_of(body)
        error_type = body.get("error_type")
        if isinstance(error_type, str):
            gathered.error_type = gathered.one_line(error_type) or None
        left_out = {"data", "status_code", "error_type"} if enveloped else set()
        if gathered.status_code is not None:
            left_out.add("status_code")
        if gathered.error_type is not None:
            left_out.add("error_type")
        if enveloped:
            gathered.take(body["errors"], (), 0)
            gathered.take(body.get("message"), (), 0)
        else:
            gathered.take_object(body, (), 0, left_out)
    else:
        gathered.take(body, (), 0)
    return gathered.refusal(enveloped=enveloped)


def status_code_of(body: Any) -> int | None:
    """The HTTP status that an object names as its own, as a number or in digits.

    A list of texts under that name is a form field's error, and no status.
    """
    value = body.get("status_code") if isinstance(body, dict) else None
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and 100 <= value <= 999 else None


@define
class _Gathered:
    """A refusal in the making, with what may still be added to it."""

    mask: Callable[[str], str]
    fields: dict[str, list[str]] = field(factory=dict)
    status_code: int | None = None
    error_type: str | None = None
    code: str | None = None
    messages: list[str] = field(factory=list)
    detailed: bool = False
    cut: bool = False
    values_left: int = _VALUES
    room: int = _TOTAL_CAP

    def take(self, value: Any, path: tuple[str | int, ...], depth: int) -> None:
        """Whatever stands at ``path``: a text, texts, or further levels."""
        self.values_left -= 1
        if depth > _DEPTH:
            self.cut = True
        elif isinstance(value, dict):
            self.take_object(value, path, depth)
        elif isinstance(value, (list, tuple)):
            for index, inner in self._some(enumerate(value)):
                deeper = isinstance(inner, (dict, list, tuple))
                self.take(inner, (*path, index) if deeper else path, depth + 1)
        elif value is not None:
            self._add(_name(path), _text(value))

    def take_object(
        self,
        value: Mapping[Any, Any],
        path: tuple[str | int, ...],
        depth: int,
        left_out: set[str] | frozenset[str] = frozenset(),
    ) -> None:
        """The members of an object; beside ``detail``, some of them are no fields."""
        if "detail" in value:
            left_out = left_out | self._take_metadata(value, at_top=_name(path) == "")
        for key, inner in self._some(iter(value.items())):
            name = self.one_line(_text(key), _NAME_CAP)
            if name in left_out or (name in _TOKENS and isinstance(inner, str)):
                continue
            self.take(inner, path if name in _NO_FIELD else (*path, name), depth + 1)

    def one_line(self, text: str, cap: int = _TEXT_CAP) -> str:
        """A text without secrets and line breaks, cut."""
        # Masked before it is cut: what cutting leaves of a secret would no longer be found. No
        # reader of a refusal needs a token, so one that is not ours goes, too.
        text = _JWT.sub("***", self.mask(text[: 16 * cap])[: 8 * cap])
        text = _BLANKS.sub(" ", text).strip()
        return text if len(text) <= cap else text[: cap - 1] + "…"

    def refusal(self, *, enveloped: bool) -> Refusal:
        """What was gathered, with what belongs to no field in front."""
        names = sorted(self.fields, key=bool)
        return Refusal(
            fields={name: tuple(self.fields[name]) for name in names},
            status_code=self.status_code,
            error_type=self.error_type,
            code=self.code,
            messages=tuple(self.messages),
            enveloped=enveloped,
            detailed=self.detailed,
            cut=self.cut,
        )

    def _some(self, members: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        yield from islice(members, max(0, self.values_left))
        if next(members, None) is not None:
            self.cut = True

    def _take_metadata(self, value: Mapping[Any, Any], *, at_top: bool) -> set[str]:
        # Only beside "detail": in a bare body a form field could have such a name.
        code = value.get("code")
        if isinstance(code, list) and len(code) == 1:
            code = code[0]
        if at_top:
            self.detailed = True
            if self.code is None and isinstance(code, str) and _CODE.fullmatch(code):
                self.code = code
            self.status_code = self.status_code or status_code_of(value)
            messages = value.get("messages")
            for message in islice(messages, _TEXTS) if isinstance(messages, list) else ():
                text = message.get("message") if isinstance(message, dict) else message
                if isinstance(text, str) and (text := self._fit(text)):
                    self.messages.append(text)
        return {"code", "messages", "status_code"}

    def _add(self, name: str, text: str) -> None:
        if name not in self.fields and len(self.fields) >= _FIELDS:
            self.cut = True
            return
        if len(self.fields.get(name, ())) >= _TEXTS:
            self.cut = True
        elif (text := self._fit(text)) and text not in self.fields.setdefault(name, []):
            self.fields[name].append(text)

    def _fit(self, text: str) -> str:
        text = self.one_line(text)
        if len(text) > self.room:
            self.cut = True
            text = ""
        self.room -= len(text)
        return text


def _name(path: tuple[str | int, ...]) -> str:
    """The public name of a place; empty if nothing but positions of a list lead there."""
    if all(isinstance(part, int) for part in path):
        return ""
    first = _PUBLIC_NAMES.get(str(path[0]), str(path[0]))
    return ".".join((first, *(str(part) for part in path[1:])))


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # a number of too many digits, for one
        return f"({type(value).__name__})"


def _needs_name(name: str, said: str) -> bool:
    return (
        bool(name) and name.removesuffix("_id").replace("_", " ").casefold() not in said.casefold()
    )
