"""The options of the ``push`` command, for any service."""

from __future__ import annotations

import inspect
import os
import stat
from typing import Any, ClassVar

import click
from attrs import frozen

from ..errors import RejectedError
from ..journal.records import LATER
from ..push.push import MAX_CONCURRENCY
from ..push.sources import Columns
from .exit_codes import EXIT_CODES
from .options import Command, Decorator, gathering, given_again, pairs
from .saved_options import beside

STDIN = "-"
_DEFAULT_TIMEOUT = 60.0
_ENCODING_HELP = "Otherwise told from a byte order mark, or UTF-8. Excel on Windows: cp1252."


def is_pipe(path: str) -> bool:
    """Whether what stands there can be read once only, and is no place for files beside it:
    standard input, a FIFO, ``/dev/fd/N`` and other names that are no file's."""
    if path == STDIN:
        return True
    folder = os.path.realpath(os.path.dirname(path) or ".")
    if folder.split(os.sep)[1:2] in (["dev"], ["proc"]):
        return not folder.startswith("/dev/shm")  # noqa: S108 - a folder of ordinary files
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False  # opening it says why


@frozen(kw_only=True)
class PushOptions:
    """What was asked for on the command line. A service's own subclass may add to it.

    Attributes:
        own_options: the options of the subclass, as the help lists them.
        reference_places: what ``--reference`` takes.
        path_options: options whose value is a path.
        key_help: what ``--key`` is for.
        reference_means: where the text reference stands.
    """

    own_options: ClassVar[tuple[Decorator, ...]] = ()
    reference_places: ClassVar[str] = "text|none"
    path_options: ClassVar[tuple[str, ...]] = ()
    key_help: ClassVar[str] = (
        "Names each row for good, so that a mended row is known again; otherwise a row is known "
        "by its content."
    )
    reference_means: ClassVar[str] = "the ticket's text"

    file: str
    format: str | None
    map: tuple[str, ...]
    key: str | None
    delimiter: str | None
    encoding: str | None
    max_concurrency: int
    max_rate: float | None
    timeout: float
    journal: str | None
    no_journal: bool
    reference: str | None
    no_payload: bool
    rejected_too: bool
    restored: bool
    new_journal: bool
    keys_exact: bool
    new_keys: bool
    keep_going: bool
    trial: bool
    report: str | None
    no_report: bool
    excel: bool
    check: bool
    verify: bool
    as_json: bool

    @property
    def columns(self) -> Columns:
        """Which column goes where."""
        return Columns(fields=pairs(self.map, option="--map"), key=self.key)

    @property
    def keys(self) -> str | None:
        """What tells rows apart, as a journal has it."""
        return self.key

    @property
    def journal_path(self) -> str | None:
        """Where the journal is or shall be; ``None`` if there is to be none."""
        if self.no_journal:
            return None
        return self.journal or (None if self.from_pipe else beside(self.file))

    @property
    def from_pipe(self) -> bool:
        """Whether the rows can be read once only."""
        return is_pipe(self.file)

    @property
    def again(self) -> frozenset[str]:
        """Names of the refusals after which a row is sent again as it is."""
        return LATER | _names_below(RejectedError) if self.rejected_too else LATER

    @property
    def place(self) -> Any:
        """Where references travel, as the library has it."""
        return None if self.reference == "none" else "text"

    @property
    def shaping(self) -> dict[str, str | None]:
        """Settings, beside the columns, that change what is sent."""
        return {"encoding": self.encoding}

    def own_arguments(self) -> list[str]:
        """The own options once more."""
        return []

    def check_together(self) -> None:
        """See that the options go together.

        Raises:
            click.UsageError: they do not.
        """
        if self.excel and not self.report and (self.no_report or self.journal_path is not None):
            raise click.UsageError("--excel is for the report: name it with --report FILE.csv")
        if self.no_journal:
            for option, given in (
                ("--journal", self.journal),
                ("--reference", self.reference),
                ("--no-payload", self.no_payload),
                ("--rejected-too", self.rejected_too),
                ("--restored", self.restored),
                ("--new-journal", self.new_journal),
                ("--keys-exact", self.keys_exact),
                ("--new-keys", self.new_keys),
                ("--trial", self.trial),
                ("--verify", self.verify),
            ):
                if given:
                    raise click.UsageError(
                        f"{option} needs a journal, and --no-journal allows none"
                    )
            return
        if self.trial and self.from_pipe:
            raise click.UsageError("--trial needs a file, since it is read twice")
        if self.journal_path is None and (self.reference or self.no_payload or self.verify):
            raise click.UsageError(
                "--reference, --no-payload and --verify need a journal: --journal PATH"
            )

    def as_arguments(self) -> list[str]:
        """The options that say what is pushed, once more; the file is the first of them."""
        given = {
            "--format": self.format,
            "--key": self.key,
            "--delimiter": self.delimiter,
            "--encoding": self.encoding,
            "--journal": self.journal,
            "--reference": self.reference,
        }
        arguments = [self.file, *given_again(given)]
        arguments += [part for value in self.map for part in ("--map", value)]
        arguments += self.own_arguments()
        if self.max_concurrency != MAX_CONCURRENCY:
            arguments += ["--max-concurrency", str(self.max_concurrency)]
        if self.max_rate is not None:
            arguments += ["--max-rate", f"{self.max_rate:g}"]
        if self.timeout != _DEFAULT_TIMEOUT:
            arguments += ["--timeout", f"{self.timeout:g}"]
        arguments += ["--no-payload"] if self.no_payload else []
        arguments += ["--keys-exact"] if self.keys_exact else []
        arguments += ["--new-keys"] if self.new_keys else []
        return [*arguments, "--no-journal"] if self.no_journal else arguments


