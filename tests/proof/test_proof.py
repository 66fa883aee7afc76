"""A thin slice of the matrix: every call, every fault and every way once, the same each time.

All of it: ``python -m tests.proof``.
"""

from __future__ import annotations

import pytest

from kapture_async.testing import KINDS

from .calls import SERVICES, Service
from .matrix import FAULTS, NO_SERVER, WAYS, Row, cell_of, leaping, rows_of_matrix, run
from .rules import EXCEPT, RULES, promised

ROWS = [row for row in rows_of_matrix() if row.journal != "postgres"]
SLICE = [
    (ROWS[n % len(ROWS)], [*FAULTS][n % len(FAULTS)], WAYS[n % 7 % len(WAYS)])
    for n in range(max(len(ROWS), len(FAULTS)))
]


@pytest.mark.parametrize("service", SERVICES.values(), ids=lambda service: service.name)
def test_every_public_method_is_called(service: Service) -> None:
    assert set(service.calls) == service.methods()


def test_every_fault_that_emulators_make_has_a_rule() -> None:
    assert {fault.kind for fault in FAULTS.values() if fault} == set(KINDS)
    assert set(RULES) == set(FAULTS)
    assert {fault for _, fault, _, _ in EXCEPT} <= {"*", *FAULTS}


def test_the_slice_has_every_call_every_fault_and_every_way() -> None:
    rows, faults, ways = zip(*SLICE, strict=True)
    assert (set(rows), set(faults), set(ways)) == (set(ROWS), set(FAULTS), set(WAYS))


@pytest.mark.parametrize(
    ("row", "fault", "way"), SLICE, ids=[f"{row}-{fault}" for row, fault, _ in SLICE]
)
def test_it_comes_to_what_is_promised(
    row: Row, fault: str, way: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    leaping(monkeypatch.setattr)
    hit = run(row, "", way).hits[-1]
    found = cell_of(Row(row.service, row.method, hit, row.journal), fault, way)
    assert found.right, found


def test_a_cell_can_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends a write again is found out by the ledger."""
    from kapture_async._core.transport import retry, transport

    leaping(monkeypatch.setattr)
    monkeypatch.setattr(transport, "decide", lambda *args, **more: retry.RetryIn(0.0))
    row = Row("kapture", "tickets.add", "tickets.add")
    found = cell_of(row, "close_after", ("async", "direct"))
    assert (found.cell, found.right) == ("other 2", False)
    assert promised(row, "close_after") == "unknown 1"
    assert promised(row, NO_SERVER) == "not_sent 0"
