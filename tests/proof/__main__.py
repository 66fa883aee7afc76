"""``python -m tests.proof``: the whole matrix, printed as a table; exit code 1 if a cell is wrong.

``--only WORDS`` runs the rows that have one of these words in their names, ``--compact`` prints the
short table of ``tests/README.md``, ``--verbose`` also what every wrong cell said.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from ..postgres import PostgresServer, programs
from .matrix import FAULTS, WAYS, Found, Row, leaping, row_under_all_faults, rows_of_matrix
from .rules import RULES

SIGNS = {"ok": "=", "again": "+", "other": "~", "rejected": "R", "not_sent": "N", "unknown": "?"}
LEGEND = (
    "= right, + right after it was sent again, R rejected, N not sent, ? unknown, ~ another answer"
)


def sign(cell: str) -> str:
    """A cell in one or two characters."""
    said, _, rest = cell.partition(" ")
    return SIGNS.get(said, "!") + rest[:1]


def run_all(rows: Iterable[Row], workers: int, database: str | None) -> Iterator[Found]:
    """Every cell of some rows, as they are done."""
    with ProcessPoolExecutor(workers, get_context("spawn"), leaping) as pool:
        work = [
            pool.submit(row_under_all_faults, row, way, database) for row in rows for way in WAYS
        ]
        for done in as_completed(work):
            yield from done.result()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--compact", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--workers", type=int, default=6)
    options = parser.parse_args()
    found_programs = programs()
    server = None if found_programs is None else PostgresServer(found_programs)
    rows = [
        row
        for row in rows_of_matrix()
        if (not options.only or any(word in str(row) for word in options.only))
        and (server is not None or row.journal != "postgres")
    ]
    began = time.monotonic()
    try:
        if server is not None:
            server.start()
        database = None if server is None else server.url()
        found = list(run_all(rows, options.workers, database))
    finally:
        if server is not None:
            server.stop()
    wrong = [one for one in found if not one.right]
    print(compact(found) if options.compact else full(found))
    for one in wrong if options.verbose else []:
        where = f"{one.row} | {' '.join(one.way)} | {one.fault}"
        print(f"{where}: {one.cell}, promised {one.promised} | {one.detail[:200]}")
    seconds = time.monotonic() - began
    print(f"\n{len(found):,} cells, {len(wrong)} wrong, in {seconds:.0f} s")
    if server is None:
        print("without PostgreSQL, of which there is none here")
    return 1 if wrong else 0


def full(found: list[Found]) -> str:
    """Rows are calls, columns faults; a cell is what both clients came to over both wires."""
    columns = list(FAULTS)
    lines = [f"{n:2} {fault}" for n, fault in enumerate(columns, 1)]
    lines += ["", f"{LEGEND}; the number is what stands in the ledger; !! is wrong", ""]
    table: dict[Row, dict[str, list[Found]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        table[one.row][one.fault].append(one)
    width = max(len(str(row)) for row in table)
    lines.append(" " * width + "".join(f" {n:>2}" for n in range(1, len(columns) + 1)))
    for row in sorted(table, key=str):
        signs = []
        for fault in columns:
            ones = table[row][fault]
            same = {sign(one.cell) for one in ones}
            if not all(one.right for one in ones):
                signs.append("!!")
            else:
                signs.append(same.pop() if len(same) == 1 else "|" if same else "")
        lines.append(f"{row!s:{width}}" + "".join(f" {one:>2}" for one in signs))
    return "\n".join(lines)


def compact(found: list[Found]) -> str:
    """How many cells came to what, faults that did alike in one row."""
    alike: dict[str, list[str]] = defaultdict(list)
    for fault in FAULTS:
        here = [one for one in found if one.fault == fault]
        reads, writes = (
            Counter(one.cell for one in here if one.row.effect == effect).most_common()
            for effect in ("read", "write")
        )
        told = [", ".join(f"{n} {cell}" for cell, n in counts) for counts in (reads, writes)]
        wrong = sum(not one.right for one in here)
        told.append(f"**{wrong} wrong**" if wrong else RULES[fault].why)
        alike[" | ".join(told)].append(f"`{fault.replace(';', '; ')}`")
    lines = ["| fault | reads | writes | |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {', '.join(names)} | {row} |" for row, names in alike.items()])


if __name__ == "__main__":
    sys.exit(main())
