"""``python -m kapture_async.testing``: the emulator as a process, with nothing but the library.

The process runner starts emulators this way, so that it depends on no command-line package.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .._core.testing.runner import parser_of, run
from .emulator import TOKEN, serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; return the exit code."""
    parser = parser_of("kapture_async.testing", "A Kapture server for tests.")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--failed-status", type=int, default=200, metavar="HTTP")
    parser.add_argument("--auth-failed-status", type=int, metavar="HTTP")
    parser.add_argument("--pagination", type=int, metavar="ROWS")
    return run(parser, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
