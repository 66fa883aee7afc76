"""``push --hook``: a command of the user's own at the end, however the push ended.

It comes from the command line alone: a journal, which may be a stranger's, never names one.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
from attrs import define

from ..errors import HelpdeskError, JournalError
from .console import one_line, warn
from .exit_codes import BUG, USAGE, code_of_error
from .journal_status import read_status
from .push_options import PushOptions
from .startup import INTERRUPTED


@define
class Hook:
    """A command to run at the end.

    Attributes:
        code: the exit code of the push.
    """

    code: int = BUG


@contextmanager
def calling_hook(options: PushOptions) -> Iterator[Hook]:
    """Run the command of ``--hook`` at the end, also if the push raises.

    Set the :attr:`Hook.code` inside.
    """
    hook = Hook()
    try:
        yield hook
    except HelpdeskError as error:
        hook.code = code_of_error(error)
        raise
    except (click.ClickException, OSError):
        hook.code = USAGE
        raise
    except KeyboardInterrupt:
        hook.code = INTERRUPTED
        raise
    finally:
        if options.hook:
            sys.stdout.flush()
            _run(options.hook, hook.code, options.journal_path)


def _run(command: str, code: int, journal: str | None) -> None:
    details = {}
    if journal is not None:
        with suppress(JournalError):
            details = read_status(journal).as_json()
    variables = {"PUSH_EXIT_CODE": str(code), "PUSH_JOURNAL": journal or ""}
    words: list[str] | str = shlex.split(command) if os.name == "posix" else command
    try:
        done = subprocess.run(  # noqa: S603 - it is what the user typed
            words,
            input=json.dumps({"exit_code": code, **details}),
            encoding="utf-8",
            env={**os.environ, **variables},
            stdout=sys.stderr.fileno(),
            check=False,
        )
    except (OSError, ValueError) as error:
        warn(f"the command of --hook could not be run: {error}")
        return
    if done.returncode:
        warn(f"the command of --hook ended with {done.returncode}: {one_line(command, 60)}")
