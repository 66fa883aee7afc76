"""Pushing tickets on loopback: the client's own speed, over plain HTTP and over TLS."""

from __future__ import annotations

from . import Case, Contender

R = Contender("R", "aiohttp + orjson (R)", "aiohttp_raw", "push")
PLAIN = Contender("plain", "this library", "kapture", "push")
JOURNAL = Contender("journal", "this library, journal", "kapture", "push_journaled")

HTTP = Case(
    name="push",
    title="Push on loopback, plain HTTP",
    contenders=(R, PLAIN, JOURNAL),
    rows=5000,
    quick=300,
)
CASES = [HTTP]
