"""Files to rows: what is read is what stands there, and doubtful rows are named, not sent."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from kapture_async import InvalidInputError, NewTicket, Row
from kapture_async._core.cli.push_options import is_pipe
from kapture_async._core.push.sources.columns import Columns
from kapture_async._core.push.sources.csv import CsvRows
from kapture_async._core.push.sources.file import format_of, found_in
from kapture_async._core.push.sources.json import JsonRows


def csv_rows(data: bytes | str, columns: Columns | None = None, **options: Any) -> CsvRows:
    data = data.encode() if isinstance(data, str) else data
    options.setdefault("wire_fields", ("title", "ticket_details"))
    return CsvRows(
        io.BufferedReader(io.BytesIO(data)),
        columns or Columns(),
        lambda content: content,
        **options,
    )


def jsonl_rows(data: str, columns: Columns | None = None) -> list[Row[Any]]:
    stream = io.BufferedReader(io.BytesIO(data.encode()))
    return list(JsonRows(stream, columns or Columns(), dict, wire_fields=("title",)))


def good(rows: Any) -> list[Any]:
    return [row.value for row in rows if row.problem is None]


def bad(rows: Any) -> list[tuple[int, str]]:
    return [(row.line, row.problem.message) for row in rows if row.problem is not None]


def test_texts_stay_texts() -> None:
    columns = Columns(fields={"title": "t", "phone": "p"}, key="id")
    rows = list(csv_rows("id,t,p\n007,1.10,+0012\n", columns))
    assert rows == [Row({"title": "1.10", "phone": "+0012"}, "007", 2)]


def test_an_empty_cell_is_left_out() -> None:
    assert good(csv_rows("title,ticket_details\na,\n")) == [{"title": "a"}]


def test_a_row_is_named_by_the_line_on_which_it_begins() -> None:
    rows = list(csv_rows('title\n"a\nb"\n\n"c\r\n"\nd\n'))
    assert [(row.line, row.key, row.value["title"]) for row in rows] == [
        (2, "2", "a\nb"),
        (5, "5", "c\r\n"),
        (7, "7", "d"),
    ]


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-16-le", "\ufeff"),
        ("utf-16-be", "\ufeff"),
        ("utf-32", ""),
    ],
)
def test_encodings_that_can_be_told(encoding: str, bom: str) -> None:
    rows = csv_rows(f"{bom}title\nज़रूरी € 😀\n".encode(encoding))
    assert good(rows) == [{"title": "ज़रूरी € 😀"}]


def test_cp1252_only_on_request() -> None:
    data = "title\nÄrger\nfine\n".encode("cp1252")
    rows = list(csv_rows(data))
    assert good(rows) == [{"title": "fine"}]
    assert bad(rows) == [(2, "line 2: 'title' holds a NUL character, or bytes that are not utf-8")]
    assert good(csv_rows(data, encoding="cp1252")) == [{"title": "Ärger"}, {"title": "fine"}]


def test_bytes_that_cannot_be_read_do_no_harm_in_a_column_that_is_not_sent() -> None:
    assert good(csv_rows(b"title,other\na,\xff\0\n")) == [{"title": "a"}]


def test_a_nul_is_never_sent() -> None:
    assert [line for line, _ in bad(csv_rows("title\na\0b\n"))] == [2]


def test_utf16_without_a_mark_is_said_to_be_unreadable() -> None:
    with pytest.raises(InvalidInputError, match="header line is not utf-8"):
        csv_rows("title\na\n".encode("utf-16-le"))


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_from_the_header(sign: str) -> None:
    rows = csv_rows(f'"a,;|b"{sign}title{sign}c\n1{sign}x,y;z|w{sign}3\n'.replace("x,y;z|w", "x"))
    assert good(rows) == [{"title": "x"}]


def test_a_delimiter_that_cannot_be_told_is_asked_for() -> None:
    with pytest.raises(InvalidInputError, match="could be split at"):
        csv_rows("title,a;b\n1,2\n")
    assert good(csv_rows("title,a;b\n1,2\n", delimiter=",")) == [{"title": "1"}]


def test_the_line_that_excel_writes_for_the_delimiter() -> None:
    rows = list(csv_rows("sep=;\r\ntitle;x\r\na,b;c\r\n"))
    assert [(row.line, row.value) for row in rows] == [(3, {"title": "a,b"})]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("a,b\n", "no column is mapped to 'title'"),
        ("title,title\n", "more than once"),
        ('"title\n', "never closed"),
    ],
)
def test_headers_that_cannot_be_used(header: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        csv_rows(header, required=("title",))


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(InvalidInputError, match=r"no column 'Subjekt'; it has 'Subject'"):
        csv_rows("Subject\nx\n", Columns(fields={"title": "Subjekt"}))


def test_empty_and_double_names_of_columns_that_are_not_sent() -> None:
    rows = csv_rows("x,,title,x,,\n1,2,a,4,5,\n")
    assert good(rows) == [{"title": "a"}]
    assert rows.unused == ("x", "x")


def test_short_and_long_rows_are_named() -> None:
    rows = list(csv_rows("title,b,c\na,1\na,1,2,3\na,1,2,,\n,,\nb,1,2\n"))
    assert bad(rows) == [
        (2, "line 2: has 2 cells where the header has 3"),
        (3, "line 3: has 4 cells where the header has 3"),
    ]
    assert [row.line for row in rows if row.problem is None] == [4, 6]


def test_a_stray_quote_costs_no_other_row() -> None:
    rows = list(csv_rows('title,b\n"say "hi" now",1\nx,2\n"y\nz",3\n'))
    assert bad(rows) == [
        (2, "line 2: cannot be read as CSV (unescaped quote inside a quoted cell)")
    ]
    assert good(rows) == [{"title": "x"}, {"title": "y\nz"}]


def test_a_quote_that_is_never_closed_costs_no_other_row() -> None:
    many = "".join(f"row {number},1\n" for number in range(1000))
    rows = list(csv_rows(f'title,b\n"open,1\n{many}'))
    assert bad(rows) == [(2, "line 2: cannot be read as CSV (a quote is opened and never closed)")]
    assert len(good(rows)) == 1000


def test_large_cells() -> None:
    text = "x\n" * 500_000
    assert good(csv_rows(f'title\n"{text}"\n')) == [{"title": text}]


def test_a_file_without_line_ends_is_not_read_into_memory(monkeypatch: Any) -> None:
    monkeypatch.setattr("kapture_async._core.push.sources.text.LONGEST_LINE", 1000)
    with pytest.raises(InvalidInputError, match="line 2 has no end"):
        list(csv_rows("title\n" + "x" * 5000))
    with pytest.raises(InvalidInputError, match="line 2 has no end"):
        jsonl_rows('{"title": "a"}\n{"title": "' + "x" * 5000)


def test_objects_of_a_tenant() -> None:
    fields = {"title": "title", "info.a.b [c]": "x", "info.y": "y", "empty.z": "z"}
    columns = Columns(fields=fields)
    assert good(csv_rows("title,x,y,z\nt,1,2,\n", columns)) == [
        {"title": "t", "info": [{"a.b [c]": "1", "y": "2"}]}
    ]
    bare = Columns(fields=fields, as_list=False)
    assert good(csv_rows("title,x,y,z\nt,1,,\n", bare)) == [
        {"title": "t", "info": {"a.b [c]": "1"}}
    ]


def test_keys() -> None:
    rows = csv_rows("id,title\na,1\na,2\n,3\n", Columns(fields={"title": "title"}, key="id"))
    assert [row.key for row in rows] == ["a", "a", "line 4"]
    assert rows.repeated_keys == 1


def test_what_cannot_be_built_becomes_a_problem_with_its_line() -> None:
    stream = io.BufferedReader(io.BytesIO(b"title,x\n ,1\nok,1\n"))
    rows = list(CsvRows(stream, Columns(fields={"title": "title"}), NewTicket.from_mapping))
    assert bad(rows) == [(2, "line 2: title is blank")]
    assert [type(value) for value in good(rows)] == [NewTicket]


def test_rows_are_read_as_they_are_asked_for() -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            data = (b"title\n" * len(buffer))[: len(buffer)]
            buffer[:] = data
            return len(data)

    rows = CsvRows(cast("BinaryIO", Endless()), Columns(), dict, wire_fields=("title",))
    assert next(rows).line == 2


def test_a_key_that_may_be_another_rows_names_nobody() -> None:
    columns = Columns(fields={"title": "t"}, key="id")
    rows = csv_rows('id,t,u\nb,one\n"a",b,two,3\nb,three,\nc,"x"y,\n', columns)
    assert [(row.key, row.keyed, row.problem is None) for row in rows] == [
        ("line 2", False, False),  # too few cells: a delimiter or the key itself is missing
        ("line 3", False, False),
        ("b", True, True),
        ("line 5", False, False),
    ]
    assert rows.repeated_keys == 0


def test_a_key_that_cannot_be_read_names_nobody() -> None:
    rows = list(csv_rows(b"id,title\n\xff1,one\n\x002,two\n3,three\n", Columns(key="id")))
    assert [(row.key, row.keyed) for row in rows] == [
        ("line 2", False),
        ("line 3", False),
        ("3", True),
    ]
    assert bad(rows)[0] == (
        2,
        "line 2: 'id' holds a NUL character, or bytes that are not utf-8",
    )


def test_json_lines() -> None:
    columns = Columns(fields={"title": "subject", "info.n": "num"}, key="id")
    rows = jsonl_rows(
        '\ufeff{"id": 7, "subject": "a", "num": 1, "phone": "007", "x": null}\r\n'
        "\n"
        '{"id": "b", "subject": "c"}\n'
        '{"title": "d"}',
        columns,
    )
    assert rows == [
        Row({"title": "a", "info": [{"n": 1}]}, "7", 1),
        Row({"title": "c"}, "b", 3),
        Row({}, "line 4", 4, keyed=False),  # what is mapped is sent, and nothing else
    ]


def test_json_lines_send_what_is_documented_and_no_more() -> None:
    stream = io.BufferedReader(
        io.BytesIO(b'{"title": "a", "card": "4111"}\n{"title": "b", "x": 1}')
    )
    rows = JsonRows(stream, Columns(key="id"), dict, wire_fields=("title", "detail"))
    assert (rows.first_fields, rows.unused, rows.used) == (("title",), ("card",), {})
    assert good(rows) == [{"title": "a"}, {"title": "b"}]
    assert rows.unused == ("card", "x")


def test_a_file_of_whole_bodies_is_sent_whole() -> None:
    stream = io.BufferedReader(io.BytesIO(b'{"_key": "1", "title": "a", "info": [{"n": 1}]}'))
    rows = JsonRows(stream, Columns(key="_key"), dict, wire_fields=("title",), whole=True)
    assert good(rows) == [{"title": "a", "info": [{"n": 1}]}]
    assert rows.unused == ("_key",)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{\n"title": "a"\n}', "over several lines"),
        ('{"tickets": [\n{"title": "a"}\n]}', "over several lines"),
    ],
)
def test_json_that_is_not_json_lines(text: str, what: str) -> None:
    with pytest.raises(InvalidInputError, match=what):
        jsonl_rows(text)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON: .* at column 2"),
        ('{"title": "a"},', "not JSON: Extra data at column 15"),
        ("[1]", "is not a JSON object"),
        ('{"a": 1, "a": 2}', "has a name twice"),
        ('{"a": NaN}', "holds NaN"),
        ('{"a": "\\ud800"}', "half of a surrogate pair"),
        ('{"a": ' + "9" * 5000 + "}", "a number that is too long"),
        ('{"a":' * 100_000, "nested too deep"),
        ('{"id": 1.5}', "its key is neither"),
    ],
)
def test_json_lines_that_are_not_sent(line: str, message: str) -> None:
    columns = Columns(fields={"title": "subject"}, key="id")
    _, first, second = jsonl_rows("{}\n" + line + '\n{"subject": "ok"}\n', columns)
    assert first.problem is not None
    assert first.problem.message.startswith("line 2: ")
    with pytest.raises(InvalidInputError, match=message):
        raise first.problem
    assert second.value == {"title": "ok"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.CSV", "csv"), ("b.tsv", "csv"), ("c.jsonl", "json"), ("d.ndjson", "json"), ("-", None)],
)
def test_formats_by_name(name: str, expected: str | None) -> None:
    assert format_of(name) == expected


# --- files as they really are ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ('title,Size (5"),Text\na,1,b\n', ["title", 'Size (5")', "Text"]),
        ('title,5" x 3" pipe\na,1\n', ["title", '5" x 3" pipe']),
        ('title;"a; ""b"""\na;1\n', ["title", 'a; "b"']),
        ('title,"two\nlines"\na,1\n', ["title", "two\nlines"]),
        ("sep=;\ntitle;x\na;1\n", ["title", "x"]),
        ("SEP=;\r\ntitle;x\r\na;1\r\n", ["title", "x"]),
        ('"sep=;"\ntitle;x\na;1\n', ["title", "x"]),
        ('"Sep=;";;\ntitle;x\na;1\n', ["title", "x"]),
        ("sep=\t\ntitle\tx\na\t1\n", ["title", "x"]),
        ("sep=\\t\ntitle\tx\na\t1\n", ["title", "x"]),
        ("\ufeffsep=,,\ntitle,x\na,1\n", ["title", "x"]),
        ("\n\nsep = |\ntitle|x\na|1\n", ["title", "x"]),
    ],
)
def test_headers_as_they_come(text: str, header: list[str]) -> None:
    rows = csv_rows(text)
    assert rows.header == header
    assert good(rows) == [{"title": "a"}]


