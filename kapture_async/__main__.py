"""``python -m kapture_async`` is the command line ``kapture-async``."""

from __future__ import annotations

from .cli import main

main()
