"""References and their markers: always found again, never found where they are not."""

from __future__ import annotations

import base64
import hashlib
import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapture_async._core.journal.reference import (
    append_marker,
    digest_of,
    marker_of,
    reference_of,
    references_in,
)

REF = reference_of("job", "A-1")
OTHER = reference_of("job", "A-2")
MARKER = marker_of(REF)

references = st.builds(
    reference_of,
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.text(min_size=1).filter(lambda text: text.isprintable()),
)
texts = st.text(max_size=200)


def test_references_never_change() -> None:
    # A journal outlives the process that made it: these must be the same for ever.
    assert reference_of("0" * 32, "A-1") == "43gl4t5n4e4nu6huy5ee"
    assert reference_of("0" * 32, None, digest_of(b"hello"), 0) == "bb7rtslnhibzgyqblu2k"
    assert reference_of("0" * 32, None, digest_of(b"hello"), 1) == "7pivrhxi6snx4bkaaq3y"


@given(texts.filter(lambda text: not re.search("[\ud800-\udfff]", text)))
def test_a_reference_is_base32_of_a_hash(key: str) -> None:
    hashed = hashlib.sha256(b"job\0key\0" + key.encode()).digest()
    assert reference_of("job", key) == base64.b32encode(hashed)[:20].decode().lower()


def test_references_tell_rows_apart() -> None:
    digest = digest_of(b"x")
    found = {
        reference_of("job", "a"),
        reference_of("job", "b"),
        reference_of("gob", "a"),
        reference_of("job", None, digest, 0),
        reference_of("job", None, digest, 1),
        reference_of("job", None, digest_of(b"y"), 0),
        reference_of("job", "content\0" + "0\0"),
        *(reference_of("job", str(n)) for n in range(10_000)),
    }
    assert len(found) == 10_007
    assert all(re.fullmatch("[a-z2-7]{20}", reference) for reference in found)


def test_a_reference_gives_nothing_of_a_long_digit_run() -> None:
    runs = [re.findall(r"\d{9,}", reference_of("job", str(n))) for n in range(20_000)]
    assert sum(map(len, runs)) <= 2  # a masker of phone numbers has nothing to mask


def test_the_marker_is_one_short_line_of_printable_ascii() -> None:
    assert f"[ref:{REF}]" == MARKER
    assert MARKER.isascii()
    assert MARKER.isprintable()
    assert len(MARKER) == 26
    assert html.escape(MARKER) == MARKER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, MARKER),
        ("", MARKER),
        ("hello", f"hello\n{MARKER}"),
        ("hello\n", f"hello\n{MARKER}"),
        ("hello\r\n", f"hello\r\n{MARKER}"),
        ("  hello \n\n ", f"  hello \n\n \n{MARKER}"),
        (f"hello\n{MARKER}", f"hello\n{MARKER}"),
        (f"{marker_of(OTHER)}", f"{marker_of(OTHER)}\n{MARKER}"),
    ],
)
def test_append(text: str | None, expected: str) -> None:
    assert append_marker(text, REF) == expected


@given(texts, references)
def test_append_keeps_the_text(text: str, reference: str) -> None:
    marked = append_marker(text, reference)
    assert marked.startswith(text)
    assert marked.splitlines()[-1] == marker_of(reference)
    assert append_marker(marked, reference) == marked


def all_entities(text: str) -> str:
    return "".join(f"&#{ord(sign)};" for sign in text)


MANGLERS = {
    "as it is": lambda text: text,
    "upper case": str.upper,
    "lower case": str.lower,
    "folded": str.casefold,
    "trimmed": str.strip,
    "blanks collapsed": lambda text: " ".join(text.split()),
    "escaped": html.escape,
    "escaped twice": lambda text: html.escape(html.escape(text)),
    "all entities": all_entities,
    "all entities, escaped": lambda text: html.escape(all_entities(text)),
    "upper case, escaped": lambda text: html.escape(text.upper()),
    "hexadecimal entities": lambda text: "".join(f"&#x{ord(sign):x};" for sign in text),
    "as HTML": lambda text: f"<p>{html.escape(text)}</p>".replace("\n", "<br>"),
    "as JSON": lambda text: text.replace("\n", "\\n"),
    "quoted": lambda text: "> " + text.replace("\n", "\n> "),
    "Turkish upper case": lambda text: text.replace("i", "\u0130").upper(),
    "Turkish, back again": lambda text: text.replace("i", "\u0130").lower(),
    "without a dot": lambda text: text.replace("i", "\u0131"),
}


@pytest.mark.parametrize("how", MANGLERS)
@settings(max_examples=40)
@given(st.text("abc <>&\n[]=ref:'", max_size=60), references)
def test_it_survives(how: str, text: str, reference: str) -> None:
    mangled = MANGLERS[how](append_marker(text, reference))
    assert references_in(mangled) == {reference}


BREAKS = [
    "\n",
    "\r\n",
    " ",
    "\t",
    "=\r\n",
    "=\n",
    "<br>",
    "<BR />",
    "<wbr>",
    "\u200b",
    "\u00ad",
    "\u00a0",
    "\u2028",
    "\ufeff",
    "\n \n",
    "&nbsp;",
    "&shy;",
    "&#8203;",
    "&lt;br&gt;",
]


@pytest.mark.parametrize("gap", BREAKS)
@pytest.mark.parametrize("place", range(1, 26))
def test_it_survives_a_break_anywhere(gap: str, place: int) -> None:
    assert references_in(f"x {MARKER[:place]}{gap}{MARKER[place:]} y") == {REF}


def test_several() -> None:
    text = f"{MARKER}\nforwarded: {marker_of(OTHER).upper()} {MARKER}{marker_of(OTHER)}"
    assert references_in(text) == {REF, OTHER}


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "hello",
        REF,
        f"ref:{REF}",
        f"[{REF}]",
        f"[ref {REF}]",
        f"[ref:{REF[:-1]}]",
        f"[ref:{REF}a]",
        f"[ref:{REF}",
        f"[ref:{REF[:-1]}1]",
        f"[ref:{REF[:-1]}-]",
        f"[ref:{REF[:10]}-{REF[10:]}]",
        f"[ref:{REF[:10]}<b>{REF[10:]}]",
        f"(ref:{REF})",
        f"[xref:{REF}]",
        f"[\uff52ef:{REF}]",
        "[ref:" + "\u017f" * 20 + "]",
        "[ref:" + "\u212a" * 20 + "]",
    ],
)
def test_nothing_else_matches(text: str | None) -> None:
    assert references_in(text) == set()


@given(texts)
def test_chance_finds_nothing(text: str) -> None:
    assert references_in(text) == set()
    assert references_in(f"[ref:{text}]") <= {re.sub(r"[^a-z2-7]", "", text.lower())}


@pytest.mark.parametrize(
    "text",
    [
        "[ref:" * 40_000,
        "[" + " " * 200_000,
        "&#91;" * 40_000,
        ("[ref:" + "a " * 19) * 5_000,
        "[r" + "=\n" * 100_000,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    assert references_in(text) == set()
