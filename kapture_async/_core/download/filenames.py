"""File names that come from outside: read from a header, and made safe for a file system."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote_to_bytes

LONGEST_NAME = 200
"""Bytes of UTF-8. File systems take 255; the rest is room for ``(1)`` or ``.part`` of others."""
_LONGEST_EXTENSION = 16
"""Bytes. Anything longer is not an extension but a text with a dot in it."""
_LAST_RESORT = "download"

# --- reading -----------------------------------------------------------------------------------

# Quotes mean something only where a value begins. One that is never closed does not count: then
# the value is plain, up to the next semicolon.
_PARAMETER = re.compile(
    r"""
    [;\s]*
    (?P<name> [^;=]* )
    (?: = \s* (?: " (?P<quoted> (?: [^"\\] | \\. )* ) " [^;]* | (?P<plain> [^;]* ) ) )?
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

# The two that RFC 5987 names, and the one that both contain. A charset out of a header must not
# reach the codec registry, which knows many slow and odd ones.
_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "us-ascii": "ascii",
}


def filename_of(disposition: str | None) -> str | None:
    """The file name that a ``Content-Disposition`` header gives (RFC 6266, RFC 8187).

    ``filename*`` wins over ``filename`` if it can be read; of two with the same name the first
    counts. Continuations (``filename*0``) are not read.

    Args:
        disposition: the header, decoded as UTF-8 with ``surrogateescape``, as aiohttp does;
            bytes of a plain name that are not UTF-8 are taken for ISO 8859-1.

    Returns:
        The name as the header has it, not to be trusted in any way: it may hold a path, control
        characters, anything. Pass it through :func:`safe_filename`. ``None`` if there is none.
    """
    names: dict[str, str] = {}
    for key, value in _parameters(disposition or ""):
        name = _decoded(value) if key == "filename*" else _without_surrogates(value)
        if name is not None and name.strip():
            names.setdefault(key, name)
    return names.get("filename*", names.get("filename"))


def _parameters(header: str) -> list[tuple[str, str]]:
    found = []
    position = 0
    while position < len(header):
        match = _PARAMETER.match(header, position)
        if match is None or match.end() == position:
            break
        position = match.end()
        quoted, plain = match["quoted"], match["plain"]
        if quoted is not None:
            value = _QUOTED_PAIR.sub(r"\1", quoted)
        elif plain is not None:
            value = plain.strip().removeprefix('"')
        else:
            continue  # the disposition type, or a stray word
        found.append((match["name"].strip().lower(), value))
    return found


def _decoded(value: str) -> str | None:
    """What ``utf-8'en'%e2%82%ac`` stands for; ``None`` if it is not of that form."""
    charset, mark, rest = value.partition("'")
    _language, second, text = rest.partition("'")
    codec = _CHARSETS.get(charset.strip().lower())
    if not (mark and second) or codec is None or _BAD_ESCAPE.search(text):
        return None
    try:
        raw = unquote_to_bytes(text.encode("utf-8", "surrogateescape"))
        return raw.decode(codec)
    except UnicodeError:
        return None


def _without_surrogates(value: str) -> str:
    """The value, with bytes that were no UTF-8 read as ISO 8859-1, which HTTP once prescribed."""
    try:
        raw = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # other lone surrogates, which no header decodes to
        return value
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


# --- making safe -------------------------------------------------------------------------------

_SEPARATOR = re.compile(r"[/\\]")
# Windows takes none of these in a name, and a colon leads to another stream of the same file.
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"]
    + [f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"]
)
# Shown as nothing, and of no category that says so: "Default_Ignorable_Code_Point" of Unicode
# without the format characters. Two names that look the same should be the same.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
# Control, format (bidi overrides, zero-width joiners, byte order marks), lone surrogates, line
# and paragraph separators.
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def safe_filename(name: str | None, default: str) -> str:
    """One path part that every common system takes as a file name, and takes as what it shows.

    Only the part after the last ``/`` or ``\\`` counts. Characters that are not seen (control,
    bidi, zero-width) are dropped, those that Windows forbids become ``_``, dots and blanks at
    both ends go, device names (``CON``, also ``con.txt``) get a ``_`` in front. The result is in
    Unicode's form NFC, without lone surrogates and at most 200 bytes long in UTF-8; a short
    extension outlives the cut. Making it safe again changes nothing.

    Args:
        name: any text, however hostile.
        default: taken if nothing is left of ``name``; made safe in the same way.

    Returns:
        The safe name; never empty.
    """
    return _safe(name or "") or _safe(default) or _LAST_RESORT


def _safe(name: str) -> str:
    # Far more than can be left of it; normalising takes quadratic time on hostile texts.
    last = _SEPARATOR.split(name)[-1]
    if len(last) > 4000:
        last = last[:3000] + last[-1000:]
    seen = "".join(map(_seen, _INVISIBLE.sub("", last)))
    # After the dropping, which may bring a letter and its accent together.
    whole = unicodedata.normalize("NFC", _FORBIDDEN.sub("_", seen)).strip(". ")
    safe = _shortened(whole)
    if safe.split(".", 1)[0].rstrip().upper() in _DEVICES:
        safe = _shortened(f"_{safe}")
    return safe


def _seen(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    code = ord(character)
    is_no_character = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return "" if category in _DROPPED or is_no_character else character


def _shortened(name: str) -> str:
    if len(name.encode()) <= LONGEST_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    ending = dot + extension
    if not stem or len(extension.encode()) > _LONGEST_EXTENSION:
        stem, ending = name, ""
    room = LONGEST_NAME - len(ending.encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ") + ending