def push_options(options: type[PushOptions], exit_codes: str = EXIT_CODES) -> Decorator:
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
        click.option(
            "--key",
            metavar="COLUMN",
            help=options.key_help,
        ),
        *options.own_options,
        click.option(
            "--max-concurrency",
            type=click.IntRange(1, 10_000),
            default=MAX_CONCURRENCY,
            show_default=True,
            help="Requests in flight at most; how many are best is found out.",
        ),
        click.option(
            "--max-rate",
            type=click.FloatRange(min=0, min_open=True),
            metavar="PER_SECOND",
            help="Requests per second at most, where a limit is known.",
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
            "--journal",
            metavar="PATH",
            help="Where to keep what was sent and what became of it.  [default: FILE.journal]",
        ),
        click.option(
            "--no-journal",
            is_flag=True,
            help="Keep none: a push that breaks off cannot be gone on with in full.",
        ),
        click.option(
            "--reference",
            metavar=f"[{options.reference_places}]",
            help="Where the reference travels by which a lost answer is looked up; text is a line "
            f"at the end of {options.reference_means}.  [default: text]",
        ),
        click.option(
            "--no-payload",
            is_flag=True,
            help="Keep the content of rows out of the journal; FILE is needed to go on, then.",
        ),
        click.option(
            "--rejected-too",
            is_flag=True,
            help="Send rows that were rejected in an earlier run once more as they are; none of "
            "them is in the helpdesk.",
        ),
        click.option(
            "--restored",
            is_flag=True,
            help="The journal is an older copy, from a backup, or lost its -wal file: look each "
            "row up in the helpdesk before it is sent. An older copy on the machine that pushed is "
            "noticed without it; what another machine pushed is not.",
        ),
        click.option(
            "--new-journal",
            is_flag=True,
            help="Go ahead although another journal on this machine has sent these rows to the "
            "same place: they are sent once more.",
        ),
        click.option(
            "--keys-exact",
            is_flag=True,
            help="Take another spelling of a key that an earlier run had (1 for 0001, a for A) for "
            "another row.",
        ),
        click.option(
            "--new-keys",
            is_flag=True,
            help="Go ahead although many rows with new keys hold what earlier rows hold.",
        ),
        click.option(
            "--keep-going",
            is_flag=True,
            help="Go on however often the service refuses. Otherwise 50 refusals that are alike, "
            "without a row accepted between, stop the push, unless they are about the rows' data.",
        ),
        click.option(
            "--trial", is_flag=True, help="Push one row, show it whole, and ask before the rest."
        ),
        click.option(
            "--report",
            metavar="FILE.csv",
            help="Write key, outcome, ticket_id and reason of every row, as they come.  "
            "[default: none with a journal; else FILE.report.csv here, with a number if that "
            "exists]",
        ),
        click.option(
            "--no-report", is_flag=True, help="Write none; doubts are on the screen only."
        ),
        click.option(
            "--excel",
            is_flag=True,
            help="Begin the report with a byte order mark, which Excel needs.",
        ),
        click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout."),
        click.option(
            "--verify",
            is_flag=True,
            help="At the end check every row of the journal against the helpdesk: see `verify`.",
        ),
        click.option("--check", is_flag=True, help="Send nothing: the same as `plan`."),
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
        wrapped.__doc__ = f"{inspect.cleandoc(command.__doc__ or '')}\n\n{exit_codes}"
        return wrapped

    return decorate


def _names_below(kind: type[Exception]) -> frozenset[str]:
    return frozenset({kind.__name__}).union(*map(_names_below, kind.__subclasses__()))


def _as_typed(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    return "\t" if given == "\\t" else given
