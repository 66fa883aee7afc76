"""``python -m support_async.testing``: the emulator as a process, with nothing but the library.

The process runner starts emulators this way, so that it depends on no command-line package.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kapture_async._core.testing.http import MAX_BODY
from kapture_async._core.testing.runner import parser_of, run

from .emulator import APIKEY, MAX_FILE, serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; return the exit code."""
    parser = parser_of("support_async.testing", "A Support Ticket server for tests.")
    parser.add_argument("--apikey", default=APIKEY)
    parser.add_argument("--envelope", choices=("wrapped", "bare"), default="wrapped")
    parser.add_argument("--open-ticket-limit", type=int, metavar="COUNT")
    parser.add_argument("--max-file", type=int, default=MAX_FILE, metavar="BYTES")
    parser.add_argument("--max-body", type=int, default=MAX_BODY, metavar="BYTES")
    parser.add_argument("--ticket-id-from", choices=("either", "body", "query"), default="either")
    parser.add_argument("--token-seconds", type=float, default=3600.0, metavar="SECONDS")
    return run(parser, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
