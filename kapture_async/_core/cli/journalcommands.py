"""The commands around a journal: status, doubts, reconcile, resume, rejects, judge, plan."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence

import click

from .exit_codes import EXIT_CODES, RECONCILE_CODES, VERIFY_CODES
from .newfile import excel_option
from .options import Command, Decorator, Target, one_json_option, target_options
from .pushoptions import PushOptions, push_options
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

    @group.command(cls=Reading, short_help="What a push would do; sends nothing.")
    @push_options(options, _PLAN_CODES)
    @target_options(target)
    @click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        metavar="PER_SECOND",
        help="Tickets per second, for the estimate of the time.",
    )
    def plan(options: PushOptions, target: Target, rate: float | None) -> None:
        """Say what a push of FILE would do: what cannot be sent, what looks wrong, how long it
        takes, and what the journal has of it already. Nothing is sent.

        It takes the options of push, so that one word is all that has to be changed.
        """
        from .plan import plan_file

        sys.exit(plan_file(options, service_of(options), target, rate=rate))

    @group.command(cls=Reading, short_help="How a push stands.")
    @_JOURNAL
    @one_json_option
    def status(journal: str, as_json: bool) -> None:
        """Say how a push stands: what is in the helpdesk, what is not and why, what is in doubt,
        and what to type next. Nobody is asked, and a push that runs is not held up.
        """
        from .status import show_status

        sys.exit(show_status(journal, _service_of(journal, works), as_json=as_json))

    @_described(RECONCILE_CODES)
    def reconcile(
        journal: str,
        settle: float | None,
        timeout: float | None,
        trust_empty: bool,
        probe: bool,
        as_json: bool,
        target: Target,
    ) -> None:
        """Find out what became of the rows in doubt, by their references, and note it in JOURNAL.

        First it waits until the service has had its time, since a lost answer says nothing of
        when the work is done. Rows found once are in the helpdesk. Rows that two looks do not
        find are not, if the looks could not have missed them; the next push sends them. What is
        found more than once, and what a ticket without a reference may be, is for you to judge.
        Nothing is sent but the one ticket that --probe asks for. Where to look is known from the
        push; options say otherwise.
        """
        from .reconcile import reconcile_journal

        sys.exit(
            reconcile_journal(
                journal,
                target,
                _service_of(journal, works),
                settle=settle,
                timeout=timeout,
                trust_empty=trust_empty,
                probe=probe,
                as_json=as_json,
            )
        )

    reconcile = target_options(target)(reconcile)
    for option in (
        one_json_option,
        click.option(
            "--trust-empty",
            is_flag=True,
            help="Take what is not found for absent although the looks could have missed it.",
        ),
        click.option(
            "--probe",
            is_flag=True,
            help="Where nothing else proves that the list would show a row, make ONE trial "
            "ticket like it, and look for that. Close it afterwards.",
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="For one request.  [default: as the push had it]",
        ),
        click.option(
            "--settle",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="How long to give the service after the last sign of a row in doubt; at least "
            "twice --timeout.  [default: 300]",
        ),
        _JOURNAL,
    ):
        reconcile = option(reconcile)
    group.command(short_help="Find out what became of rows in doubt.")(reconcile)

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
        could not be proved, and then it is said why. The page on the screen says what was
        checked, when and how, and which share is proved; --out writes every row.
        Nothing is sent. What the look shows is noted: doubts that it finds are in the helpdesk.
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
            help="For one request.  [default: as the push had it]",
        ),
        click.option(
            "--settle",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="Within how long what was sent has to be visible; at least twice --timeout.  "
            "[default: 300]",
        ),
        _JOURNAL,
    ):
        verify = option(verify)
    group.command(short_help="Check every row against the helpdesk.")(verify)

    @group.command(
        short_help="Go on with a push.", context_settings={"ignore_unknown_options": True}
    )
    @_JOURNAL
    @click.argument("again", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF PUSH]...")
    @_described(EXIT_CODES)
    def resume(journal: str, again: tuple[str, ...]) -> None:
        """Go on with the push of JOURNAL: with its file and its options, as they are noted in it.

        Options of push may follow, and win over those that are noted. Secrets are not noted:
        they come from the environment or from files, as for the push. If the file is gone or was
        changed, only what the journal itself still holds is pushed.
        """
        from .resume import resume_push

        work = work_of(journal, works, restored="--restored" in again)
        sys.exit(resume_push(journal, again, work))

    @group.command(short_help="Rows that must be mended, as a file.")
    @_JOURNAL
    @click.option("--out", required=True, metavar="FILE", help="The file to make: .csv or .jsonl.")
    @excel_option
    def rejects(journal: str, out: str, excel: bool) -> None:
        """Write the rows that the service refused, and those that cannot be sent as they are, to
        FILE, with the reason of each. Columns that begin with _ are added, and never sent.

        Mend the rows, and push them with `--key _key` and the same journal: each goes on under
        its own name, and by _row the journal knows which row it takes the place of. Of two rows
        under one key, give the second a _key of its own. A row that could not be read stands in
        _raw as the file has it; put it into the other columns.
        """
        from .rejects import write_rejects

        sys.exit(write_rejects(journal, out, _service_of(journal, works), excel=excel))

    @group.command(short_help="Every row in doubt, as a file.")
    @_JOURNAL
    @click.option("--out", required=True, metavar="FILE", help="The file to make: .csv or .jsonl.")
    @excel_option
    def doubts(journal: str, out: str, excel: bool) -> None:
        """Write every row that may be in the helpdesk or not to FILE: its key, its line, the
        reference it was sent with, when, how often, the tickets that may be it, and why it is in
        doubt, if need be in the service's words. What it was sent with is not written; look for
        the reference in the helpdesk.

        Nobody is asked. What reconcile can settle, it settles; the rest is for judge.
        """
        from .doubts import write_doubts

        sys.exit(write_doubts(journal, out, excel=excel))

    @group.command(short_help="Say what became of rows that no look can settle.")
    @_JOURNAL
    @click.argument("keys", nargs=-1, metavar="[KEY]...")
    @click.option("--line", type=click.IntRange(1), metavar="N", help="For a row without a key.")
    @click.option("--present", metavar="ID", help="It is in the helpdesk, under this id.")
    @click.option("--absent", is_flag=True, help="It is not there; the next push sends it.")
    def judge(
        journal: str, keys: tuple[str, ...], line: int | None, present: str | None, absent: bool
    ) -> None:
        """Write down what you have found out of the rows of these KEYs: rows that are ambiguous,
        probable, or in doubt after all looks. Nobody is asked, and nothing is sent.
        """
        from .resolve import judge_rows

        service = _service_of(journal, works)
        sys.exit(judge_rows(journal, keys, line, service, present=present, absent=absent))


def _service_of(journal: str, works: Sequence[Work]) -> Service:
    return work_of(journal, works).service_of(None)


_PLAN_CODES = """\
\b
Exit codes:
  0    every row can be sent
  1    some keys need a look: two rows under one, or changed ones
  2    some cannot, or the input cannot be read
"""


def _described(exit_codes: str) -> Decorator:
    def decorate(command: Command) -> Command:
        command.__doc__ = f"{inspect.cleandoc(command.__doc__ or '')}\n\n{exit_codes}"
        return command

    return decorate
