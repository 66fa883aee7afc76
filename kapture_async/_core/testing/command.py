"""What the commands that run an emulator share: their options, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence


def parser_of(module: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options that every emulator has.

    Args:
        module: what is run, as ``python -m`` takes it.
        description: what it is.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--faults", type=float, default=0.0, metavar="RATE", dest="fault_rate")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--ledger", metavar="FILE", help="one JSON line per executed call")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--stdin-closes", action="store_true", help="end when stdin does")
    return parser


def run(
    parser: argparse.ArgumentParser, serve: Callable[..., None], arguments: Sequence[str] | None
) -> int:
    """Serve with the settings that were given, until told to stop; return the exit code."""
    settings = parser.parse_args(arguments)
    try:
        serve(**vars(settings))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
