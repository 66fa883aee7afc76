"""The sync client in a notebook: the right use there warns of nothing."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from kapture_async import SyncInAsyncWarning, SyncKaptureClient
from kapture_async.testing import KaptureEmulator

CALL = "client.tickets.add(title='one')"


async def warned(run: Callable[[], Any]) -> int:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    return sum(issubclass(one.category, SyncInAsyncWarning) for one in caught)


@pytest.mark.parametrize(
    "filename", ["/tmp/ipykernel_77/1.py", "<ipython-input-3-abcdef>", "/x/__marimo__cell_1_.py"]
)
def test_cells_do_not_warn(filename: str) -> None:
    with (
        KaptureEmulator().in_thread() as emulator,
        SyncKaptureClient(**settings(emulator)) as client,
    ):
        code = compile(CALL, filename, "exec")
        names = {"client": client, "__name__": "__main__"}
        assert asyncio.run(warned(lambda: exec(code, names))) == 0


@pytest.mark.parametrize("shell", ["IPython.core.interactiveshell", "ipykernel.zmqshell"])
def test_what_a_cell_calls_does_not_warn(shell: str) -> None:
    with (
        KaptureEmulator().in_thread() as emulator,
        SyncKaptureClient(**settings(emulator)) as client,
    ):
        run = compile("run()", "shell.py", "exec")
        names = {"run": lambda: client.tickets.add(title="one"), "__name__": shell}
        assert asyncio.run(warned(lambda: exec(run, names))) == 0


def test_elsewhere_each_place_warns_once() -> None:
    with (
        KaptureEmulator().in_thread() as emulator,
        SyncKaptureClient(**settings(emulator)) as client,
    ):

        def thrice() -> None:
            for _ in range(3):
                client.tickets.add(title="one")

        assert asyncio.run(warned(thrice)) == 1


def test_the_warning_names_the_client() -> None:
    async def enter() -> None:
        with (
            KaptureEmulator().in_thread() as emulator,
            pytest.warns(SyncInAsyncWarning, match=r"^KaptureClient\.__aenter__ was called"),
            SyncKaptureClient(**settings(emulator)),
        ):
            pass

    asyncio.run(enter())


def settings(emulator: KaptureEmulator) -> dict[str, Any]:
    return {"base_url": emulator.url, "token": emulator.token}
