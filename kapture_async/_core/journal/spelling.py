"""Keys that a spreadsheet, an editor or another system has spelled in another way."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from decimal import Decimal

from .statements import Known, known_by_number

_UNSEEN = str.maketrans(
    {
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", None),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u02bc\u2032", "'"),
    }
)
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]{1,3})?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]*)?")
_COMMA_ZERO = re.compile(r"([+-]?[0-9]+),0{1,2}")
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_LONGEST_POWER = 60
_MOST = 20


def fold(key: str) -> str:
    """What all spellings of a key have in common, as far as programs change them unasked.

    Alike are: upper and lower case; letters with accents in one character or in two, full width or
    not; any blanks, seen or unseen, around or inside; an apostrophe in front; and a number with or
    without leading zeros, zeros behind the point, signs between thousands, or an exponent, in
    whichever digits.

    Two keys that are alike need not be the same (``1.1`` and ``1.10``): it is for the caller to
    ask what else speaks for it.
    """
    if not key.isascii():
        key = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())
        key = _OTHER_DIGIT.sub(_digit, key.translate(_UNSEEN))
    key = "".join(key.split()).lower()
    key = key.lstrip("'") or key
    if not key or key[0] not in "+-0123456789":
        return key
    if key.isdecimal():
        return key.lstrip("0") or "0"
    if _GROUPED.fullmatch(key):
        key = key.replace(",", "")
    elif match := _COMMA_ZERO.fullmatch(key):
        key = match[1]
    if _NUMBER.fullmatch(key):
        number = Decimal(key)
        sign, digits, power = number.as_tuple()
        assert isinstance(power, int)
        if -_LONGEST_POWER <= power <= _LONGEST_POWER:
            text = f"{number:f}"
            text = text.rstrip("0").rstrip(".") if "." in text else text
            text = text.lstrip("+-").lstrip("0") or "0"
            text = f"0{text}" if text.startswith(".") else text
            return f"-{text}" if sign and any(digits) else text
    return key


def _digit(match: re.Match[str]) -> str:
    return str(unicodedata.decimal(match[0]))


def other_spellings(
    connection: sqlite3.Connection, key: str, first_new: int, *, is_listed: bool
) -> list[Known]:
    """The rows of earlier runs whose keys are other spellings of this one.

    Args:
        connection: in a transaction.
        key: a key that no row has.
        first_new: the first row of this run.
        is_listed: what makes it quick is there already; else it is made, for this connection only.
    """
    if not is_listed:
        _list(connection, first_new)
    folded = fold(key)
    found = connection.execute(
        "SELECT row FROM temp.spellings WHERE folded = ? ORDER BY row", (hash(folded),)
    ).fetchmany(_MOST)
    rows = (known_by_number(connection, row) for (row,) in found)
    return [
        known
        for known in rows
        if known is not None
        and known.key is not None
        and known.key != key
        and known.repeat_of is None
        and fold(known.key) == folded
    ]


def _list(connection: sqlite3.Connection, first_new: int) -> None:
    connection.execute(
        "CREATE TEMP TABLE spellings (folded INTEGER, row INTEGER, PRIMARY KEY (folded, row)) "
        "WITHOUT ROWID"
    )
    keys = connection.execute(
        "SELECT key, row FROM rows WHERE key IS NOT NULL AND repeat_of IS NULL AND row < ?",
        (first_new,),
    )
    connection.executemany(
        "INSERT INTO temp.spellings VALUES (?, ?)", ((hash(fold(key)), row) for key, row in keys)
    )
