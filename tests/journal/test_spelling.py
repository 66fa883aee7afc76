"""Which keys are other spellings of each other."""

from __future__ import annotations

import unicodedata

import pytest

from kapture_async._core.journal.run_state import fold

ALIKE = [
    ("৪২", "४२", "٤٢", "042", "42.0"),
    ("1", "0001", "1.0", "1.", "01.00", "+1", " 1 ", "'1", "'0001", "1\u00a0", "1,0", "\uff11"),
    ("1234", "1,234", "1,234.00", "1.234E+3", "1.234e3", "1234.0"),
    ("1234567", "12,34,567", "1,234,567"),
    ("0", "000", "0.0", "-0"),
    ("-7", "-7.0", "\u22127"),
    ("1.1", "1.10", "01.1"),
    ("A-1", "a-1", " A-1", "A-1\t", "A -1", "A\u20111", "A\u2013\u200b1", "\ufeffA-1"),
    ("\u00e97", "e\u03017", "\u00c97"),
    ("stra\u00dfe", "STRASSE", "strasse"),
    ("", " ", "\u00a0"),
]


@pytest.mark.parametrize("spellings", ALIKE)
def test_alike(spellings: tuple[str, ...]) -> None:
    folded = {fold(one) for one in spellings}
    assert len(folded) == 1
    assert {fold(one) for one in folded} == folded
    assert {fold(unicodedata.normalize("NFD", one)) for one in spellings} == folded


def test_what_is_alike_is_so_to_nothing_else() -> None:
    every = [fold(spellings[0]) for spellings in ALIKE]
    others = ["10", "100", "12", "1.01", "A1", "A-01", "B-1", "1/1", "1-1", "7", "1e999", "e7", "."]
    every += [fold(key) for key in others]
    assert len(set(every)) == len(every)


def test_an_enormous_number_takes_no_time() -> None:
    assert fold("1e900") == "1e900"
    assert len(fold("1" * 5000 + ".0")) == 5000
