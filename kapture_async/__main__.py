"""The program ``kapture-async``, which is also ``python -m kapture_async``."""

from __future__ import annotations

import os

from ._core.cli.quick import answered


def main() -> None:
    """Run the command line and end the program with its exit code."""
    if answered("kapture-async", os.path.join(os.path.dirname(__file__), "cli")):
        return
    from ._core.cli.startup import run_program

    run_program("kapture_async.cli.app")


if __name__ == "__main__":
    main()
