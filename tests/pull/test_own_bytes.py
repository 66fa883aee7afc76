"""JSON Lines hold each row's own bytes; nothing in a row is cast in silence."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapture_async import KaptureClient, TicketRow
from kapture_async._api import INDIA, codec_of
from kapture_async._core.cli.console import json_line
from kapture_async._core.jsontext import line_of, loads, oddities_of
from kapture_async._core.pull.json_stream import RowSplitter

from .raw import answering

EXAMPLES = int(os.environ.get("PULL_EXAMPLES", "60"))

BLANKS = st.sampled_from(["", "", "", " ", "  ", "\n    ", "\r\n\t", "\t"])
SCALARS = st.sampled_from(
    [
        *("1.10", "1e5", "-0", "0.10", "true", "null", "7", "1E+2", "-1.5e-3"),
        *("9223372036854775808", "18446744073709551616", "-9223372036854775809"),
        *("-9999999999999999999", "123456789012345678901234567890"),
        *(
            '"a\\/b"',
            '"},{"',
            '"}\\n,\\n{"',
            '"caf\\u00e9"',
            '"café"',
            '"\\ud83d\\ude00"',
            '"a  b"',
        ),
        *(
            '"x\\":1"',
            '"\\\\"',
            '" :"',
            '":"',
            '":1,"',
            '"12:30:00"',
            '"\\"ticketId\\":"',
            '"\u2028"',
        ),
    ]
)
KEYS = st.sampled_from(['"a"', '"b"', '"\\u0061"', '"a\\\\"', '"a:"', '"é"', '""', '" :"'])


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[str], first: str = "") -> str:
    members = [first] if first else []
    for _ in range(draw(st.integers(0, 4))):
        members.append("".join([draw(BLANKS), draw(KEYS), draw(BLANKS), ":", draw(inner)]))
    blank = draw(BLANKS)
    return "{" + (",".join(members) or blank) + (blank if members else "") + "}"


@st.composite
def lists(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    return "[" + ",".join(draw(st.lists(inner, max_size=3))) + draw(BLANKS) + "]"


VALUES = st.recursive(
    SCALARS,
    lambda inner: objects(inner) | lists(inner) | st.tuples(BLANKS, inner, BLANKS).map("".join),
    max_leaves=8,
)
ROWS = st.lists(
    objects(VALUES) | objects(VALUES, '"ticketId":"1"') | objects(VALUES, ' "ticketId" : 1'),
    min_size=1,
    max_size=30,
)
BETWEEN = st.tuples(BLANKS, BLANKS).map(",".join) | st.just(",")


def fed(document: bytes, step: int, *, own: bool) -> list[Any]:
    splitter = RowSplitter("message", own=own)
    rows: list[Any] = []
    for at in range(0, len(document), step):
        rows += splitter.feed(document[at : at + step])
    assert splitter.finish() == "whole"
    return rows


def folded(text: str) -> str:
    """The text on one line, written down in another way than the product's."""
    parts = text.replace("\r", "\n").split("\n")
    first, *others = parts[0].rstrip(" \t"), *parts[1:]
    kept = [part.strip(" \t") for part in others[:-1]] + [
        part.lstrip(" \t") for part in others[-1:]
    ]
    return " ".join([first, *[part for part in kept[:-1] if part], *kept[-1:]])


class Repeats(Exception):
    """An object has a key twice."""


def told_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise Repeats
    return dict(pairs)


def repeats(text: str) -> bool:
    try:
        json.loads(text, object_pairs_hook=told_once)
    except Repeats:
        return True
    return False


@settings(max_examples=EXAMPLES, deadline=None)
@given(ROWS, BETWEEN, BLANKS, st.sampled_from([1, 50, 700, 100_000]))
def test_every_line_is_the_rows_own_text(
    texts: list[str], between: str, blank: str, step: int
) -> None:
    document = f'{{"message":[{blank}{between.join(texts)}{blank}],"status":"success"}}'.encode()
    rows = fed(document, step, own=True)
    assert [line_of(row).decode() for row in rows] == [f"{folded(text)}\n" for text in texts]
    assert rows == [json.loads(text) for text in texts]


@settings(max_examples=EXAMPLES, deadline=None)
@given(ROWS, BETWEEN, st.booleans(), st.sampled_from([1, 50, 700, 100_000]))
def test_integers_are_exact_and_repeated_keys_are_told(
    texts: list[str], between: str, own: bool, step: int
) -> None:
    document = f'{{"message":[{between.join(texts)}],"status":"success"}}'.encode()
    rows = fed(document, step, own=own)
    assert rows == [json.loads(text) for text in texts]
    assert [type(each) for each in leaves(rows)] == [
        type(each) for each in leaves([json.loads(text) for text in texts])
    ]
    assert [bool(oddities_of(row)) for row in rows] == [repeats(text) for text in texts]


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)
    else:
        yield value


@pytest.mark.parametrize(
    "digits", ["9223372036854775807", "9223372036854775808", "9999999999999999999", "1" * 20]
)
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(
    "around", ["%s", '{"a":%s}', '{"a" : %s }', "[1, %s]", '{"a":[[{"b":\n%s}]]}']
)
def test_integers_of_any_size(around: str, sign: str, digits: str) -> None:
    *_, found = leaves([loads((around % f"{sign}{digits}").encode())])
    assert type(found) is int
    assert found == int(sign + digits)


ODD_ROW = '{"ticketId":"777","detail":"Re: x","meta":{"a":1,"b":[{"c":1,"c":2}]}}'


