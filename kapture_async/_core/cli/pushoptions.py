"""The options of the ``push`` command, for any service."""

from __future__ import annotations

import inspect
from typing import ClassVar

import click
from attrs import frozen

from ..push.engine import DEFAULT_CONCURRENCY
from ..push.sources import Columns
from .exits import EXIT_CODES
from .options import Command, Decorator, gathering, given_again, pairs

_DEFAULT_TIMEOUT = 60.0
_ENCODING_HELP = "Otherwise told from a byte order mark, or UTF-8. Excel on Windows: cp1252."


@frozen(kw_only=True)
class PushOptions:
    """What was asked for on the command line. A service's own subclass may add to it.

    Attributes:
        own_options: the options of the subclass, as the help lists them.
    """

    own_options: ClassVar[tuple[Decorator, ...]] = ()

    file: str
    format: str | None
    map: tuple[str, ...]
    key: str | None
    delimiter: str | None
    encoding: str | None
    concurrency: int
    timeout: float
    report: str | None
    no_report: bool
    again_from: str | None
    from_line: int | None
    check: bool
    as_json: bool

    @property
    def columns(self) -> Columns:
        """Which column goes where."""
        return Columns(fields=pairs(self.map, option="--map"), key=self.key)

    def own_arguments(self) -> list[str]:
        """The own options once more."""
        return []

    def as_arguments(self) -> list[str]:
        """The options that say what is pushed, once more."""
        given = {
            "--format": self.format,
            "--key": self.key,
            "--delimiter": self.delimiter,
            "--encoding": self.encoding,
        }
        arguments = [self.file, *given_again(given)]
        arguments += [part for value in self.map for part in ("--map", value)]
        arguments += self.own_arguments()
        if self.concurrency != DEFAULT_CONCURRENCY:
            arguments += ["--concurrency", str(self.concurrency)]
        if self.timeout != _DEFAULT_TIMEOUT:
            arguments += ["--timeout", f"{self.timeout:g}"]
        return arguments


def push_options(options: type[PushOptions]) -> Decorator:
    """Give a command the options of a push; it gets them as ``options=``."""
    all_options: tuple[Decorator, ...] = (
        click.argument("file", type=click.Path(allow_dash=True)),
        click.option(
            "--map",
            multiple=True,
            metavar="WIRE=COLUMN",
            help="Send COLUMN as the field WIRE. Without it, columns named like the service's "
            "documented fields are sent. Repeatable.",
        ),
        click.option("--key", metavar="COLUMN", help="Names a row; else its line number does."),
        *options.own_options,
        click.option(
            "--concurrency",
            type=click.IntRange(1, 10_000),
            default=DEFAULT_CONCURRENCY,
            show_default=True,
            help="Requests in flight at most.",
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            default=_DEFAULT_TIMEOUT,
            show_default=True,
            metavar="SECONDS",
            help="For one request.",
        ),
        click.option(
            "--report",
            metavar="FILE.csv",
            help="Write key, outcome, ticket_id and reason of every row, as they come.  "
            "[default: FILE.report.csv here, with a number if that exists]",
        ),
        click.option(
            "--no-report", is_flag=True, help="Write none; doubts are on the screen only."
        ),
        click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout."),
        click.option("--check", is_flag=True, help="Read everything, send nothing."),
        click.option(
            "--again-from",
            metavar="REPORT.csv",
            help="Push only rows that an earlier report of this file lists as not_sent or "
            "rejected: they are surely not in the helpdesk.",
        ),
        click.option("--from-line", type=click.IntRange(1), metavar="N", help="Skip rows before."),
        click.option(
            "--format", type=click.Choice(["csv", "jsonl"]), help="Otherwise told from the name."
        ),
        click.option(
            "--delimiter",
            metavar="CHAR",
            callback=_as_typed,
            help="Of a CSV file; otherwise told from its header.",
        ),
        click.option("--encoding", metavar="NAME", help=_ENCODING_HELP),
    )

    def decorate(command: Command) -> Command:
        wrapped = gathering("options", options, all_options)(command)
        wrapped.__doc__ = f"{inspect.cleandoc(command.__doc__ or '')}\n\n{EXIT_CODES}"
        return wrapped

    return decorate


def _as_typed(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    return "\t" if given == "\\t" else given
