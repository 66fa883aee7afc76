"""``python -m support_async`` is the command line ``support-async``."""

from __future__ import annotations

from .cli import main

main()
