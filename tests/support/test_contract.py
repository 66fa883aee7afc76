"""One table of requests, sent to stock Django REST Framework and to the emulator: equal answers."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest

from . import rows_reading, rows_wire, rows_writing
from .exchanges import Wire
from .rows import Row
from .servers import DrfServer, EmulatorLoop, Stage

ROWS = (*rows_reading.ROWS, *rows_writing.ROWS, *rows_wire.ROWS)
# One row for each thing that SERVICE.md lets the service say.
ERRORS = {
    json.dumps(row.expect): row
    for row in ROWS
    if row.expect is not None and row.expect.errors is not None
}


def expected(row: Row, *, wrapped: bool) -> Any:
    """The body that SERVICE.md promises, in or without the envelope."""
    assert row.expect is not None
    status, data, errors = row.expect
    if errors is not None:
        return {"status_code": status, "errors": errors, "data": {}} if wrapped else errors
    if isinstance(data, bytes):
        return data
    return {"status_code": status, "errors": {}, "data": data}


def compare(
    row: Row, drf_process: DrfServer, drf_wire: Wire, emulator_loop: EmulatorLoop, *, wrapped: bool
) -> None:
    stage = Stage(wrapped, row.limit, row.inactive)
    drf_process.set_stage(stage)
    with closing(drf_wire):  # until the next row
        real = [drf_wire.exchange(ask) for ask in row.asks]
    if row.expect is not None:
        said = expected(row, wrapped=wrapped)
        assert (real[-1].status, real[-1].content) == (row.expect.status, said)
    with emulator_loop.emulator(stage) as emulator, closing(Wire(emulator)) as wire:
        played = [wire.exchange(ask) for ask in row.asks]
    for ask, one, other in zip(row.asks, real, played, strict=True):
        assert one == other, f"{ask.method} {ask.path}"


@pytest.fixture(scope="module")
def drf_wire(drf_process: DrfServer) -> Wire:
    return Wire(drf_process)


def test_the_table_names_each_row_once() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


@pytest.mark.usefixtures("drf_output")
@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_same_answers(
    row: Row, drf_process: DrfServer, drf_wire: Wire, emulator_loop: EmulatorLoop
) -> None:
    compare(row, drf_process, drf_wire, emulator_loop, wrapped=True)


@pytest.mark.usefixtures("drf_output")
@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ERRORS.values()])
def test_same_errors_without_an_envelope(
    row: Row, drf_process: DrfServer, drf_wire: Wire, emulator_loop: EmulatorLoop
) -> None:
    compare(row, drf_process, drf_wire, emulator_loop, wrapped=False)
