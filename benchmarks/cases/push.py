"""Pushing tickets on loopback: the client's own speed, over plain HTTP and over TLS."""

from __future__ import annotations

from dataclasses import replace

from . import Case, Contender

R = Contender("R", "aiohttp + orjson (R)", "aiohttp_raw", "push")
PLAIN = Contender("plain", "this library", "kapture", "push")
JOURNAL = Contender("journal", "this library, journal", "kapture", "push_journaled")
UVLOOP = Contender(
    "uvloop", "this library, uvloop", "kapture", "push", needs=("uvloop",), uvloop=True
)
R_UVLOOP = Contender(
    "R-uvloop", "aiohttp + orjson, uvloop", "aiohttp_raw", "push", needs=("uvloop",), uvloop=True
)
HTTPX = Contender(
    "httpx",
    "httpx.AsyncClient, 16 at a time",
    "httpx_async",
    "push",
    needs=("httpx",),
    share=0.1,
    concurrency=16,
)
HTTPX2 = replace(
    HTTPX,
    name="httpx2",
    title="httpx2.AsyncClient, 16 at a time",
    needs=("httpx2",),
    options={"library": "httpx2"},
)
WREQ = Contender("wreq", "wreq + orjson, by hand", "wreq_async", "push", needs=("wreq",))
PYREQWEST = Contender(
    "pyreqwest", "pyreqwest + orjson, by hand", "pyreqwest_async", "push", needs=("pyreqwest",)
)
REQUESTS = Contender(
    "requests",
    "requests, 16 threads",
    "requests_threads",
    "push",
    needs=("requests",),
    share=0.2,
    concurrency=16,
)
TUNED = Contender(
    "requests-tuned",
    "requests, 16 threads, orjson, no env",
    "requests_threads",
    "push_tuned",
    needs=("requests",),
    share=0.25,
    concurrency=16,
)
ZENPY = Contender(
    "zenpy",
    "requests, one at a time (as Zenpy)",
    "requests_threads",
    "zenpy_style",
    needs=("requests",),
    share=0.2,
    concurrency=1,
)
VENDOR = Contender(
    "vendor", "vendor's sample, one at a time", "vendor_sample", "push", share=0.3, concurrency=1
)
VENDOR_TLS = Contender(
    "vendor", "vendor's sample, one at a time", "vendor_sample", "push", share=0.05, concurrency=1
)
RAW = Contender("raw", "asyncio.Protocol, no HTTP", "raw_protocol", "push")

CASES = [
    Case(
        name="push",
        title="Push on loopback, plain HTTP",
        contenders=(
            R,
            PLAIN,
            JOURNAL,
            UVLOOP,
            R_UVLOOP,
            REQUESTS,
            HTTPX,
            HTTPX2,
            WREQ,
            PYREQWEST,
            TUNED,
            VENDOR,
            ZENPY,
            RAW,
        ),
        rows=5000,
        quick=300,
    ),
    Case(
        name="push-tls",
        title="Push on loopback, TLS",
        contenders=(
            R,
            PLAIN,
            JOURNAL,
            UVLOOP,
            R_UVLOOP,
            REQUESTS,
            HTTPX,
            WREQ,
            PYREQWEST,
            VENDOR_TLS,
            ZENPY,
        ),
        rows=4000,
        quick=300,
        over="tls",
    ),
]
