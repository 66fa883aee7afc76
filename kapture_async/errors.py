"""The errors that this package raises; their common base is :class:`HelpdeskError`."""

from ._core.errors import *  # noqa: F403 - listed there, for both packages
from ._core.lazy import say_home as _say_home
from .webhooks import InvalidCallbackError as InvalidCallbackError

_say_home(__name__, "kapture_async")
