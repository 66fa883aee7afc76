"""Writes the blocking twins: ``python -m kapture_async._core.facade.generate [--check]``.

Reads the async sources as text and writes thin classes: the real signature, the docstring, one
delegating line. Constructs it has no rule for are errors with file and line, never a guess, and
so are exceptions (dropped parameters, renames) that nothing uses any longer. Run it from the
root of the repository; what to write stands in ``pyproject.toml`` (see :mod:`.table`).
"""

from __future__ import annotations

from .check import generate, main
from .drift import introspect_drift, introspect_table
from .source import GenerateError
from .table import Table, read_table

__all__ = [
    "GenerateError",
    "Table",
    "generate",
    "introspect_drift",
    "introspect_table",
    "main",
    "read_table",
]