def test_a_quote_that_is_never_closed_in_the_header() -> None:
    with pytest.raises(InvalidInputError, match="header line: a quote is opened"):
        csv_rows('title,"x\na,1\n')


def test_the_delimiter_that_the_name_tells_of() -> None:
    text = "Name, first\tName, last, middle\ttitle\nx\ty\tz\n"
    assert csv_rows(text, likely="\t").delimiter == "\t"
    assert good(csv_rows(text, likely="\t")) == [{"title": "z"}]
    assert csv_rows("title,x\na,1\n", likely="\t").delimiter == ","
    names = ("a.tsv", "b.TAB", "c.csv", "d")
    found = [found_in(io.BytesIO(b"title\n"), name).likely_delimiter for name in names]
    assert found == ["\t", "\t", None, None]


def test_a_second_header_is_no_row() -> None:
    rows = csv_rows("id,title\n1,a\n\ufeffid,title\n2,b\n id , title \n", Columns(key="id"))
    assert [(row.line, row.key) for row in rows] == [(2, "1"), (4, "2")]
    assert rows.blank == 2
    assert good(csv_rows("title\ntitle\n")) == [{"title": "title"}]
    # A cell that is named like a column is a cell.
    assert good(csv_rows("title,x\ntitle,1\nx,title2\n")) == [{"title": "title"}, {"title": "x"}]


