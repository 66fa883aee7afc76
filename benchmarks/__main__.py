"""The peers, side by side: ``python -m benchmarks``, or ``--quick`` (a minute, no verdicts).

It starts a server with fixed answers on this machine, and lets every contender do the same work
in a fresh process, in turns. The yardstick R is aiohttp and orjson by hand, with no safety at
all. A run that the server did not get whole counts as failed, and where the reference differs
from itself by more than five per cent, there is no verdict.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import goals, picture, running, tables
from .cases import Case
from .cases.every import CASES
from .machine import description, load
from .serving import Server, fixed_server, make_certificate


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"cases: {', '.join(CASES)}; 'latency' means all of them",
    )
    parser.add_argument("--only", type=names, default=[], help="cases, with commas between")
    parser.add_argument(
        "--contenders", type=names, default=[], help="some of them; the reference is always in"
    )
    parser.add_argument("--rounds", type=positive, help="default 5; 1 with --quick")
    parser.add_argument("--rows", type=positive, default=0, help="instead of each case's own")
    parser.add_argument("--quick", action="store_true", help="one round of few rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was found")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw speed and memory")
    parser.add_argument("--folder", default="", help="where temporary files and journals go")
    given = parser.parse_args(arguments)
    given.cases = _chosen(parser, given.only)
    known = {contender.name for case in given.cases for contender in case.contenders}
    unknown = [name for name in given.contenders if name not in known]
    if unknown:
        parser.error(f"no contender {unknown[0]!r} there; they are {', '.join(sorted(known))}")
    if given.contenders:
        wanted = set(given.contenders)
        given.cases = [c for c in given.cases if wanted & {one.name for one in c.contenders}]
    if given.folder and not Path(given.folder).is_dir():
        parser.error(f"there is no folder {given.folder!r}")
    given.rounds = given.rounds or (1 if given.quick else 5)
    return given


def _chosen(parser: argparse.ArgumentParser, only: list[str]) -> list[Case]:
    found = []
    for name in only or CASES:
        cases = [
            case for case in CASES.values() if case.name == name or case.name.startswith(f"{name}-")
        ]
        # "push" means itself; "latency" has no such case, and means its family.
        exact = [case for case in cases if case.name == name]
        if not cases:
            parser.error(f"no case {name!r}; they are {', '.join(CASES)}")
        found += [case for case in exact or cases if case not in found]
    return found


def head(machine: dict[str, Any]) -> str:
    found = [f"{name} {version}" for name, version in machine["versions"].items()]
    client, server = machine["client_core"], machine["server_core"]
    pinned = f"client on core {client}, server on {server}" if client is not None else "not pinned"
    compiled = "with" if machine["aiohttp_c_extensions"] else "WITHOUT"
    lines = [
        f"{machine['implementation']} {machine['python']} on {machine['system']}, "
        f"{machine['cores']} cores, {pinned}",
        ", ".join(found),
        f"aiohttp {compiled} its C extensions; load {_load()}",
    ]
    return "\n".join(lines)


def _load() -> str:
    found = load()
    return "unknown" if found is None else f"{found:.2f}"


def left_out(ran: running.Ran, plan: running.Plan, server: Server) -> str:
    """Why a case cannot be run at all; empty if it can."""
    if plan.quick and not ran.case.quick:
        return "it takes too long for --quick"
    if ran.case.over == "tls" and not server.tls_url:
        return "it needs trustme, which makes the certificate"
    lacks = ran.missing.get(ran.case.reference.name)
    return f"all are compared with {ran.case.reference.title}, which needs {lacks}" if lacks else ""


def run(given: argparse.Namespace) -> int:
    machine = description()
    print(head(machine), "", sep="\n", flush=True)
    found: dict[str, tables.Table] = {}
    code = 0
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        plan = running.Plan(
            rounds=given.rounds,
            quick=given.quick,
            rows=given.rows,
            chosen=tuple(given.contenders),
            client_core=machine["client_core"],
            folder=str(Path(given.folder).resolve()) if given.folder else "",
            tell=lambda line: print(f"... {line}", file=sys.stderr, flush=True),
        )
        certificate = None
        if any(case.over == "tls" for case in given.cases):
            certificate = make_certificate(folder)
        day = next((running.rows_of(case, plan) for case in given.cases if case.day), 0)
        server = stack.enter_context(
            fixed_server(day=day, certificate=certificate, core=machine["server_core"])
        )
        try:
            for case in given.cases:
                ran = running.prepare(case, plan)
                if why_not := left_out(ran, plan, server):
                    print(f"{tables.title_of(ran)}\n  left out: {why_not}\n", flush=True)
                    continue
                try:
                    running.run_case(ran, plan, server)
                finally:
                    found[case.name] = tables.table_of(ran)
                    print(tables.text_of(found[case.name]), "", sep="\n", flush=True)
        except KeyboardInterrupt:
            code = 130
            print("interrupted; above is what was found before", file=sys.stderr)
        except OSError as error:
            code = 1
            print(f"the server is gone: {error}", file=sys.stderr)
    judged = goals.judge_all(found)
    if judged:
        print("Goals", goals.text_of(judged), "", sep="\n")
    print(f"load {_load()}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(_as_dict(given, machine, found, judged), indent=1) + "\n")
    if given.picture:
        given.picture.write_text(picture.draw(found, machine))
    return code


def _as_dict(
    given: argparse.Namespace,
    machine: dict[str, Any],
    found: dict[str, tables.Table],
    judged: list[goals.Judged],
) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": given.quick,
        "rounds": given.rounds,
        "machine": machine | {"load_after": load()},
        "cases": {
            name: running.as_dict(table.ran) | {"table": tables.as_dict(table)}
            for name, table in found.items()
        },
        "goals": [
            {
                "case": one.goal.case,
                "goal": one.goal.text,
                "bound": one.goal.bound,
                "found": one.found,
                "verdict": one.verdict,
                "why": one.why,
            }
            for one in judged
        ],
    }


if __name__ == "__main__":
    # What `timeout 600 python -m benchmarks` sends ends as Ctrl-C does: with what was found.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(parse()))
