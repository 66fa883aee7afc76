"""The program ``kapture-async``, which is also ``python -m kapture_async``."""

from __future__ import annotations

from ._core.cli.startup import run_program


def main() -> None:
    """Run the command line and end the program with its exit code."""
    run_program("kapture_async.cli.app")


if __name__ == "__main__":
    main()
