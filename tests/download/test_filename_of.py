"""The file name in a Content-Disposition header: as the RFCs have it, and as it really comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapture_async._core.download.filenames import filename_of


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        # plain
        ("attachment; filename=a.txt", "a.txt"),
        ("inline; filename=a.txt; size=3", "a.txt"),
        ("attachment; filename=two words.txt ; size=3", "two words.txt"),
        ('attachment; filename="two words.txt"', "two words.txt"),
        ('filename="a.txt"', "a.txt"),
        # odd spacing and case
        ('ATTACHMENT;FileName="a.txt"', "a.txt"),
        ('  attachment ;\t filename\t= \t"a.txt" ;', "a.txt"),
        (';;; ; filename="a.txt";;', "a.txt"),
        ("attachment; FILENAME*=utf-8''a.txt", "a.txt"),
        ("attachment; filename* = Utf-8''a.txt", "a.txt"),
        # quotes
        (r'attachment; filename="a \"b\" \\ c.txt"', r'a "b" \ c.txt'),
        (r'attachment; filename="f\oo.html"', "foo.html"),
        ('attachment; filename="a;b;filename=c.txt"', "a;b;filename=c.txt"),
        ('attachment; note="a; filename=evil.txt"; filename=good.txt', "good.txt"),
        ('attachment; note="a\\"; filename=evil.txt"; filename=good.txt', "good.txt"),
        ('attachment; filename="a.txt" junk; size=3', "a.txt"),
        ('attachment; filename="open.txt', "open.txt"),
        ('attachment; filename="open.txt; size=3', "open.txt"),
        ("attachment; filename=it's.txt", "it's.txt"),
        # extended
        ("attachment; filename*=utf-8''na%C3%AFve%20file.txt", "naïve file.txt"),
        ("attachment; filename*=UTF-8'en'%e2%82%ac.txt", "€.txt"),
        ("attachment; filename*=iso-8859-1'en'%A3%20rates.txt", "£ rates.txt"),
        ("attachment; filename*=Latin-1''caf%e9.txt", "café.txt"),
        ("attachment; filename*=us-ascii''plain.txt", "plain.txt"),
        ("attachment; filename*=\"utf-8''quoted%20all.txt\"", "quoted all.txt"),
        ("attachment; filename*=utf-8''it%27s'.txt", "it's'.txt"),
        ("attachment; filename*=utf-8''raw-é.txt", "raw-é.txt"),
        ("attachment; filename*=utf-8''a+b.txt", "a+b.txt"),
        # both
        ("attachment; filename=\"EUR.txt\"; filename*=utf-8''%e2%82%ac.txt", "€.txt"),
        ("attachment; filename*=utf-8''%e2%82%ac.txt; filename=\"EUR.txt\"", "€.txt"),
        # the first of two
        ("attachment; filename=a.txt; filename=b.txt", "a.txt"),
        ("attachment; filename*=utf-8''%zz; filename*=utf-8''b.txt", "b.txt"),
        # raw bytes, as aiohttp hands them over
        ('attachment; filename="résumé.txt"', "résumé.txt"),
        ('attachment; filename="r\udce9sum\udce9.txt"', "résumé.txt"),
        # nothing is decoded that the RFC does not say is encoded
        ('attachment; filename="100%25.txt"', "100%25.txt"),
        ('attachment; filename="=?utf-8?Q?a?="', "=?utf-8?Q?a?="),
        # as it stands, however hostile: making it safe is another's work
        ('attachment; filename="../../etc/passwd"', "../../etc/passwd"),
        ("attachment; filename*=utf-8''..%2F..%2Fetc%2Fpasswd%00", "../../etc/passwd\0"),
    ],
)
def test_names(header: str, expected: str) -> None:
    assert filename_of(header) == expected


UNREADABLE = [
    "utf-8''%",
    "utf-8''%4",
    "utf-8''%zz.txt",
    "utf-8''%e2%82.txt",  # cut off in the middle of a character
    "utf-8''%ff.txt",
    "utf-8''raw-\udcff.txt",
    "us-ascii''%e9.txt",
    "utf-16''a.txt",
    "idna''a.txt",
    "zlib_codec''a.txt",
    "nonsense''a.txt",
    "''a.txt",
    "utf-8'a.txt",
    "a.txt",
    "utf-8''",
    "",
]


@pytest.mark.parametrize("value", UNREADABLE)
def test_an_unreadable_extended_name(value: str) -> None:
    assert filename_of(f"attachment; filename*={value}") is None
    assert filename_of(f'attachment; filename*={value}; filename="plain.txt"') == "plain.txt"
    assert filename_of(f'attachment; filename="plain.txt"; filename*={value}') == "plain.txt"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "attachment",
        "inline;",
        "attachment; filename",
        "attachment; filename=",
        'attachment; filename=""',
        'attachment; filename="  "',
        "attachment; myfilename=a.txt",
        "attachment; filename*0=a; filename*1=b.txt",
        "attachment; filename*0*=utf-8''a; filename*1*=b.txt",
        "= = = ; = ;;;",
        '"',
        "\0",
    ],
)
def test_no_name(header: str | None) -> None:
    assert filename_of(header) is None


HEADERS = st.text(
    alphabet=st.sampled_from([*"filename*='\"\\;% \tutf8-", "\udce9", "\ud800", "é", "\0"])
)


@given(st.one_of(st.text(), HEADERS, HEADERS.map("attachment; filename*=utf-8''{}".format)))
def test_no_header_breaks_it(header: str) -> None:
    name = filename_of(header)
    assert name is None or name.strip()


@given(st.text(st.characters(codec="latin-1", exclude_characters='"\\', min_codepoint=32)))
def test_bytes_of_either_charset_come_out_right(name: str) -> None:
    expected = name if name.strip() else None
    header = f'attachment; filename="{name}"'
    assert filename_of(header) == expected
    try:
        header.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:  # so it cannot be taken for UTF-8
        raw = header.encode("latin-1")
        assert filename_of(raw.decode("utf-8", "surrogateescape")) == expected


@given(st.text())
def test_any_text_survives_as_an_extended_name(name: str) -> None:
    try:
        escaped = "".join(f"%{byte:02X}" for byte in name.encode())
    except UnicodeEncodeError:
        return
    assert filename_of(f"attachment; filename*=UTF-8''{escaped}") == (
        name if name.strip() else None
    )


@pytest.mark.timeout(15)  # quadratic work takes minutes
def test_a_long_hostile_header_takes_no_time() -> None:
    for text in ('a="\\";', '"', ";", "=", '="', "filename*=utf-8''%", "\\", ' "'):
        filename_of("attachment; " + text * 100_000)
