"""The peers, side by side: ``python -m benchmarks``, or ``--quick``; ``--help`` tells the rest."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from . import tables
from .cases.push import CASES
from .machine import description, two_cores
from .running import Plan, as_dict, run_case
from .serving import fixed_server, make_certificate


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help="cases, with commas between")
    parser.add_argument("--contenders", help="contenders, with commas between; R is always in")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--folder", default="")
    return parser.parse_args()


def main() -> None:
    given = parse()
    client, server_core = two_cores()
    cases = [c for c in CASES if not given.only or c.name in given.only.split(",")]
    found = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(
            fixed_server(certificate=make_certificate(folder), core=server_core)
        )
        plan = Plan(
            rounds=given.rounds,
            quick=given.quick,
            rows=given.rows,
            chosen=tuple((given.contenders or "").split(",")) if given.contenders else (),
            client_core=client,
            folder=given.folder,
            tell=lambda line: print(f"  ... {line}", file=sys.stderr, flush=True),
        )
        for case in cases:
            ran = run_case(case, plan, server)
            table = tables.table_of(ran)
            print(tables.text_of(table), "", sep="\n", flush=True)
            found[case.name] = as_dict(ran) | {"table": tables.as_dict(table)}
    if given.json:
        text = {"at": time.time(), "machine": description(), "cases": found}
        given.json.write_text(json.dumps(text, indent=1))


if __name__ == "__main__":
    main()
