"""The options of ``push`` and ``plan``, for any service."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import click
from attrs import evolve, field, frozen

from ..errors import RejectedError
from ..journal.address import SCHEMA, is_address, masked
from ..journal.records import LATER
from ..push.push import MAX_CONCURRENCY
from ..push.sources.columns import Columns
from ..push.sources.mapping import MappingFile, read_mapping
from .options import (
    SUFFIX,
    Decorator,
    OptionGroup,
    default_of_tenant,
    journal_at,
    pairs,
    section,
    typed,
)

_JOURNAL = ("journal", "job", "journal_schema", "shard", "no_journal")
STDIN = "-"


def is_pipe(path: str) -> bool:
    """Whether it can be read once only, and no file can stand beside it: standard input, a FIFO,
    ``/dev/fd/N`` and other names that are not those of files."""
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
class PushOptions(OptionGroup):
    """What to push, and how. A service's own subclass may add to it.

    Attributes:
        reference_places: the values of ``--reference``.
        key_help: what ``--key`` is for.
        reference_means: where the text reference stands.
        dotted_help: what the help of ``--map`` says of dotted fields.
        takes_mapping_of_tenant: a profile's mapping is for such rows.
        from_mapping: what of the options is in the mapping file.
    """

    reference_places: ClassVar[str] = "text|none"
    key_help: ClassVar[str] = (
        "The column that identifies each row, so that a fixed row is recognized; otherwise rows "
        "are recognized by their content."
    )
    reference_means: ClassVar[str] = "the ticket's text"
    dotted_help: ClassVar[str] = ""
    takes_mapping_of_tenant: ClassVar[bool] = True
    saved: ClassVar[tuple[str, ...]] = (
        *("map", "set", "date_format", "key", "max_concurrency", "max_rate", "timeout"),
        *("reference", "no_payload", "keys_exact", "new_keys"),
        *("format", "sheet", "skip_title_rows", "delimiter", "encoding"),
    )

    file: str
    map: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    date_format: tuple[str, ...] = ()
    mapping: str | None = None
    from_mapping: MappingFile = field(factory=MappingFile)
    key: str | None = None
    max_concurrency: int = MAX_CONCURRENCY
    max_rate: float | None = None
    timeout: float = 60.0
    journal: str | None = field(default=None, converter=masked)
    job: str | None = None
    journal_schema: str | None = None
    shard: str | None = None
    no_journal: bool = False
    reference: str | None = None
    no_payload: bool = False
    rejected_too: bool = False
    restored: bool = False
    new_journal: bool = False
    keys_exact: bool = False
    new_keys: bool = False
    keep_going: bool = False
    until_done: bool = False
    settle: float | None = None
    hook: str | None = None
    trial: bool = False
    report: str | None = None
    no_report: bool = False
    excel: bool = False
    as_json: bool = False
    verify: bool = False
    check: bool = False
    format: str | None = None
    sheet: str | None = None
    skip_title_rows: int = 0
    delimiter: str | None = None
    encoding: str | None = None

    @classmethod
    def own_options(cls) -> tuple[Decorator, ...]:
        """The options of the subclass."""
        return ()

    @classmethod
    def of(cls, values: Mapping[str, Any], context: click.Context) -> Self:
        """See :class:`.OptionGroup`; with what the mapping file adds to the options."""
        made = super().of(values, context)
        if made.mapping is None and cls.takes_mapping_of_tenant and not made.map:
            # Rows that `rejects` wrote have the names of fields already.
            mapping = None if made.key == "_key" else default_of_tenant(context, "mapping")
            made = evolve(made, mapping=mapping)
        if made.mapping is None:
            return made
        file = read_mapping(made.mapping)
        return evolve(
            made,
            from_mapping=file,
            map=_with(made.map, file.map),
            set=_with(made.set, file.set),
            date_format=_with(made.date_format, file.date_format),
            key=made.key or file.key,
            sheet=made.sheet or file.sheet,
            skip_title_rows=made.skip_title_rows or file.skip_title_rows,
        )

    @property
    def columns(self) -> Columns:
        """Which column goes where."""
        return Columns(
            fields=pairs(self.map, option="--map"),
            as_list=self.objects_as_list,
            key=self.key,
            dates=pairs(self.date_format, option="--date-format"),
        )

    @property
    def constants(self) -> dict[str, str]:
        """What ``--set`` gives to rows that lack it."""
        return pairs(self.set, option="--set")

    @property
    def objects_as_list(self) -> bool:
        """Whether objects that a tenant defines are sent as lists of one."""
        return True

    @property
    def keys(self) -> str | None:
        """What identifies rows, as a journal has it."""
        return self.key

    @property
    def journal_path(self) -> str | None:
        """Where the journal is or will be; ``None`` if there is to be none."""
        if self.no_journal:
            return None
        if self.journal:
            return journal_at(self.journal, self.job, self.journal_schema)
        return None if self.from_pipe else self.file + SUFFIX

    @property
    def shared(self) -> bool:
        """Whether other processes may push with the same journal at the same time."""
        return not self.no_journal and is_address(self.journal)

    @property
    def part(self) -> tuple[int, int] | None:
        """Which part of how many is pushed; ``None`` for all.

        Raises:
            click.UsageError: it is not that.
        """
        if self.shard is None:
            return None
        part, _, parts = self.shard.partition("/")
        if not (part.isdecimal() and parts.isdecimal() and 0 <= int(part) <= int(parts) > 0):
            raise click.UsageError(
                "--shard takes I/N: part I of N, from 1/8 to 8/8 (or from 0/8 to 7/8)"
            )
        return int(part) % int(parts), int(parts)

    @property
    def from_pipe(self) -> bool:
        """Whether the rows can be read once only."""
        return is_pipe(self.file)

    @property
    def again(self) -> frozenset[str]:
        """Names of the refusals after which a row is resent as it is."""
        return LATER | _names_below(RejectedError) if self.rejected_too else LATER

    @property
    def place(self) -> Any:
        """Where references are put, as the library's value."""
        return None if self.reference == "none" else "text"

    @property
    def shaping(self) -> dict[str, Any]:
        """Settings, beside the columns, that change what is sent."""
        return {
            "encoding": self.encoding,
            "sheet": self.sheet,
            "dates": pairs(self.date_format, option="--date-format"),
        }

    @property
    def needing_journal(self) -> list[str]:
        """Those of the given options that make no sense without a journal."""
        names = ["journal", "reference", "no_payload", "rejected_too", "restored", "new_journal"]
        names += ["keys_exact", "new_keys", "trial", "verify", "until_done"]
        return [f"--{name.replace('_', '-')}" for name in names if getattr(self, name)]

    def check_together(self) -> None:
        """Check that the options make sense together.

        Raises:
            click.UsageError: they do not.
        """
        if not self.shared and (self.job or self.journal_schema or self.shard):
            raise click.UsageError(
                "--job, --journal-schema and --shard need a journal that several processes can "
                "share: --journal postgresql://..."
            )
        if self.excel and not self.report and (self.no_report or self.journal_path is not None):
            raise click.UsageError("--excel is for the report: name it with --report FILE.csv")
        if self.no_journal:
            for option in self.needing_journal:
                raise click.UsageError(f"{option} needs a journal, and --no-journal allows none")
        if self.trial and self.from_pipe:
            raise click.UsageError("--trial needs a file, since it is read twice")
        if self.until_done and self.journal_path is None:
            raise click.UsageError("--until-done needs a journal: --journal PATH")
        if self.until_done and self.report:
            raise click.UsageError(
                "--report is of a single push; with --until-done, use `verify --out` afterwards"
            )
        if self.settle is not None and not self.until_done:
            raise click.UsageError("--settle is for --until-done (and for `reconcile`)")
        if self.journal_path is None and (self.reference or self.no_payload or self.verify):
            raise click.UsageError(
                "--reference, --no-payload and --verify need a journal: --journal PATH"
            )

    def as_arguments(self) -> list[str]:
        """The file and the options that say what is pushed, as they are typed."""
        values = self.values(*_JOURNAL, "mapping")
        if self.mapping is not None:
            file = self.from_mapping
            for name, given in (
                ("map", file.map),
                ("set", file.set),
                ("date_format", file.date_format),
            ):
                values[name] = [v for v in values.get(name, ()) if v not in _pairs(given)]
            for name in ("key", "sheet", "skip_title_rows"):
                if values.get(name) == getattr(file, name):
                    values.pop(name, None)
        return [self.file, *typed(self.options(), values)]

    @classmethod
    def options(cls) -> tuple[Decorator, ...]:
        """See :class:`.OptionGroup`."""
        return (
            click.argument("file", type=click.Path(allow_dash=True)),
            *section(
                "What is sent",
                click.option(
                    "--map",
                    multiple=True,
                    metavar="FIELD=COLUMN",
                    help=f"Send COLUMN as FIELD{cls.dotted_help}. Otherwise columns named like "
                    "the service's documented fields are sent. Repeatable.",
                ),
                click.option(
                    "--set",
                    multiple=True,
                    metavar="FIELD=VALUE",
                    help="Send VALUE as FIELD in rows that have none. Repeatable.",
                ),
                click.option(
                    "--date-format",
                    multiple=True,
                    metavar="COLUMN=FORMAT",
                    help="How dates are written in COLUMN, such as 'Due=%d/%m/%Y'; they are sent "
                    "as YYYY-MM-DD. Repeatable.",
                ),
                click.option(
                    "--mapping",
                    metavar="FILE.toml",
                    help="Take all of that from a file; `plan --write-mapping` proposes one.",
                ),
                click.option("--key", metavar="COLUMN", help=cls.key_help),
                *cls.own_options(),
                click.option(
                    "--reference",
                    metavar=f"[{cls.reference_places}]",
                    help="Where to put the reference by which a lost answer is looked up; text is "
                    f"a line at the end of {cls.reference_means}.  [default: text]",
                ),
                click.option(
                    "--format",
                    type=click.Choice(["csv", "jsonl", "json"]),
                    help="Of text; otherwise by what FILE contains, and its name.",
                ),
                click.option(
                    "--sheet", metavar="NAME", help="Of a spreadsheet with more than one."
                ),
                click.option(
                    "--skip-title-rows",
                    type=click.IntRange(0),
                    default=0,
                    metavar="N",
                    help="Rows above the one with the names of the columns.",
                ),
                click.option(
                    "--delimiter",
                    metavar="CHAR",
                    callback=_as_typed,
                    help="Of a CSV file; otherwise detected from its header.",
                ),
                click.option(
                    "--encoding",
                    metavar="NAME",
                    help="Otherwise by a byte order mark, or UTF-8. Excel on Windows: cp1252.",
                ),
            ),
            *section(
                "How it is sent",
                click.option(
                    "--until-done",
                    is_flag=True,
                    help="Push, look doubts up and push what is absent, as often as it takes: "
                    "until each row is in the helpdesk, rejected, or listed.",
                ),
                click.option(
                    "--settle",
                    type=click.FloatRange(min=0, min_open=True),
                    metavar="SECONDS",
                    help="With --until-done: how long to wait for late results after the last "
                    "attempt; at least twice --timeout.  [default: 300]",
                ),
                click.option(
                    "--trial",
                    is_flag=True,
                    help="Push one row, show it in full, and ask before pushing the rest.",
                ),
                click.option("--check", is_flag=True, help="Send nothing: the same as `plan`."),
                click.option(
                    "--max-concurrency",
                    type=click.IntRange(1, 10_000),
                    default=MAX_CONCURRENCY,
                    show_default=True,
                    help="Maximum number of requests in flight; tuned automatically below it.",
                ),
                click.option(
                    "--max-rate",
                    type=click.FloatRange(min=0, min_open=True),
                    metavar="PER_SECOND",
                    help="Maximum requests per second, if you know a limit.",
                ),
                click.option(
                    "--timeout",
                    type=click.FloatRange(min=0, min_open=True),
                    default=60.0,
                    show_default=True,
                    metavar="SECONDS",
                    help="For each request.",
                ),
                click.option(
                    "--keep-going",
                    is_flag=True,
                    help="Never stop because of rejections. Otherwise 50 like rejections in a row "
                    "stop the push, unless they concern the rows' data.",
                ),
            ),
            *section(
                "The journal",
                click.option(
                    "--journal",
                    metavar="PATH|URL",
                    help="Where to record what was sent, and the results: a file, or "
                    "postgresql://user@host/database, which any number of machines can share.  "
                    "[default: FILE.journal]",
                ),
                click.option(
                    "--job",
                    metavar="NAME",
                    help="With --journal postgresql://...: the name of this push among others in "
                    "the database.  [default: default]",
                ),
                click.option(
                    "--journal-schema",
                    metavar="NAME",
                    help="With the same: the schema of its tables, which are made when they are "
                    f"first used.  [default: {SCHEMA}]",
                ),
                click.option(
                    "--shard",
                    metavar="I/N",
                    help="With the same: push only the rows of part I of N, told by their keys. "
                    "Any number of processes may push at once.",
                ),
                click.option(
                    "--no-journal",
                    is_flag=True,
                    help="Keep no journal: an interrupted push cannot be fully resumed.",
                ),
                click.option(
                    "--rejected-too",
                    is_flag=True,
                    help="Resend, as they are, rows that an earlier run got rejected; none of them "
                    "is in the helpdesk.",
                ),
                click.option(
                    "--restored",
                    is_flag=True,
                    help="The journal is an older copy, from a backup, or lost its -wal file: look "
                    "each row up in the helpdesk before sending it. On the machine that pushed, an "
                    "older copy is detected without this; on another machine it is not.",
                ),
                click.option(
                    "--new-journal",
                    is_flag=True,
                    help="Send the rows even if another journal on this machine shows that they "
                    "were sent to the same place: they will be there twice.",
                ),
                click.option(
                    "--keys-exact",
                    is_flag=True,
                    help="Treat a differently spelled key (1 for 0001, a for A) as a new row.",
                ),
                click.option(
                    "--new-keys",
                    is_flag=True,
                    help="Continue even if many rows with new keys have the content of earlier "
                    "rows.",
                ),
                click.option(
                    "--no-payload",
                    is_flag=True,
                    help="Keep the content of rows out of the journal; resuming then needs FILE.",
                ),
            ),
            *section(
                "At the end",
                click.option(
                    "--hook",
                    metavar="COMMAND",
                    help="Run COMMAND then, without a shell. It gets the exit code in "
                    "PUSH_EXIT_CODE, and what `status --json` says on standard input.",
                ),
                click.option(
                    "--verify",
                    is_flag=True,
                    help="Finally check every row of the journal against the helpdesk: see "
                    "`verify`.",
                ),
                click.option(
                    "--report",
                    metavar="FILE.csv",
                    help="Write key, outcome, ticket_id and reason of each row.  [default: none "
                    "with a journal; else FILE.report.csv here, numbered if that exists]",
                ),
                click.option(
                    "--no-report",
                    is_flag=True,
                    help="Write no report; doubts are only on the screen.",
                ),
                click.option(
                    "--excel",
                    is_flag=True,
                    help="Start the report with the byte order mark that Excel needs.",
                ),
                click.option(
                    "--json", "as_json", is_flag=True, help="End with one JSON object on stdout."
                ),
            ),
        )


def _names_below(kind: type[Exception]) -> frozenset[str]:
    return frozenset({kind.__name__}).union(*map(_names_below, kind.__subclasses__()))


def _as_typed(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    return "\t" if given == "\\t" else given


def _pairs(values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in values.items())


def _with(given: tuple[str, ...], file: Mapping[str, str]) -> tuple[str, ...]:
    """Pairs with those of a file in front that they do not override."""
    names = {pair.partition("=")[0] for pair in given}
    return (*_pairs({name: v for name, v in file.items() if name not in names}), *given)
