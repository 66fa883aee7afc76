"""The commands of a program, each imported when it is called, so that help comes at once."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import frozen
from click.shell_completion import CompletionItem

from .exit_codes import EXIT_CODES

if TYPE_CHECKING:
    from .service import Vendor

F = TypeVar("F", bound=Callable[..., Any])


@frozen
class Entry:
    """A command in the table of a program.

    Attributes:
        where: its function or :class:`click.Command`, as ``"package.module:name"``.
        help: what it does, in a few words.
    """

    where: str
    help: str


def _shared(module: str, help: str, name: str = "") -> Entry:
    return Entry(f"kapture_async._core.cli.{module}:{name or module}", help)


PUSH = _shared("push", "Push a file of tickets.")
UI = Entry(
    "kapture_async._core.ui.command:ui", "Show a page in the browser: map, check, push, resolve."
)
PLAN = _shared("plan", "Show what a push would do; sends nothing.")
AFTER_A_PUSH: Mapping[str, Entry] = {
    "status": _shared("status", "Show how a push stands."),
    "resume": _shared("resume", "Resume a push."),
    "reconcile": _shared("reconcile", "Look up rows in doubt in the helpdesk."),
    "resolve": _shared("resolve", "Record by hand what happened to rows in doubt."),
    "doubts": _shared("rejects", "Write the rows in doubt to a file.", "doubts"),
    "rejects": _shared("rejects", "Write the rows to fix to a file."),
    "verify": _shared("verify", "Check every row against the helpdesk."),
}


TENANTS: Mapping[str, Entry] = {
    "login": _shared("login", "Keep a tenant's address and token under a name."),
    "logout": _shared("login", "Remove a profile, and its secrets.", "logout"),
    "profiles": _shared("login", "List the profiles.", "profiles"),
    "whoami": _shared("login", "Show where requests would go, and as whom.", "whoami"),
}
MORE: Mapping[str, Entry] = {
    "completion": _shared("completion", "Complete commands and options in your shell."),
}


def exit_codes(function: F) -> F:
    """Give the help of a command the table of exit codes."""
    function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{EXIT_CODES}"
    return function


class Commands(click.Group):
    """A group of commands that are imported when they are called.

    A command is a :class:`click.Command`, or a function of the :class:`.Vendor` that returns the
    exit code. A parameter ``target`` of it gets the options of the vendor's target, a parameter
    ``options`` those of its push.

    Args:
        sections: the commands by their names, in sections of the help.
        vendor: where the :class:`.Vendor` is, as ``"package.module:name"``.
    """

    def __init__(
        self, *, sections: Mapping[str, Mapping[str, Entry]], vendor: str, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self._sections = sections
        entries = {name: entry for some in sections.values() for name, entry in some.items()}
        self.commands: MutableMapping[str, click.Command] = _Loaded(entries, vendor)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of the exit codes."""
        formatter.write_paragraph()
        formatter.write_text(EXIT_CODES)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names of commands that begin like this; none of them is imported."""
        commands = (pair for entries in self._sections.values() for pair in entries.items())
        found = [
            CompletionItem(name, help=entry.help)
            for name, entry in commands
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections of the help."""
        for title, entries in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()])


class _Loaded(MutableMapping[str, click.Command]):
    """Commands by their names, imported when they are looked up."""

    def __init__(self, entries: Mapping[str, Entry], vendor: str) -> None:
        self._entries = dict(entries)
        self._vendor = vendor
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            entry = self._entries[name]
            found = _object_at(entry.where)
            if not isinstance(found, click.Command):
                found = _bound(found, name, _object_at(self._vendor))
            self._loaded[name] = found
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._entries.setdefault(name, Entry("", command.get_short_help_str()))
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def _object_at(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)


def _bound(function: Callable[..., int], name: str, vendor: Vendor) -> click.Command:
    @functools.wraps(function)
    def call(**given: Any) -> None:
        sys.exit(function(vendor, **given))

    from .options import Sectioned, gathering, target_options

    own = call.__dict__.pop("__click_params__", [])
    command: Callable[..., Any] = call
    wanted = inspect.signature(function).parameters
    if "target" in wanted:
        command = target_options(vendor.target)(command)
    if "options" in wanted:
        command = gathering("options", vendor.options)(command)
    command.__dict__.setdefault("__click_params__", []).extend(own)
    kind = getattr(function, "command_class", Sectioned)
    made: click.Command = click.command(
        name, cls=kind, **getattr(function, "command_settings", {})
    )(command)
    made.help = (made.help or "").replace("FIELDS\n\n", vendor.fields)
    return made
