"""The options of the commands that need no service: ``demo`` and ``emulator``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click
from attrs import frozen

from .console import say
from .options import Command, Decorator, gathering, with_options

_FAULTS: Mapping[str, Any] = {
    "type": click.FloatRange(0, 1),
    "default": 0.0,
    "metavar": "RATE",
    "help": "Share of requests that fail.",
}


@frozen(kw_only=True)
class DemoOptions:
    """What was asked for on the command line."""

    tickets: int | None
    faults: float
    file: str | None
    concurrency: int
    seed: int
    journal: bool

    @property
    def timeout(self) -> float:
        """Seconds for a request: short where some answers never come."""
        return 2.0 if self.faults else 30.0


def demo_options(command: Command) -> Command:
    """Give a command the options of a demo; it gets them as ``options=``."""
    options = (
        click.option(
            "--tickets", type=click.IntRange(1), help="How many.  [default: 2000, or the file]"
        ),
        click.option("--faults", **_FAULTS),
        click.option(
            "--file",
            type=click.Path(exists=True, dir_okay=False),
            help="Take tickets from a CSV file.",
        ),
        click.option("--concurrency", type=click.IntRange(1, 1000), default=32, show_default=True),
        click.option("--seed", type=int, default=0, help="Of the tickets and the faults."),
        click.option(
            "--journal",
            is_flag=True,
            help="Keep a journal, look up what is in doubt, and go on until nothing is.",
        ),
    )
    return gathering("options", DemoOptions, options)(command)


def emulator_options(*own: Decorator, port: int) -> Decorator:
    """Give a command the options of an emulator, under the names that its ``serve`` has for them.

    Args:
        own: what only this service's emulator can be told.
        port: where it listens by default.
    """
    return with_options(
        (
            click.option("--port", type=click.IntRange(0, 65535), default=port, show_default=True),
            *own,
            click.option("--faults", "fault_rate", **_FAULTS),
            click.option("--seed", type=int, default=0, help="Of the faults."),
            click.option("--ledger", metavar="FILE", help="One JSON line per executed call."),
            click.option("--latency", type=click.FloatRange(0), default=0.0, metavar="SECONDS"),
        )
    )


def run_emulator(serve: Callable[..., None], exports: Mapping[str, str], **settings: Any) -> None:
    """Run an emulator until Ctrl-C, and say how to reach it.

    Args:
        serve: runs it.
        exports: the variables that let a client in; ``{url}`` in a value is where it listens.
        settings: for ``serve``.

    Raises:
        click.UsageError: it cannot run, since its port is taken, say.
    """
    if settings["port"]:
        url = f"http://127.0.0.1:{settings['port']}"
        say("To push into it, set in another terminal:", style="dim", stderr=True)
        for name, value in exports.items():
            say(f"  export {name}={value.replace('{url}', url)}", stderr=True)
    try:
        serve(**settings)
    except OSError as error:
        raise click.UsageError(f"the emulator cannot run: {error.strerror or error}") from None
    except KeyboardInterrupt:
        pass
