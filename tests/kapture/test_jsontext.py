"""JSON that is odd in one place is read, what was odd is named, and nothing is silently cast."""

from __future__ import annotations

import json
import pickle

import orjson
import pytest

from kapture_async._core.jsontext import (
    charset_in,
    dumps,
    encoding_before,
    has_long_numbers,
    line_of,
    loads,
    oddities_of,
    repeats_keys,
)
from kapture_async._core.pull.json_stream import RowSplitter


@pytest.mark.parametrize(
    ("text", "value", "odd"),
    [
        (b'{"a":"cut \\ud83d"}', {"a": "cut \ufffd"}, "a: half a surrogate pair"),
        (b'{"a":"\\ude00 \\ud83d\\ude00"}', {"a": "\ufffd \U0001f600"}, "a: half a surrogate pair"),
        (b'{"a":NaN}', {"a": None}, "a: NaN, which is no JSON"),
        (b'{"a":[1,-Infinity]}', {"a": [1, None]}, "a[1]: -Infinity, which is no JSON"),
        (b'{"a":1e999}', {"a": None}, "a: a number that is too large"),
        (b'{"a":"x\ty"}', {"a": "x\ty"}, "a: a raw control character"),
        (b'{"a":"x\x0by"}', {"a": "x\x0by"}, "a: a raw control character"),
        (b'{"a":{"b":"caf\xe9"}}', {"a": {"b": "caf\ufffd"}}, "a.b: a byte that is no UTF-8"),
        (b'{"a":"it\\\'s"}', {"a": "it's"}, "a: an unknown escape"),
        (b'{"a":"cut \\ud8"}', {"a": "cut ud8"}, "a: an unknown escape"),
        (b'{"a":1,"a":2}', {"a": 2}, "a: given 2 times, the last one is shown"),
        (b'{"a":[{"b":1,"b":1}]}', {"a": [{"b": 1}]}, "a[0].b: given 2 times, the last one"),
    ],
)
def test_what_is_odd_is_mended_and_named(text: bytes, value: object, odd: str) -> None:
    found = loads(text)
    assert found == value
    assert len(oddities_of(found)) == 1
    assert oddities_of(found)[0].startswith(odd)
    assert orjson.loads(dumps(found)) == value
    assert oddities_of(pickle.loads(pickle.dumps(found))) == oddities_of(found)


@pytest.mark.parametrize(
    "number",
    [
        "18446744073709551615",
        "18446744073709551616",
        "-18446744073709551616",
        "1" * 80,
        "9" * 3000,
    ],
)
@pytest.mark.parametrize("style", ['{{"n":{}}}', '{{"n": {}, "m": "x"}}', '{{"n":[{}]}}'])
def test_integers_of_any_size_are_exact(number: str, style: str) -> None:
    text = style.format(number).encode()
    value = loads(text)
    assert value == json.loads(text)
    assert json.loads(dumps(value)) == json.loads(text)
    assert json.loads(line_of(value)) == json.loads(text)


def test_digits_in_texts_are_no_long_numbers() -> None:
    assert not has_long_numbers(b'{"a":"12345678901234567890123"}')
    assert not has_long_numbers(b'{"a":1712345678901,"b":"2024-04-19 10:00:00.123456"}')


def test_a_line_keeps_the_bytes_that_json_readers_disagree_about() -> None:
    text = b'{"a":1,"a":2,"n":1.10}'
    assert line_of(loads(text)) == text + b"\n"
    assert line_of(loads(b'{"a":NaN}')) == b'{"a":null}\n'


def test_colons_in_texts_are_no_keys() -> None:
    text = orjson.dumps({"a": 'he said "x":1 and {"b":2}', "c": {"d": []}})
    assert not repeats_keys(text, orjson.loads(text))


@pytest.mark.parametrize(
    ("raw", "charset"),
    [
        ("\ufeff".encode() + '{"a":"é"}'.encode(), ""),
        (b")]}',\n" + '{"a":"é"}'.encode(), ""),
        ('\ufeff)]}\'\n {"a":"é"}'.encode(), ""),
        ('{"a":"é"}'.encode(), "iso-8859-1"),  # it is UTF-8, whatever is declared
        ('{"a":"é"}'.encode("latin-1"), "iso-8859-1"),
        ('{"a":"é"}'.encode("cp1252"), "windows-1252"),
        ('{"a":"é"}'.encode("utf-16"), ""),
        ('{"a":"é"}'.encode("utf-16"), "utf-16"),
        ('{"a":"é"}'.encode("utf-16-be"), "utf-16"),
        ('{"a":"é"}'.encode("utf-32"), ""),
    ],
)
def test_marks_and_declared_charsets(raw: bytes, charset: str) -> None:
    found = loads(raw, charset)
    assert found == {"a": "é"}
    assert not oddities_of(found)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"<html>", b'{"a":}', b'{"a":1,}', b"{'a':1}", b"{}{}", b'{"a":"', b"undefined"],
)
def test_what_is_no_json_stays_none(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        loads(raw)


def test_deep_nesting_is_no_crash() -> None:
    with pytest.raises(ValueError, match="no JSON"):
        loads(b"[" * 100_000 + b"NaN")


def test_what_a_content_type_declares() -> None:
    assert charset_in('application/json; charset="ISO-8859-1"') == "iso-8859-1"
    assert charset_in("application/json") == ""
    assert encoding_before(b'{"a"') == ("", 0)


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("GBK", "\u4e2d"),
        ("gb2312", "\u4e2d\u9555"),
        ("gb18030", "\u4e2d\U0001f600"),
        ("Shift_JIS", "\u8868\u30bd"),  # the second byte of both is a backslash
        ("Big5", "\u529f"),
        ("euc-kr", "\ud55c"),
        ("windows-1251", "\u0416"),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_declared_charset_of_several_bytes(charset: str, text: str, step: int) -> None:
    name = {"gb2312": "gbk"}.get(charset, charset)
    body = f'{{"message":[{{"a":"{text}"}},{{"b":"x"}}]}}'.encode(name)
    assert loads(body, charset) == {"message": [{"a": text}, {"b": "x"}]}
    splitter = RowSplitter("message", charset=charset)
    rows = [row for at in range(0, len(body), step) for row in splitter.feed(body[at : at + step])]
    assert splitter.finish() == "whole"
    assert rows == [{"a": text}, {"b": "x"}]


@pytest.mark.parametrize("charset", ["gbk", "cp1252", "utf-8", "hex", "idna", "utf-7", "no such"])
def test_utf_8_comes_first_and_bad_bytes_are_told(charset: str) -> None:
    assert loads('{"a":"caf\u00e9"}'.encode(), charset) == {"a": "caf\u00e9"}
    bad = loads(b'{"a":"x\x81"}', charset)  # half a character, or none, in all of them
    assert bad == {"a": "x\ufffd"}
    assert oddities_of(bad) == ("a: a byte that is no UTF-8",)


@pytest.mark.parametrize("guard", [")]}',\n", ")]}'\n", "while(1);", "for (;;);", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_guards_before_and_marks_behind(guard: str, encoding: str) -> None:
    for end in ("", "\n", "\0", "\x1a", "\ufeff"):
        assert loads(f'{guard}{{"a":1}}{end}'.encode(encoding)) == {"a": 1}


def test_deep_nesting_is_no_recursion_error() -> None:
    deep = b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"
    assert loads(deep) == orjson.loads(deep)
