"""What ``on_event=`` callbacks are told: of attempts, of a push, and of lookups."""

from ._core.events import *  # noqa: F403 - listed there, for both packages