def test_a_second_header_in_another_order_ends_the_reading() -> None:
    rows = csv_rows("id,title\n1,a\ntitle,id\nb,2\n")
    assert next(rows).value == {"title": "a"}
    with pytest.raises(InvalidInputError, match="line 3 is a header with the columns in another"):
        next(rows)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04", "a zip file or a spreadsheet that is damaged"),
        (b"\x1f\x8b\x08", "gzip data breaks off"),
        (b"BZh91", "bzip2 data is damaged"),
        (b"\xfd7zXZ\x00", "xz data is damaged"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_what_is_no_text_is_named(start: bytes, what: str) -> None:
    for encoding in (None, "cp1252"):
        stream = io.BytesIO(start + b"title\na\n" * 4)
        with pytest.raises(InvalidInputError, match=what) as caught:
            found_in(stream, "t.csv", encoding)
        assert "encoding" not in caught.value.next_step


@pytest.mark.parametrize("encoding", ["utf-16", "UTF16", "u16", "utf-32"])
def test_an_encoding_that_needs_a_mark(encoding: str) -> None:
    with pytest.raises(InvalidInputError, match="no byte order mark"):
        csv_rows(b"id,title\n1,a\n", encoding=encoding)
    text = "title\na\n".encode(encoding)
    assert good(csv_rows(text, encoding=encoding)) == [{"title": "a"}]


@pytest.mark.parametrize("encoding", ["no-such", "base64", "ut\0f", "rot13"])
def test_what_is_no_encoding(encoding: str) -> None:
    with pytest.raises(InvalidInputError, match="there is no encoding"):
        csv_rows(b"title\na\n", encoding=encoding)


def test_an_encoding_that_raises_errors_of_its_own() -> None:
    with pytest.raises(InvalidInputError, match="cannot be read as idna"):
        list(csv_rows(b"title\n" + b"a" * 100 + b"..b\n", encoding="idna"))


def test_pipes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "fifo")
    pipes = ["-", "/dev/stdin", "/dev/fd/63", "/proc/self/fd/0", tmp_path / "fifo", tmp_path]
    files = [tmp_path / "file", tmp_path / "none", "/dev/shm/x.csv", "dev/x"]
    assert [is_pipe(str(path)) for path in pipes] == [True] * len(pipes)
    assert [is_pipe(str(path)) for path in files] == [False] * len(files)


