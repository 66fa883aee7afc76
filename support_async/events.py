"""What ``on_event=`` callbacks are told: of attempts, of a push, and of lookups."""

from kapture_async._core.events import *  # noqa: F403 - listed there, for both packages
