"""What a row's content is like, in one number: the kinds of text that helpdesks lose. Pure.

A helpdesk on an old character set cuts a text at its first emoji, another cuts long texts, a third
cleans markup away; so a row of such a kind is only proved missing by a lookup that brought another
of this kind back. The number is noted with the row, since the content is forgotten once the row is
in the helpdesk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

EMOJI = 1
"""A character beyond the basic plane: four bytes in UTF-8."""
MARKUP = 2
"""A sign that opens a tag."""
OBJECTS = 4
"""Fields in an object of the tenant's own."""
COMMENT = 8
"""A ``comment`` that is not blank: an update without one carries no reference. Says nothing of
what helpdesks lose."""
_FLAGS = EMOJI | MARKUP | OBJECTS
_COMMENT = re.compile(rb'"comment":"(?!(?:\\[nrtf]|\s)*")')
_LENGTH = 8
"""Where the length begins in the number: the power of two below it, above 128 bytes."""
_SHORT = 7

_SHORTER = bytes(range(0xF0))
"""All bytes but those that begin a sign of four: quicker to take away than to search by one."""
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
    """Whether a row that came back says anything of one with these traits: it has each of them,
    and is as long."""
    return not traits & ~shown & _FLAGS and shown >> _LENGTH >= traits >> _LENGTH


def lacking(shown: int, traits: int) -> str:
    """What a row has that those which came back have not, in words."""
    return " and ".join(_lacking(shown, traits))


def _lacking(shown: int, traits: int) -> Iterator[str]:
    for flag, name in _NAMES.items():
        if traits & ~shown & flag:
            yield name
    if traits >> _LENGTH > shown >> _LENGTH:
        yield f"{length_of(traits):,} bytes or more"


def strongest(several: Iterator[int]) -> int:
    """The traits that vouch for all of these."""
    flags = length = 0
    for traits in several:
        flags |= traits & _FLAGS
        length = max(length, traits >> _LENGTH)
    return flags | length << _LENGTH


def length_of(traits: int) -> int:
    """Bytes that a content must have to be as long as one with these traits."""
    bucket = traits >> _LENGTH
    return 1 << bucket + _SHORT - 1 if bucket else 0
