"""The command: ``python -m kapture_async._core.facade.generate``."""

from __future__ import annotations

import sys

from .check import main

sys.exit(main())
