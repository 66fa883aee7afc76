"""Small spreadsheets, made by hand: tests need none of the libraries that write them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"

Sheet = Sequence[Sequence[Any]]


class Date(float):
    """The serial number of a day or a moment, in a cell that is formatted as a date."""


def xlsx(sheets: Mapping[str, Sheet], *, hidden: Sequence[str] = (), extent: str = "") -> bytes:
    """A workbook; of cells, texts are inline and numbers are numbers."""
    dimension = f'<dimension ref="{extent}"/>' if extent else ""
    names = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"'
        + (' state="hidden"/>' if name in hidden else "/>")
        for number, name in enumerate(sheets, 1)
    )
    relations = "".join(
        f'<Relationship Id="rId{number}" Type="{_REL}/worksheet"'
        f' Target="worksheets/sheet{number}.xml"/>'
        for number in range(1, len(sheets) + 1)
    )
    styles = f'<Relationship Id="rId0" Type="{_REL}/styles" Target="styles.xml"/>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r"'
        f' Type="{_REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_REL}"><sheets>{names}</sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f"{relations}{styles}</Relationships>",
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><cellXfs><xf numFmtId="0"/>'
        '<xf numFmtId="22"/></cellXfs></styleSheet>',
    }
    for number, rows in enumerate(sheets.values(), 1):
        lines = "".join(_row(place, cells) for place, cells in enumerate(rows, 1))
        content = (
            f'<worksheet xmlns="{_MAIN}">{dimension}<sheetData>{lines}</sheetData></worksheet>'
        )
        parts[f"xl/worksheets/sheet{number}.xml"] = content
    return packed(parts)


def ods(rows: Sheet) -> bytes:
    """A document of OpenOffice, with one sheet of texts."""
    cells = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{escape(cell)}</text:p>'
            "</table:table-cell>"
            for cell in row
        )
        + "</table:table-row>"
        for row in rows
    )
    urn = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<office:document-content xmlns:office="{urn}:office:1.0" xmlns:table="{urn}:table:1.0"'
        f' xmlns:text="{urn}:text:1.0"><office:body><office:spreadsheet>'
        f'<table:table table:name="T">{cells}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        f'<manifest:manifest xmlns:manifest="{urn}:manifest:1.0"><manifest:file-entry'
        f' manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>'
    )
    return packed({"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest})


def packed(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def _row(number: int, cells: Sequence[Any]) -> str:
    found = "".join(
        _cell(f"{chr(65 + place)}{number}", cell)
        for place, cell in enumerate(cells)
        if cell is not None
    )
    return f'<row r="{number}">{found}</row>'


def _cell(place: str, value: Any) -> str:
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{value:d}</v></c>'
    if isinstance(value, (int, float)):
        return f'<c r="{place}" s="{isinstance(value, Date):d}"><v>{value!r}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
