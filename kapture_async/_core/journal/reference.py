"""What a journal keeps of a row's content: digest, reference and traits. Pure.

The reference is what finds a row again in the helpdesk:

100 bits of a hash: it reveals nothing about the row, cannot be guessed without the journal, and
does not occur by chance. So the search for it can be lenient (a helpdesk may escape, wrap or fold
a text) without false matches.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator

LENGTH = 20
"""Characters of a reference, each of ``a-z2-7``: few digits, so that none looks like a phone or
card number that a filter would mask."""

DIGEST = 16
"""Bytes of a digest."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [one + two for one in _LETTERS for two in _LETTERS]

# A helpdesk may break a line anywhere, in its own way: as text, as mail or as HTML.
_GAP = r"(?:\s|=\r?\n|<(?:br|wbr)\s*/?>)*"
_MARKER = re.compile(
    # The bracket that ends it may be escaped as that of a link in Markdown; so may the colon.
    r"\["
    + _GAP
    + _GAP.join(["r", "e", "f", r"\\?:"])
    + f"((?:{_GAP}[a-z2-7]){{{LENGTH}}}){_GAP}\\\\?\\]",
    re.IGNORECASE | re.ASCII,
)
_NOT_REFERENCE = re.compile(r"=\r?\n|<[^>]*>|[^a-z2-7]", re.IGNORECASE | re.ASCII)

# Characters that helpdesks insert, and what case folding in a Turkish locale turns an i into.
_ODD = str.maketrans(
    {
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff\u0307", None),
        **dict.fromkeys("\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\u0085", " "),
        **dict.fromkeys((chr(code) for code in range(0x2000, 0x200B)), " "),
        "\u0130": "i",
        "\u0131": "i",
    }
)


def digest_of(content: bytes) -> bytes:
    """The 16-byte digest of a row's content; equal only for equal contents."""
    return hashlib.sha256(content).digest()[:DIGEST]


def reference_of(job_id: str, key: str | None, digest: bytes = b"", occurrence: int = 0) -> str:
    """The reference of a row: always the same for the same row of the same job.

    Args:
        job_id: of the journal.
        key: the row's key; the rest has no meaning then.
        digest: of the row's content, if it has no key.
        occurrence: how many rows with the same content came before it; less than 0 for a row that
            shares its key with an earlier row and is told apart by its content.
    """
    if key is not None and occurrence < 0:
        name = f"{job_id}\0repeat\0{key}\0".encode() + digest
    elif key is not None:
        name = f"{job_id}\0key\0{key}".encode()
    else:
        name = f"{job_id}\0content\0{occurrence}\0".encode() + digest
    number = int.from_bytes(hashlib.sha256(name).digest()[:13], "big") >> 4
    pairs = _PAIRS
    # Unrolled: this runs for every row, and a loop takes twice as long.
    return (
        f"{pairs[number >> 90]}{pairs[number >> 80 & 1023]}{pairs[number >> 70 & 1023]}"
        f"{pairs[number >> 60 & 1023]}{pairs[number >> 50 & 1023]}{pairs[number >> 40 & 1023]}"
        f"{pairs[number >> 30 & 1023]}{pairs[number >> 20 & 1023]}{pairs[number >> 10 & 1023]}"
        f"{pairs[number & 1023]}"
    )


def marker_of(reference: str) -> str:
    """The reference as it appears in a text: one short line of printable ASCII."""
    return f"[ref:{reference}]"


def append_marker(text: str | None, reference: str) -> str:
    """The text with the marker on a line of its own at the end; otherwise untouched.

    A text that ends with this very marker already stays as it is.
    """
    marker = f"[ref:{reference}]"
    if not text:
        return marker
    if text.endswith(marker):
        return text
    return f"{text}{marker}" if text.endswith("\n") else f"{text}\n{marker}"


def references_in(text: str | None) -> set[str]:
    """Every reference whose marker is in a text.

    Found in any case, HTML-escaped once or twice, with its brackets escaped as in Markdown, with
    line breaks, blanks or invisible characters inserted. A truncated one is not found.
    """
    if not text or ("[" not in text and "&" not in text):
        return set()
    if "&" in text:
        text = html.unescape(html.unescape(text))
    if not text.isascii():
        text = text.translate(_ODD)
    return {_NOT_REFERENCE.sub("", match[1]).lower() for match in _MARKER.finditer(text)}


# --- what the content of a row is like

# A helpdesk on an old character set cuts a text at its first emoji, another cuts long texts, a
# third strips markup. So a row of such a kind is proven missing only by a lookup that brought
# another row of the same kind back. The traits are recorded with the row, as its content is
# deleted once the row is in the helpdesk.

EMOJI = 1
"""A character beyond the basic plane: four bytes in UTF-8."""
MARKUP = 2
"""A character that opens a tag."""
OBJECTS = 4
"""Fields in one of the tenant's own objects."""
COMMENT = 8
"""A ``comment`` that is not blank: an update without one carries no reference. Not among the
things that helpdesks lose."""
_FLAGS = EMOJI | MARKUP | OBJECTS
_COMMENT = re.compile(rb'"comment":"(?!(?:\\[nrtf]|\s)*")')
_LENGTH = 8
"""Where the length begins in the number: the power of two below it, above 128 bytes."""
_SHORT = 7

_SHORTER = bytes(range(0xF0))
"""All bytes but those that start a four-byte character: removing them is quicker than a search."""
_NAMES = {EMOJI: "an emoji", MARKUP: "markup", OBJECTS: "additional fields"}


def traits_of(content: bytes) -> int:
    """The traits of a row.

    Args:
        content: what it is sent with, as JSON in UTF-8.
    """
    found = max(0, len(content).bit_length() - _SHORT) << _LENGTH
    if b"<" in content:
        found |= MARKUP
    if content.find(b"{", 1) > 0 and (b'":{' in content or b'":[{' in content):
        found |= OBJECTS
    if b'"comment"' in content and _COMMENT.search(content):
        found |= COMMENT
    if not content.isascii() and content.translate(None, _SHORTER):
        found |= EMOJI
    return found


def covers(shown: int, traits: int) -> bool:
    """Whether a row that came back proves anything for one with these traits: it has each of them,
    and is as long."""
    return not traits & ~shown & _FLAGS and shown >> _LENGTH >= traits >> _LENGTH


def lacking(shown: int, traits: int) -> str:
    """The traits of a row that none of those which came back has, in words."""
    return " and ".join(_lacking(shown, traits))


def _lacking(shown: int, traits: int) -> Iterator[str]:
    for flag, name in _NAMES.items():
        if traits & ~shown & flag:
            yield name
    if traits >> _LENGTH > shown >> _LENGTH:
        yield f"{length_of(traits):,} bytes or more"


def strongest(several: Iterator[int]) -> int:
    """The traits that cover all of these."""
    flags = length = 0
    for traits in several:
        flags |= traits & _FLAGS
        length = max(length, traits >> _LENGTH)
    return flags | length << _LENGTH


def length_of(traits: int) -> int:
    """The least bytes of a content as long as one with these traits."""
    bucket = traits >> _LENGTH
    return 1 << bucket + _SHORT - 1 if bucket else 0
