"""Measurements. ``python -m benchmarks`` sets the peers side by side.

Single questions have commands of their own: ``python -m benchmarks.memory``, ``.journal``,
``.uploads`` and ``.outages``, each with ``--help``.
"""
