"""The errors that this package raises; their common base is :class:`HelpdeskError`."""

from ._core.errors import *  # noqa: F403 - listed there, for both packages
from .webhooks import InvalidCallbackError as InvalidCallbackError
