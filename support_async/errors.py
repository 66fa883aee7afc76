"""The errors that this package raises; their common base is :class:`HelpdeskError`."""

from kapture_async._core.errors import *  # noqa: F403 - listed there, for both packages
