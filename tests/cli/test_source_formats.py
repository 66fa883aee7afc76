"""Files of every format give the same rows: what a file is, its content says."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from kapture_async import InvalidInputError, Row
from kapture_async._core.push.sources.arrow import ArrowRows
from kapture_async._core.push.sources.columns import Columns
from kapture_async._core.push.sources.file import found_in
from kapture_async._core.push.sources.json import JsonRows
from kapture_async._core.push.sources.sheet import SheetRows
from kapture_async.testing import KaptureEmulator

from .conftest import Run
from .spreadsheets import Date, ods, packed, xlsx

HEADER = ["Id", "Subject", "Text", "Phone"]
ROWS = [
    ["007", "Grüße", 'a "quoted", cell; of\ntwo lines\twith a tab', "919876543210"],
    ["008", "-1 not a formula", "' apostrophe", ""],
    ["9", "x\\y \u20ac", " blanks ", "+91 98"],
]
MAP = [
    *("--map", "title=Subject", "--map", "ticket_details=Text", "--map", "info.phone=Phone"),
    *("--key", "Id", "--reference", "none"),
]


def separated(delimiter: str, encoding: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([HEADER, *ROWS])
    return text.getvalue().encode(encoding)


def table() -> pa.Table:
    columns = zip(HEADER, zip(*ROWS, strict=True), strict=True)
    return pa.table({name: [cell or None for cell in cells] for name, cells in columns})


def parquet_file(made: pa.Table) -> bytes:
    file = io.BytesIO()
    parquet.write_table(made, file)
    return file.getvalue()


def arrow_file(made: pa.Table, new: Callable[..., Any]) -> bytes:
    file = io.BytesIO()
    with new(file, made.schema) as writer:
        writer.write_table(made)
    return file.getvalue()


OBJECTS = [{n: c for n, c in zip(HEADER, row, strict=True) if c} for row in ROWS]
FILES: dict[str, Callable[[], bytes]] = {
    "semicolon.csv": lambda: separated(";", "cp1252"),
    "utf16.tsv": lambda: separated("\t", "utf-16"),
    "lines.jsonl": lambda: "".join(json.dumps(one) + "\n" for one in OBJECTS).encode(),
    "array.json": lambda: json.dumps(OBJECTS, ensure_ascii=False).encode("utf-16"),
    "pretty.txt": lambda: json.dumps(OBJECTS, indent=2).encode(),
    "sheet.xlsx": lambda: xlsx({"T": [HEADER, *ROWS]}),
    "named wrongly.csv": lambda: xlsx({"T": [HEADER, *ROWS]}),
    "t.parquet": lambda: parquet_file(table()),
    "t.arrow": lambda: arrow_file(table(), pa.ipc.new_file),
    "stream": lambda: arrow_file(table(), pa.ipc.new_stream),
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": lambda data: packed({"folder/t.csv": data, "__MACOSX/._t.csv": b"x"}),
}


@pytest.fixture
def pushed(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> Callable[..., list[Any]]:
    def push(name: str, data: bytes, *more: str) -> list[Any]:
        (tmp_path / name).write_bytes(data)
        done = run_cli("push", name, *MAP, *more)
        assert done.returncode == 0, done.stderr
        return [entry.payload for entry in server.ledger]

    return push


WANTED = [
    {"title": "Grüße", "ticket_details": ROWS[0][2], "info": [{"phone": "919876543210"}]},
    {"title": "-1 not a formula", "ticket_details": "' apostrophe"},
    {"title": "x\\y \u20ac", "ticket_details": " blanks ", "info": [{"phone": "+91 98"}]},
]


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_tickets(pushed: Any, name: str) -> None:
    if "xlsx" in name or "wrongly" in name:
        pytest.importorskip("python_calamine")
    more = ["--encoding", "cp1252"] if name == "semicolon.csv" else []
    sent = pushed(name, FILES[name](), *more)
    assert sorted(sent, key=lambda one: str(one["title"])) == sorted(
        WANTED, key=lambda one: str(one["title"])
    )


@pytest.mark.parametrize("packing", PACKINGS)
def test_packed_files_are_unpacked(packing: str) -> None:
    for name in ("utf16.tsv", "array.json", "t.parquet"):
        found = found_in(io.BytesIO(PACKINGS[packing](FILES[name]())), name + packing)
        assert found.format == {"utf16.tsv": "csv", "array.json": "json"}.get(name, "arrow")
        assert found.stream.read() == FILES[name]()
    twice = gzip.compress(PACKINGS[packing](FILES["utf16.tsv"]()))
    assert found_in(io.BytesIO(twice), "x").stream.read() == FILES["utf16.tsv"]()


def test_zip_files_with_more_than_one_file_name_them() -> None:
    with pytest.raises(InvalidInputError, match=r"holds 2 files: 'a\.csv', 'b\.csv'"):
        found_in(io.BytesIO(packed({"a.csv": "x", "b.csv": "y"})), "t.zip")


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".xz"])
def test_packed_data_that_breaks_off_is_named(packing: str) -> None:
    data = PACKINGS[packing]("".join(f"row {n}\n" for n in range(50_000)).encode())
    with pytest.raises(InvalidInputError, match="breaks off: the file is not whole"):
        found_in(io.BytesIO(data[: len(data) - 20]), "t.csv").stream.read()


# --- spreadsheets ------------------------------------------------------------------------------


def sheet_rows(data: bytes, columns: Columns | None = None, **options: Any) -> SheetRows:
    pytest.importorskip("python_calamine")
    options.setdefault("wire_fields", ("title", "phone"))
    return SheetRows(io.BytesIO(data), columns or Columns(), dict, **options)


def test_cells_become_what_they_show() -> None:
    cells = [
        *("007", 919876543210, 7.0, 1.5, 0.1 + 0.2, True, Date(45296), Date(45296.4375)),
        *(1e-7, " blank "),
    ]
    rows = sheet_rows(xlsx({"T": [["title"], *([cell] for cell in cells)]}))
    assert [row.value["title"] for row in rows] == [
        *("007", "919876543210", "7", "1.5", "0.3", "TRUE", "2024-01-05", "2024-01-05 10:30:00"),
        *("0.0000001", " blank "),
    ]


def test_rows_are_named_as_in_the_sheet() -> None:
    lines = [["Report of May"], [None], ["Id", "title"], [1, "a"], [], [None, " "], [None, "b"]]
    rows = sheet_rows(xlsx({"T": lines}), Columns(key="Id"), skip=2)
    assert rows.total == 4
    assert list(rows) == [
        Row({"title": "a"}, "1", 4),
        Row({"title": "b"}, "line 7", 7, keyed=False),
    ]
    assert rows.blank == 2


def test_a_number_that_the_spreadsheet_rounded_is_not_sent() -> None:
    rows = list(sheet_rows(xlsx({"T": [["title", "phone"], ["a", 1234567890123456789]]})))
    assert rows[0].problem is not None
    assert "row 2: 'phone' is a number of more than 15 digits" in rows[0].problem.message
    keyed = Columns(fields={"title": "title"}, key="phone")
    rows = list(sheet_rows(xlsx({"T": [["title", "phone"], ["a", 1e18]]}), keyed))
    assert (rows[0].keyed, rows[0].problem is None) == (False, False)
    # Where the column is not sent, it does no harm.
    only = Columns(fields={"title": "title"})
    assert next(sheet_rows(xlsx({"T": [["title", "phone"], ["a", 1e18]]}), only)).problem is None


def test_the_sheet_is_named_where_there_are_more() -> None:
    book = xlsx({"A": [["title"], ["a"]], "B": [["title"], ["b"]], "H": []}, hidden=["H"])
    with pytest.raises(InvalidInputError, match="has 2 sheets: 'A', 'B'"):
        sheet_rows(book)
    with pytest.raises(InvalidInputError, match="no sheet 'C'; it has 'A', 'B'"):
        sheet_rows(book, sheet="C")
    assert [row.value for row in sheet_rows(book, sheet="B")] == [{"title": "b"}]
    assert sheet_rows(xlsx({"A": [["title"]], "H": []}, hidden=["H"])).sheet == "A"
    with pytest.raises(InvalidInputError, match="the sheet 'A' is empty"):
        sheet_rows(xlsx({"A": []}))


def test_open_document() -> None:
    rows = sheet_rows(ods([["title", "phone"], ["Grüße", "007"]]))
    assert [row.value for row in rows] == [{"title": "Grüße", "phone": "007"}]
    assert found_in(io.BytesIO(ods([["title"]])), "t.csv").format == "sheet"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (packed({"xl/workbook.xml": "no", "[Content_Types].xml": ""}), "is damaged, or is none"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "is damaged, or is none"),
    ],
)
def test_spreadsheets_that_cannot_be_read(data: bytes, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        sheet_rows(data)
    assert found_in(io.BytesIO(data), "t.csv").format == "sheet"


def test_a_cell_far_out_is_named() -> None:
    book = xlsx({"T": [["title"], ["a"]]}, extent="A1:XFD1048576")
    with pytest.raises(InvalidInputError, match="has 1,048,576 rows and 16,384 columns"):
        sheet_rows(book)
    assert len(list(sheet_rows(xlsx({"T": [["title"], ["a"]]}, extent="A1:CV1000000")))) == 1


def test_other_documents_are_named() -> None:
    data = packed({"[Content_Types].xml": "", "word/document.xml": ""})
    with pytest.raises(InvalidInputError, match="no spreadsheet"):
        found_in(io.BytesIO(data), "t.docx")


# --- JSON arrays -------------------------------------------------------------------------------


def array_rows(text: str, columns: Columns | None = None) -> JsonRows:
    stream = io.BufferedReader(io.BytesIO(text.encode()))
    return JsonRows(stream, columns or Columns(), dict, wire_fields=("title",))


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_cut_into_its_objects(indent: int | None) -> None:
    texts = ["[{", '"}],', "\\", '\\"', "\u2028", "x" * 100_000, "]"]
    objects = [{"title": text, "more": [{"a": [text]}], "x": {text: 1}} for text in texts]
    rows = list(array_rows(f" \n{json.dumps(objects, indent=indent)}\n "))
    assert [(row.line, row.value) for row in rows] == [
        (number, {"title": text}) for number, text in enumerate(texts, 1)
    ]


def test_a_bad_item_of_an_array_costs_no_other() -> None:
    rows = list(array_rows('[{"title": "a"}, {"title" "b"}, 7, {"title": "c"},]'))
    assert [row.value and row.value["title"] for row in rows] == ["a", None, None, "c"]
    assert [row.problem.message for row in rows if row.problem] == [
        "row 2: not JSON: Expecting ':' delimiter at column 10",
        "row 3: is not a JSON object",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"title": "a"}, {"title": "b"', "breaks off in row 2"),
        ('[{"title": "a"}', "breaks off in row 1"),
        ('[{"title": "a"}] {"title": "b"}', "something else follows row 1"),
        ('[{"title": "a"}}', "something else follows row 1"),
    ],
)
def test_an_array_that_is_not_whole_is_named(text: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        list(array_rows(text))


def test_an_array_is_read_as_it_is_asked_for() -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            data = (b'[{"title": "a"}' if not self.asked else b', {"title": "a"}') * 100
            data = data[: 15 if not self.asked else 1600]
            self.asked += len(data)
            buffer[: len(data)] = data
            return len(data)

        asked = 0

    raw = Endless()
    rows = JsonRows(io.BufferedReader(raw), Columns(), dict, wire_fields=("title",))
    assert [next(rows).line for _ in range(1000)] == list(range(1, 1001))
    assert raw.asked < 1_000_000
    assert array_rows("[]").blank == 0
    assert list(array_rows("[ ]")) == []


# --- Arrow -------------------------------------------------------------------------------------


def test_columns_of_every_type() -> None:
    moment = datetime(2024, 1, 5, 10, 30, tzinfo=UTC)
    made = pa.table(
        {
            "title": pa.array(["a", None, "c"]).dictionary_encode(),
            "id": pa.array([919876543210, None, 3], pa.int64()),
            "gaps": pa.array([7.0, float("nan"), 2.5]),
            "day": pa.array([date(2024, 1, 5), None, None]),
            "at": pa.array([moment, None, None], pa.timestamp("ns", "Asia/Kolkata")),
            "naive": pa.array([datetime(2024, 1, 5, 10, 30), None, None], pa.timestamp("s")),
            "flag": pa.array([True, None, False]),
            "objects": pa.array([[{"n": "1"}], None, None]),
        }
    )
    fields = {name: name for name in made.column_names if name != "id"}
    columns = Columns(fields=fields, key="id", zone=UTC)
    rows = list(ArrowRows(io.BytesIO(parquet_file(made)), columns, dict))
    assert [(row.key, row.line) for row in rows] == [("919876543210", 1), ("line 2", 2), ("3", 3)]
    assert [row.value for row in rows] == [
        {
            **{"title": "a", "gaps": "7", "day": "2024-01-05", "at": "2024-01-05 10:30:00"},
            **{"naive": "2024-01-05 10:30:00", "flag": True, "objects": [{"n": "1"}]},
        },
        {},
        {"title": "c", "gaps": "2.5", "flag": False},
    ]


def test_damaged_parquet_is_named() -> None:
    data = parquet_file(table())
    with pytest.raises(InvalidInputError, match="the file cannot be read as columns"):
        ArrowRows(io.BytesIO(data[:200]), Columns(), dict)


# --- shaping -----------------------------------------------------------------------------------


def test_dates_are_read_in_the_format_of_their_column(pushed: Any) -> None:
    data = b"Id,Subject,Text,Phone,Due,At\n1,a,b,c,05/01/2024,5.1.24 9:30\n"
    sent = pushed(
        "t.csv",
        data,
        *("--map", "due_date=Due", "--date-format", "Due=%d/%m/%Y"),
        *("--map", "info.at=At", "--date-format", "At=%d.%m.%y %H:%M"),
    )
    assert sent[0]["due_date"] == "2024-01-05"
    assert sent[0]["info"] == [{"phone": "c", "at": "2024-01-05 09:30:00"}]


def test_a_date_of_another_format_is_not_sent(run_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("title,Due\na,2024-01-05\n")
    done = run_cli(
        *("plan", "t.csv", "--map", "title=title", "--map", "due_date=Due"),
        *("--date-format", "Due=%d/%m/%Y"),
    )
    assert done.returncode == 2
    assert "line 2: 'Due' is not a date like %d/%m/%Y" in done.stdout


def test_constants_fill_what_rows_lack(pushed: Any) -> None:
    data = b"Id,Subject,Text,Phone\n1,a,b,c\n2,d,,\n"
    sent = pushed(
        *("t.csv", data, "--set", "ticket_details=none", "--set", "info.tier=gold"),
        *("--set", "info.phone=-", "--set", "queue=A", "--max-concurrency", "1"),
    )
    assert sent == [
        {
            **{"title": "a", "ticket_details": "b", "queue": "A"},
            "info": [{"phone": "c", "tier": "gold"}],
        },
        {
            **{"title": "d", "ticket_details": "none", "queue": "A"},
            "info": [{"tier": "gold", "phone": "-"}],
        },
    ]


def test_a_mapping_is_proposed_and_then_used(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(
        "Ticket ID,Ticket Subject,Description,E-Mail,Age\n1,a,b,u@example.com,30\n"
    )
    done = run_cli("plan", "t.csv", "--write-mapping", "import.toml")
    assert done.returncode == 0, done.stderr
    assert "plan t.csv --mapping import.toml" in done.stdout
    text = (tmp_path / "import.toml").read_text()
    assert "title = \"Ticket Subject\"  # guessed: ends with 'subject'" in text
    assert 'key = "Ticket ID"' in text
    assert '# not sent: "Age"' in text
    assert run_cli("plan", "t.csv", "--write-mapping", "import.toml").returncode == 2
    done = run_cli("push", "t.csv", "--mapping", "import.toml", "--map", "title=Age", "--json")
    assert done.returncode == 0, done.stderr
    sent = next(iter(server.ledger)).payload
    assert sent["title"] == "30"
    assert sent["email_id"] == "u@example.com"
    # What a journal saves needs no mapping file any more.
    (tmp_path / "import.toml").unlink()
    assert run_cli("resume", "t.csv.journal").returncode == 0
    assert len(server.ledger) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[map", "is not TOML"),
        ("[map]\ntitle = 7\n", "title of [map] must be a text"),
        ("[fields]\ntitle = 'x'\n", "'fields', or a value of it, that is no part"),
        ("key = 7\n", "no part of a mapping"),
    ],
)
def test_mappings_that_cannot_be_used(run_cli: Run, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text("title\na\n")
    (tmp_path / "m.toml").write_text(text)
    done = run_cli("plan", "t.csv", "--mapping", "m.toml")
    assert done.returncode == 2
    assert words in done.stderr


def test_a_field_that_is_misspelled_is_named(run_cli: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("title,D,Q\na,b,c\n")
    given = ("--map", "title=title", "--map", "ticket_detail=D", "--map", "queue=Q")
    done = run_cli("plan", "t.csv", *given)
    assert "'ticket_detail' is not a documented field" in done.stderr
    assert "did you mean 'ticket_details'?" in done.stderr
    assert "not documented, sent all the same: 'queue'" in done.stderr


def test_rejects_and_resume_work_for_a_sheet(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    pytest.importorskip("python_calamine")
    rows = [["Id", "Subject", "Text"], [1, "a", "x"], [2, None, "y"], [3, "c", 1e18]]
    (tmp_path / "t.xlsx").write_bytes(xlsx({"T": rows}))
    given = ("--map", "title=Subject", "--map", "info.text=Text", "--key", "Id")
    done = run_cli("push", "t.xlsx", *given)
    assert done.returncode != 0
    assert len(server.ledger) == 1
    done = run_cli("rejects", "t.xlsx.journal", "--out", "fix.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "fix.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["_key"], row["_line"], row["info.text"]) for row in found] == [
        ("2", "3", "y"),
        ("3", "4", "1000000000000000000"),
    ]
    assert found[0]["_reason"].startswith("title is missing")
    for row in found:
        row["title"], row["info.text"] = "fixed", "z"
    with (tmp_path / "fix.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    done = run_cli(
        *("push", "fix.csv", "--map", "title=title", "--map", "info.text=info.text"),
        *("--key", "_key", "--journal", "t.xlsx.journal"),
    )
    assert done.returncode == 0, done.stderr
    assert len(server.ledger) == 3
    assert run_cli("push", "t.xlsx", *given).returncode == 0
    assert len(server.ledger) == 3
