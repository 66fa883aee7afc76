"""The machine: its cores, limits and load, and the versions that were measured."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("aiohttp", "orjson", "attrs", "cattrs", "anyio", "uvloop", "httpx", "requests")
MORE = ("urllib3", "pydantic", "wreq", "pyreqwest", "httpx2")


def own_python(peer: str) -> str:
    """The interpreter of a peer that cannot share an environment with the others: what
    ``BENCH_<PEER>`` names; empty if nothing does."""
    return os.environ.get(f"BENCH_{peer.upper()}", "")


def two_cores() -> tuple[int | None, int | None]:
    """A core for the client and another for the server; ``None`` where they cannot be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[-1]) if len(cores) > 1 else (None, None)


def pin(core: int | None) -> None:
    """Keep this process on one core."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def many_files() -> None:
    """Allow as many open connections as the system lets this process have."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 65_536
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def new_loop(*, uvloop: bool) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes an event loop: uvloop's if that is wished and there, else asyncio's."""
    if uvloop:
        try:
            from uvloop import new_event_loop
        except ImportError:
            return asyncio.new_event_loop
        return new_event_loop
    return asyncio.new_event_loop


def resident_bytes(name: str = "VmRSS") -> int:
    """Memory of this process now, or with ``VmHWM`` the most it has held."""
    try:
        # What getrusage gives counts the parent's memory, too, as it was at the fork.
        status = Path("/proc/self/status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0]) * 1024
    except OSError:
        try:
            import resource
        except ImportError:
            return 0  # unknown on this system
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_bytes() -> int:
    """The most memory this process has held."""
    return resident_bytes("VmHWM")


def forget_peak() -> None:
    """Let the most memory be counted from now on, where the system can do that."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def load() -> float | None:
    """The load average of the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def has_c_extensions() -> bool:
    """Whether aiohttp parses HTTP in C; without, it is less than half as fast."""
    from aiohttp import http_parser

    return http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy


def versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES + MORE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def description() -> dict[str, Any]:
    """All that belongs beside a number."""
    client, server = two_cores()
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "client_core": client,
        "server_core": server,
        "load": load(),
        "aiohttp_c_extensions": has_c_extensions(),
        "versions": versions(),
    }
