"""The program ``support-async``, which is also ``python -m support_async``."""

from __future__ import annotations

import os

from kapture_async._core.cli.quick import answered


def main() -> None:
    """Run the command line and end the program with its exit code."""
    if answered("support-async", os.path.join(os.path.dirname(__file__), "cli")):
        return
    from kapture_async._core.cli.startup import run_program

    run_program("support_async.cli.app")


if __name__ == "__main__":
    main()