@pytest.mark.parametrize(
    "text",
    [
        'sep=","\ntitle,x\na,1\n',
        '"sep="";"""\r\ntitle;x\r\na;1\r\n',
        "sep=\ntitle,x\na,1\n",
        "sep=;\n\ntitle;x\na;1\n",
    ],
)
def test_more_ways_to_name_the_delimiter(text: str) -> None:
    rows = csv_rows(text)
    assert rows.header == ["title", "x"]
    assert good(rows) == [{"title": "a"}]


@pytest.mark.parametrize(
    "again",
    [
        "title,ticket_details",
        "\ufefftitle,ticket_details",
        '"title","ticket_details"',
        '\ufeff"title","ticket_details"',
        " Title , TICKET_DETAILS",
        "sep=,\ntitle,ticket_details",
        '\ufeff"sep=,"\ntitle,ticket_details',
    ],
)
def test_a_file_behind_another(again: str) -> None:
    rows = csv_rows(f"title,ticket_details\na,1\n{again}\nb,2\n")
    assert good(rows) == [
        {"title": "a", "ticket_details": "1"},
        {"title": "b", "ticket_details": "2"},
    ]
    assert rows.blank == 1 + again.count("\n")


def test_a_mark_between_two_files_is_part_of_no_text() -> None:
    assert good(csv_rows('title,x\na,1\n\ufeff"b, c",2\n')) == [{"title": "a"}, {"title": "b, c"}]
    rows = jsonl_rows('{"title": "a"}\n\ufeff{"title": "b"}\n')
    assert good(rows) == [{"title": "a"}, {"title": "b"}]
    assert good(csv_rows('title,x\n"a\n\ufeffb",1\n')) == [{"title": "a\n\ufeffb"}]


