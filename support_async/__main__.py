"""The program ``support-async``, which is also ``python -m support_async``."""

from __future__ import annotations

from kapture_async._core.cli.startup import run_program


def main() -> None:
    """Run the command line and end the program with its exit code."""
    run_program("support_async.cli.app")


if __name__ == "__main__":
    main()
