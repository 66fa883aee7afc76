"""One run of an incremental export, to be killed: `python export.py URL FOLDER NUMBER`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from kapture_async import KaptureClient


async def main(url: str, folder: Path, number: str) -> None:
    async with KaptureClient(base_url=url, token="emulator-token") as client:
        print("ready", flush=True)
        await client.tickets.export(
            folder / f"{int(number):04}.jsonl",
            state=folder / "tickets.state",
            start="2024-03-25",
            end="2024-04-30",
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