@pytest.mark.parametrize(
    ("again", "message"),
    [
        ("ticket_details,title", "columns in another order"),
        ("title,ticket_details,phone", "columns of another file"),
        ("sep=;", "names another delimiter"),
    ],
)
def test_another_table_behind_a_file_is_not_read_as_this_one(again: str, message: str) -> None:
    rows = csv_rows(f"title,ticket_details\na,1\n{again}\nb,2\n")
    assert next(rows).value == {"title": "a", "ticket_details": "1"}
    with pytest.raises(InvalidInputError, match=f"line 3 .*{message}"):
        next(rows)


@pytest.mark.parametrize("row", ["title,b", "sep=x: a text,b", "sep=,b,", "Title,Title"])
def test_rows_that_only_look_like_headers_are_sent(row: str) -> None:
    rows = list(csv_rows(f"title,ticket_details\n{row}\n"))
    assert [r.line for r in rows] == [2]
    assert rows[0].problem is None


@pytest.mark.parametrize(
    "text", ['[{"title": "a"}]', '[\n{"title": "a"}]', '{"title": "a"}\n', "{\n"]
)
def test_json_that_is_read_as_csv_is_named(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is JSON, not CSV") as caught:
        csv_rows(text)
    assert "json" in caught.value.next_step


@pytest.mark.parametrize("header", ["[title],x", "{title},x"])
def test_a_bracket_alone_makes_no_json(header: str) -> None:
    assert csv_rows(f"{header}\na,b\n").header == header.split(",")


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x05\x06" + bytes(18), "empty zip"),
        (b"\x04\x22\x4d\x18abc", "lz4"),
        (b"LZIP\x01abc", "lzip"),
        (b"\x1f\x9d\x90abc", "compress"),
        (b"{\\rtf1", "RTF"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\xef\xbb\xbf \n<html>", "web page"),
        (b"<?xml version='1.0'?><Workbook>", "XML"),
        (b"<table><tr>", "web page"),
    ],
)
def test_files_that_are_no_rows_are_named(start: bytes, what: str) -> None:
    with pytest.raises(InvalidInputError, match=what):
        found_in(io.BytesIO(start), "t.csv")
