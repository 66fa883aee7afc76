"""The one module of the command line that works without its extra."""

from __future__ import annotations

import importlib.util
import sys


def need_extra(distribution: str, *modules: str) -> None:
    """End the program with one line on how to install them, if any of the modules is missing."""
    if all(importlib.util.find_spec(name) for name in modules):
        return
    print(
        f"The command line needs {' and '.join(modules)}: pip install '{distribution}[cli]'",
        file=sys.stderr,
    )
    raise SystemExit(2)
