"""The words and colours for outcomes, and numbers as a person reads them."""

from __future__ import annotations

WORDS = {
    "accepted": "accepted",
    "rejected": "rejected",
    "not_sent": "not sent",
    "unknown": "unknown",
}
STYLES = {"accepted": "green", "rejected": "yellow", "not_sent": "cyan", "unknown": "red"}
MEANINGS = {
    "accepted": "the service confirmed it",
    "rejected": "the service refused it; it has no effect",
    "not_sent": "it never left this machine; safe to send, mended if it needs to be",
    "unknown": "it may or may not have happened; look it up, never send it again blindly",
}

JOURNALED = MEANINGS | {
    "rejected": "refused, by the service or by the journal (see why); it has no effect",
    "unknown": "it may or may not have happened; it is not sent again before `reconcile`",
}
"""The same where a journal is kept."""


def duration(seconds: float) -> str:
    """A length of time: ``8.2 ms``, ``1.93 s``, ``4:05``, ``1:02:03``."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    return clock(seconds)


def clock(seconds: float) -> str:
    """A length of time in whole seconds: ``0:07``, ``4:05``, ``1:02:03``."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def count(number: int, word: str) -> str:
    """A number and its noun: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def percent(share: float) -> str:
    """A share in percent, never rounded up to 100."""
    return f"{int(share * 10000) / 100:g} %"
