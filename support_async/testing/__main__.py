"""``python -m support_async.testing``: the twin as a process, with nothing but the library.

The process runner starts twins this way, so that it depends on no command-line package.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kapture_async._core.testing.reader import MAX_BODY

from .twin import APIKEY, MAX_FILE, serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m support_async.testing", description="A Support Ticket server for tests."
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--apikey", default=APIKEY)
    parser.add_argument("--faults", type=float, default=0.0, metavar="RATE", dest="fault_rate")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--ledger", metavar="FILE", help="one JSON line per executed call")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--envelope", choices=("wrapped", "bare"), default="wrapped")
    parser.add_argument("--open-ticket-limit", type=int, metavar="COUNT")
    parser.add_argument("--max-file", type=int, default=MAX_FILE, metavar="BYTES")
    parser.add_argument("--max-body", type=int, default=MAX_BODY, metavar="BYTES")
    parser.add_argument("--ticket-id-from", choices=("either", "body", "query"), default="either")
    parser.add_argument("--token-seconds", type=float, default=3600.0, metavar="SECONDS")
    parser.add_argument("--stdin-closes", action="store_true", help="end when stdin does")
    settings = parser.parse_args(arguments)
    try:
        serve(**vars(settings))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
