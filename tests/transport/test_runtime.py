"""Where the library cannot run it says so at once; what a machine lacks is named."""

from __future__ import annotations

import sys
import zoneinfo
from types import SimpleNamespace
from typing import Any

import pytest

from kapture_async import ClientStateError, ConfigurationError, KaptureClient, SyncKaptureClient
from support_async import SupportClient, SyncSupportClient

KAPTURE = {"base_url": "https://t.example.com", "token": "t"}
SUPPORT = {"base_url": "https://s.example.com", "apikey": "k", "access_token": "t"}
CLIENTS: list[tuple[Any, dict[str, str]]] = [
    (KaptureClient, KAPTURE),
    (SyncKaptureClient, KAPTURE),
    (SupportClient, SUPPORT),
    (SyncSupportClient, SUPPORT),
]


def pretend(monkeypatch: pytest.MonkeyPatch, library: str, part: str) -> None:
    module, asked = {
        "gevent": ("gevent.monkey", "is_module_patched"),
        "eventlet": ("eventlet.patcher", "is_monkey_patched"),
    }[library]
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{asked: part.__eq__}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("library", "part"),
    [
        *(("gevent", "threading"), ("gevent", "socket"), ("gevent", "queue")),
        *(("eventlet", "thread"), ("eventlet", "socket")),
    ],
)
@pytest.mark.parametrize(("kind", "settings"), CLIENTS)
def test_green_threads_are_refused(
    monkeypatch: pytest.MonkeyPatch, kind: Any, settings: dict[str, str], library: str, part: str
) -> None:
    pretend(monkeypatch, library, part)
    with pytest.raises(ConfigurationError, match=f"{library} has monkey-patched"):
        kind(**settings)


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_what_was_patched_since_is_refused(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    client = SyncKaptureClient(**KAPTURE)  # type: ignore[arg-type]
    pretend(monkeypatch, library, "socket")
    with pytest.raises(ConfigurationError, match=f"{library} has monkey-patched"):
        client.tickets.add(title="one")


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_one_that_is_only_imported_harms_nobody(
    monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    pretend(monkeypatch, library, "subprocess")
    for kind, settings in CLIENTS:
        assert kind(**settings)


def stepped(coroutine: Any) -> Any:
    """What trio and curio do: run a coroutine without a loop of asyncio's."""
    try:
        return coroutine.send(None)
    finally:
        coroutine.close()


def test_without_an_asyncio_loop_the_reason_is_told() -> None:
    kapture = KaptureClient(**KAPTURE)  # type: ignore[arg-type]
    support = SupportClient(**SUPPORT)
    for call in (
        lambda: kapture.tickets.add(title="one"),
        lambda: kapture.__aenter__(),
        lambda: kapture.tickets.push([{"title": "one"}]).__aenter__(),
        lambda: support.tickets.create(subject="s", comment="c", category=1, priority="1"),
        lambda: support.categories.list(),
        lambda: support.__aenter__(),
    ):
        with pytest.raises(ClientStateError, match="no asyncio event loop is running here"):
            stepped(call())


def test_a_machine_without_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(key: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")

    monkeypatch.setattr(zoneinfo, "ZoneInfo", missing)
    with pytest.raises(ConfigurationError, match="pip install tzdata"):
        KaptureClient("t", token="t", timezone="Europe/Berlin")
    assert KaptureClient("t", token="t")  # the default needs none


def test_a_zone_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="unknown time zone 'Europe/Nowhere'"):
        KaptureClient("t", token="t", timezone="Europe/Nowhere")
    with pytest.raises(ConfigurationError, match="timezone must be a tzinfo or the name"):
        KaptureClient("t", token="t", timezone=5)  # type: ignore[arg-type]
