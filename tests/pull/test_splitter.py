"""Any object, cut at any bytes, gives what the parser gives for the whole."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapture_async import ReplyTooLargeError, UnreadableReplyError
from kapture_async._core.jsontext import OddObject, loads
from kapture_async._core.pull.json_stream import OTHER_CAP, RowSplitter

KEY = "message"
EXAMPLES = int(os.environ.get("PULL_EXAMPLES", "40"))


def split(document: bytes, cuts: list[int], **more: Any) -> tuple[list[Any], RowSplitter]:
    splitter = RowSplitter(KEY, **more)
    rows: list[Any] = []
    for piece in pieces_of(document, cuts):
        rows += splitter.feed(piece)
    return rows, splitter


def pieces_of(document: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = sorted({0, len(document), *(cut % (len(document) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        yield document[start:end]


def put_together(document: bytes, cuts: list[int], **more: Any) -> Any:
    """The whole again from its parts; raises ``ValueError`` for what is no such object."""
    try:
        rows, splitter = split(document, cuts, **more)
    except UnreadableReplyError as error:
        raise ValueError(str(error)) from None
    ending = splitter.finish()
    if ending == "other":
        assert not rows
        return loads(splitter.other or b"")
    if ending == "broken":
        raise ValueError("broken")
    whole = splitter.envelope
    assert not rows or whole[KEY] == []
    if rows:
        whole[KEY] = rows
    return whole


TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["},{", "}, {", '"},{"', "\\", '\\"', "]}", "[{", KEY, "}\n,\n{", ""]),
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), FLOATS, TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
ROWS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=5) | VALUES, max_size=8)
OBJECTS = st.tuples(
    st.dictionaries(TEXTS, VALUES, max_size=3),
    st.one_of(ROWS, VALUES),
    st.dictionaries(TEXTS, VALUES, max_size=3),
).map(lambda parts: {**parts[0], KEY: parts[1], **parts[2]})
STYLES: list[dict[str, Any]] = [
    {"separators": (",", ":")},
    {},
    {"indent": 2},
    {"indent": "\t"},
    {"separators": (" , ", " : ")},
    {"ensure_ascii": False, "separators": (",", ":")},
]


def written(value: Any, style: dict[str, Any]) -> bytes:
    return json.dumps(value, **style).encode("utf-8", "surrogatepass")


@settings(max_examples=EXAMPLES, deadline=None)
@given(OBJECTS | VALUES, st.sampled_from(STYLES), st.lists(st.integers(0, 10_000), max_size=30))
def test_any_document_cut_anywhere(value: Any, style: dict[str, Any], cuts: list[int]) -> None:
    document = written(value, style)
    try:
        expected = orjson.loads(document)
    except orjson.JSONDecodeError:  # a lone surrogate
        with pytest.raises(ValueError):
            put_together(document, cuts)
        return
    assert put_together(document, cuts) == expected


@settings(max_examples=EXAMPLES, deadline=None)
@given(OBJECTS, st.sampled_from(STYLES))
def test_byte_by_byte(value: Any, style: dict[str, Any]) -> None:
    document = written(value, style)
    try:
        expected = orjson.loads(document)
    except orjson.JSONDecodeError:
        return
    assert put_together(document, list(range(len(document)))) == expected


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    OBJECTS,
    st.sampled_from(STYLES),
    st.lists(st.integers(0, 10_000), max_size=10),
    st.integers(0, 10_000),
    st.sampled_from([b"", b"x", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\0", b"\xff"]),
    st.booleans(),
)
def test_what_the_parser_refuses_is_refused(
    value: Any, style: dict[str, Any], cuts: list[int], where: int, what: bytes, insert: bool
) -> None:
    """Damaged anywhere: refused if and only if the tolerant parser refuses the whole."""
    document = written(value, style)
    at = where % (len(document) + 1)
    document = document[:at] + what + document[at if insert else at + 1 :]
    try:
        expected = loads(document)
    except ValueError:
        with pytest.raises(ValueError):
            put_together(document, cuts)
        return
    if not (isinstance(expected, OddObject) and expected.repeated):
        # Of keys of the envelope, those that differ are a contradiction.
        assert put_together(document, cuts) == expected


@settings(max_examples=EXAMPLES, deadline=None)
@given(OBJECTS, st.integers(1, 10_000))
def test_cut_short_is_never_whole(value: Any, where: int) -> None:
    document = written(value, STYLES[0])
    _, splitter = split(document[: where % len(document)], [])
    assert splitter.finish() in ("broken", "other")


def test_rows_come_before_the_end() -> None:
    row = {"id": "1", "text": "a },{ b", "more": [{"a": 1}, {"b": 2}]}
    document = orjson.dumps({"totalCount": None, KEY: [row] * 100, "status": "success"})
    splitter = RowSplitter(KEY)
    half = len(document) // 2
    rows = splitter.feed(document[:half])
    assert rows == [row] * len(rows)
    assert len(rows) >= 48
    rows += splitter.feed(memoryview(document)[half:])
    assert rows == [row] * 100
    assert splitter.finish() == "whole"
    assert splitter.envelope == {"totalCount": None, KEY: [], "status": "success"}


@pytest.mark.parametrize(
    "document",
    [
        b'{"message":[{"a":1},]}',
        b'{"message":[,{"a":1}]}',
        b'{"message":[{"a":1},,{"a":2},{"a":3}]}',
        b'{"message":[],}',
        b'{"message":[]"status":1}',
        b'{"message":[{"a":1}}',
        b'{"message":[{"a":1}]]',
        b'{"message" [1]}',
        b'{"message":[1] 2}',
        b"{,}",
        b'{"a"}',
        b'{"message":[1]}{}',
        b'{"message":[1]}\0',
        b'{"message":[1],"message":[2]}',
        b'{"message":"x","message":[2]}',
        b'{"message":[1],"message":"x"}',
        b'{"message":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"message":[' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"]}",
        b"<html>{}</html>",
        b"",
        b"  ",
    ],
    ids=lambda document: repr(document[:40]),
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_malformed(document: bytes, size: int) -> None:
    with pytest.raises(ValueError):
        put_together(document, list(range(0, len(document), size)))


def fed_without_end(begin: bytes, again: bytes, row_cap: int = 100_000) -> None:
    splitter = RowSplitter(KEY, row_cap=row_cap)
    splitter.feed(begin)
    for _ in range(10 * row_cap // len(again)):
        splitter.feed(again)


@pytest.mark.parametrize(
    ("begin", "again", "words"),
    [
        (b'{"message":[{"a":"', b"x" * 999, "one row"),
        (b'{"message":[{"a":"', b"},{" * 99, "one row"),
        (b'{"message":[{"a":"', b"\\" * 99, "one row"),
        (b'{"message":[', b" 1" * 999, "one row"),
        (b'{"message":[', b'[],"a",{}'.join([b"["] * 99), "nested|one row"),
        (b'{"message":[', b"[" * 999, "nested too deeply"),
        (b'{"message":"', b"x" * 999, "outside its rows"),
        (b'{"message":{"a":[', b"1," * 999, "outside its rows"),
        (b'{"a":1', b',"a":1' * 99, "outside its rows"),
        (b'{"', b"k" * 999, "a key"),
    ],
)
def test_what_never_ends_is_given_up(begin: bytes, again: bytes, words: str) -> None:
    with pytest.raises(UnreadableReplyError, match=words):
        fed_without_end(begin, again)


def test_a_list_that_never_ends_is_handed_out_and_not_kept() -> None:
    splitter = RowSplitter(KEY, row_cap=1000)
    assert splitter.feed(b'{"message":[{"a":1}') == []
    for _ in range(1000):
        assert splitter.feed(b',{"a":1}' * 100) == [{"a": 1}] * 100
    assert splitter.finish() == "broken"


def test_a_page_is_kept_up_to_a_limit() -> None:
    splitter = RowSplitter(KEY)
    assert splitter.feed(b"<html>") == []
    assert not splitter.has_enough
    for _ in range(100):
        splitter.feed(b"x" * 9999)
    assert splitter.has_enough
    assert splitter.finish() == "other"
    assert splitter.other is not None
    assert len(splitter.other) == OTHER_CAP


def test_too_large_is_its_own_error() -> None:
    with pytest.raises(ReplyTooLargeError):
        RowSplitter(KEY, row_cap=10).feed(b'{"message":[{"a":"' + b"x" * 20)
