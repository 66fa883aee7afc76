"""The commands around a journal."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence

import click

from .exit_codes import EXIT_CODES, RECONCILE_CODES, VERIFY_CODES
from .options import Command, Decorator, Target, one_json_option, target_options
from .output import excel_option
from .push_options import PushOptions, push_options
from .running import Reading
from .service import Service, Work, work_of

_JOURNAL = click.argument("journal", type=click.Path())


def add_journal_commands(
    group: click.Group,
    target: type[Target],
    works: Sequence[Work],
) -> None:
    """Give a command line the commands around a journal.

    Args:
        group: the command line.
        target: the class of its targets.
        works: what rows are pushed for; the first is what ``push`` and ``plan`` are for.
    """
    options, service_of = works[0].options, works[0].service_of

    @group.command(cls=Reading, short_help="Show what a push would do; sends nothing.")
    @push_options(options, _PLAN_CODES)
    @target_options(target)
    @click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        metavar="PER_SECOND",
        help="Tickets per second, to estimate the time.",
    )
    def plan(options: PushOptions, target: Target, rate: float | None) -> None:
        """Show what a push of FILE would do: which rows cannot be sent, what looks wrong, how long
        it takes, and which rows the journal knows already. Sends nothing.

        It takes the options of push: change one word to run the push.
        """
        from .plan import plan_file

        sys.exit(plan_file(options, service_of(options), target, rate=rate))

    @group.command(cls=Reading, short_help="Show how a push stands.")
    @_JOURNAL
    @one_json_option
    def status(journal: str, as_json: bool) -> None:
        """Show how a push stands: what is in the helpdesk, what is not and why, what is in doubt,
        and what to type next. Reads only the journal; safe during a push.
        """
        from .status import show_status

        sys.exit(show_status(journal, _service_of(journal, works), as_json=as_json))

    @_described(RECONCILE_CODES)
    def reconcile(
        journal: str,
        settle: float | None,
        timeout: float | None,
        assume_complete: bool,
        probe: bool,
        as_json: bool,
        target: Target,
    ) -> None:
        """Look up the rows in doubt by their references, and record what is found in JOURNAL.

        First it waits for late results: a lost answer does not mean that the service has
        finished. Rows found once are in the helpdesk. Rows that two lookups do not find are not,
        provided the lookups could not have missed them; the next push sends them. Rows found more
        than once, or that may be a ticket without a reference, are for you to resolve. Sends
        nothing except the one ticket that --probe asks for. Looks where the push went, unless
        options say otherwise.
        """
        from .reconcile import reconcile_journal

        sys.exit(
            reconcile_journal(
                journal,
                target,
                _service_of(journal, works),
                settle=settle,
                timeout=timeout,
                assume_complete=assume_complete,
                probe=probe,
                as_json=as_json,
            )
        )

    reconcile = target_options(target)(reconcile)
    for option in (
        one_json_option,
        click.option(
            "--assume-complete",
            is_flag=True,
            help="Take what is not found for absent, even where a lookup could have missed it.",
        ),
        click.option(
            "--probe",
            is_flag=True,
            help="If nothing else proves that a list would show a row, create ONE trial "
            "ticket like it and look for that. Close it afterwards.",
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="For each request.  [default: that of the push]",
        ),
        click.option(
            "--settle",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="How long to wait for late results after the last attempt; at least twice "
            "--timeout.  [default: 300]",
        ),
        _JOURNAL,
    ):
        reconcile = option(reconcile)
    group.command(short_help="Look up rows in doubt in the helpdesk.")(reconcile)

    @_described(VERIFY_CODES)
    def verify(
        journal: str,
        settle: float | None,
        timeout: float | None,
        out: str | None,
        as_json: bool,
        target: Target,
    ) -> None:
        """Check every row of JOURNAL against the helpdesk: the proof of a push.

        Each row is present once, absent as it should be, missing, there twice, contradicted, or
        not provable, with the reason. The screen shows what was checked, when and how, and what
        share is proved; --out writes every row. Sends nothing. Records in JOURNAL what it finds:
        rows in doubt that are found count as in the helpdesk.
        """
        from .verify import verify_journal

        sys.exit(
            verify_journal(
                journal,
                target,
                _service_of(journal, works),
                settle=settle,
                timeout=timeout,
                out=out,
                as_json=as_json,
            )
        )

    verify = target_options(target)(verify)
    for option in (
        one_json_option,
        click.option("--out", metavar="FILE.csv", help="Write every row to this file."),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="For each request.  [default: that of the push]",
        ),
        click.option(
            "--settle",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="How long the service may take to show what was sent; at least twice "
            "--timeout.  [default: 300]",
        ),
        _JOURNAL,
    ):
        verify = option(verify)
    group.command(short_help="Check every row against the helpdesk.")(verify)

    @group.command(short_help="Resume a push.", context_settings={"ignore_unknown_options": True})
    @_JOURNAL
    @click.argument("again", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF PUSH]...")
    @_described(EXIT_CODES)
    def resume(journal: str, again: tuple[str, ...]) -> None:
        """Resume the push of JOURNAL, with the file and the options saved in it.

        Options of push may follow, and override the saved ones. Secrets are not saved: they come
        from the environment or from files, as for the push. If the file is missing or has
        changed, only the rows that the journal itself holds are pushed.
        """
        from .resume import resume_push

        work = work_of(journal, works, restored="--restored" in again)
        sys.exit(resume_push(journal, again, work))

    @group.command(short_help="Write the rows to fix to a file.")
    @_JOURNAL
    @click.option(
        "--out", required=True, metavar="FILE", help="The file to create: .csv or .jsonl."
    )
    @excel_option
    def rejects(journal: str, out: str, excel: bool) -> None:
        """Write the rows that the service refused, and those that cannot be sent as they are, to
        FILE, each with its reason. Columns that begin with _ are added, and never sent.

        Fix the rows, and push them with `--key _key` and the same journal: each keeps its key,
        and _row tells the journal which row it replaces. Of two rows with one key, give the
        second a _key of its own. For a row that could not be parsed, _raw holds the original
        text; move it into the other columns.
        """
        from .rejects import write_rejects

        sys.exit(write_rejects(journal, out, _service_of(journal, works), excel=excel))

    @group.command(short_help="Write the rows in doubt to a file.")
    @_JOURNAL
    @click.option(
        "--out", required=True, metavar="FILE", help="The file to create: .csv or .jsonl."
    )
    @excel_option
    def doubts(journal: str, out: str, excel: bool) -> None:
        """Write every row that may or may not be in the helpdesk to FILE: key, line, reference,
        when and how often it was sent, the tickets that may be it, and why it is in doubt. The
        content of the row is not written; search the helpdesk for the reference.

        Reads only the journal. Use `reconcile` first, and `resolve` for what it leaves.
        """
        from .rejects import write_doubts

        sys.exit(write_doubts(journal, out, excel=excel))

    @group.command(short_help="Record by hand what happened to unresolved rows.")
    @_JOURNAL
    @click.argument("keys", nargs=-1, metavar="[KEY]...")
    @click.option("--line", type=click.IntRange(1), metavar="N", help="For a row without a key.")
    @click.option("--present", metavar="ID", help="It is in the helpdesk, under this id.")
    @click.option("--absent", is_flag=True, help="It is not there; it will be sent next time.")
    def resolve(
        journal: str, keys: tuple[str, ...], line: int | None, present: str | None, absent: bool
    ) -> None:
        """Record by hand what happened to the rows with these KEYs: ambiguous or probable rows, or
        rows that no lookup could resolve. Changes only the journal; sends nothing.
        """
        from .reconcile import resolve_rows

        service = _service_of(journal, works)
        sys.exit(resolve_rows(journal, keys, line, service, present=present, absent=absent))


def _service_of(journal: str, works: Sequence[Work]) -> Service:
    return work_of(journal, works).service_of(None)


_PLAN_CODES = """\
\b
Exit codes:
  0    every row can be sent
  1    some keys need checking: two rows with one key, or changed rows
  2    some cannot, or the input cannot be read
"""


def _described(exit_codes: str) -> Decorator:
    def decorate(command: Command) -> Command:
        command.__doc__ = f"{inspect.cleandoc(command.__doc__ or '')}\n\n{exit_codes}"
        return command

    return decorate