@pytest.mark.parametrize("style", [(",", ":"), (", ", ": "), (" , ", "\t: ")])
@pytest.mark.parametrize("escaped", [False, True])
async def test_one_repeated_key_deep_in_a_large_day(style: tuple[str, str], escaped: bool) -> None:
    rows = [
        json.dumps(
            {
                "ticketId": str(n),
                "detail": 'é/":" said: "x" ' * 9,
                "meta": {"a": n, "b": [{"c": 1}]},
            },
            separators=style,
            ensure_ascii=escaped,
        )
        for n in range(1000, 5000)
    ]
    rows[3210] = ODD_ROW
    body = f'{{"message":[{",".join(rows)}],"status":"success"}}'.encode()
    async with answering(body) as server, KaptureClient(base_url=server.url, token="t") as client:
        found = await client.tickets.pull("2024-04-19").all()
    told = {row.ticket_id: row.problems for row in found if row.problems}
    assert told == {"777": ("meta.b[0].c: given 2 times, the last one is shown",)}
    assert len(found) == 4000


PRETTY = """{
    "ticketId" : "2",
\t"score": 1.10,\r
    "url": "https:\\/\\/example.com",
    "title": "a\\nb caf\\u00e9",
    "n": {"x": [ 1.0,
        2e3 ], "y": -9300000000000000000}
  }"""
LINES = [
    '{"ticketId":"1","score":1.10}',
    '{ "ticketId" : "2", "score": 1.10, "url": "https:\\/\\/example.com", '
    '"title": "a\\nb caf\\u00e9", "n": {"x": [ 1.0, 2e3 ], "y": -9300000000000000000} }',
    '{"ticketId":"3"}',
]
BODY = (
    '{ "message": [\n  '
    + LINES[0]
    + ",\n  "
    + PRETTY
    + ',\n{"ticketId":"3"}\n], "status":"success"}'
).encode()


@pytest.mark.parametrize("state", [False, True])
async def test_an_export_keeps_own_bytes(tmp_path: Path, state: bool) -> None:
    async with answering(BODY) as server, KaptureClient(base_url=server.url, token="t") as client:
        more: dict[str, Any] = {"state": tmp_path / "state"} if state else {}
        await client.tickets.export(
            tmp_path / "out.jsonl", start="2024-04-19", end="2024-04-19", **more
        )
        rows = await client.tickets.pull("2024-04-19").all()
    assert (tmp_path / "out.jsonl").read_text().splitlines() == LINES
    assert type(rows[0].raw) is dict  # who does not write them down pays for nothing
    assert rows[1].raw["n"]["y"] == -9300000000000000000
    assert not any(row.problems for row in rows)


@pytest.mark.parametrize(
    "message",
    [
        LINES[1],
        PRETTY,
        '{"0": ' + PRETTY + " }",
        '{"5":' + LINES[0] + ', "7" :' + PRETTY + "}",
    ],
)
async def test_rows_that_are_no_list(tmp_path: Path, message: str) -> None:
    body = f'{{"status":"success","message": {message}}}'.encode()
    async with answering(body) as server, KaptureClient(base_url=server.url, token="t") as client:
        await client.tickets.export(tmp_path / "out.jsonl", start="2024-04-19")
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert lines == ([LINES[0]] if '"5"' in message else []) + [LINES[1]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
async def test_another_charset(tmp_path: Path, encoding: str) -> None:
    text = '{"message":[{"ticketId":"1","title":"é","n":1.10},{"ticketId":"2"}],"status":"success"}'
    kind = f"application/json; charset={encoding}"
    async with answering(text.encode(encoding), kind) as server:
        async with KaptureClient(base_url=server.url, token="t") as client:
            await client.tickets.export(tmp_path / "out.jsonl", start="2024-04-19")
    first = (tmp_path / "out.jsonl").read_bytes().splitlines()[0]
    assert first == '{"ticketId":"1","title":"é","n":1.10}'.encode()


def test_a_terminal_shows_it_as_it_came() -> None:
    (row,) = fed('{"message":[{"a":1.10,"b":"\u009b é \\/"}]}'.encode(), 9, own=True)
    assert json_line(row) in (  # by the encoding of this test's standard output
        '{"a":1.10,"b":"\\u009b é \\/"}',
        '{"a":1.10,"b":"\\u009b \\u00e9 \\/"}',
    )


def test_tickets_of_own_bytes_are_as_any() -> None:
    row = '{"ticketId":"1","additional_info":{"a":[{"b":1.10}]},"taskEnddate":""}'
    document = f'{{"message":[{row},{row}]}}'.encode()
    codec = codec_of(INDIA)
    kept, plain = (
        codec.decode(fed(document, 10**6, own=own)[0], TicketRow) for own in (True, False)
    )
    assert kept == plain
    assert kept.problems == plain.problems == ()
    assert kept.extra == plain.extra
    assert kept.raw["additional_info"] == {"a": [{"b": 1.10}]}


def test_memory_stays_flat() -> None:
    row = ('{"ticketId":"1","n":1.10,"l":[{"a":1},{"a":2}],"text":"' + "x" * 900 + '"},').encode()
    block = row * 60
    splitter = RowSplitter("message", own=True)
    splitter.feed(b'{"message":[')
    tracemalloc.start()
    try:
        count = sum(len(splitter.feed(block)) for _ in range(300))  # 17 MB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count in range(60 * 299, 60 * 300 + 1)
    assert peak < 3_000_000
