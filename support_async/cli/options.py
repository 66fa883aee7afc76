"""The options of the command line that only this service has."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import click
from attrs import field, frozen

from kapture_async._core.cli.options import (
    Command,
    Decorator,
    Target,
    UserAndPassword,
    as_secret,
    pairs,
    with_options,
)
from kapture_async._core.errors import ConfigurationError, InvalidInputError
from kapture_async._core.secret import Secret

from .._validation import PRIORITIES, checked_code, checked_id
from ..tickets.models import Status

STATUSES: Mapping[str, str] = {
    "open": Status.OPEN,
    "processing": Status.PROCESSING,
    "closed": Status.CLOSED,
}


def code(words: Mapping[str, str]) -> dict[str, Any]:
    """What makes an option one that takes a code, or the word for one of the documented ones."""

    def read(ctx: click.Context, param: click.Parameter, given: str | None) -> str | None:
        if given is None:
            return None
        try:
            return checked_code(param.name or "", words.get(given.strip().lower(), given))
        except InvalidInputError:
            raise click.BadParameter(
                f"{given!r} is not one of {', '.join(words)}, nor a numeric code"
            ) from None

    return {"metavar": f"[{'|'.join(words)}|CODE]", "callback": read}


def ident(metavar: str = "ID") -> dict[str, Any]:
    """What makes an option or an argument one that takes an id, or several."""
    return {"metavar": metavar, "callback": _read_ids}


def _read_ids(_: click.Context, param: click.Parameter, given: Any) -> Any:
    if isinstance(given, tuple):
        return tuple(_read_ids(_, param, one) for one in given)
    try:
        return None if given is None else checked_id(param.name or "", given)
    except InvalidInputError:
        raise click.BadParameter(f"{given!r} is not an id; ids are numbers") from None


PRIORITY = code(PRIORITIES)
STATUS = code(STATUSES)
ID = ident()


@frozen(kw_only=True)
class SupportTarget(Target):
    """An installation, its application key, and a token or a user who logs in."""

    program: ClassVar[str] = "support-async"
    prefix: ClassVar[str] = "SUPPORT"
    who: ClassVar[tuple[str, ...]] = (*Target.who, "apikey", "apikey_file")
    token_name: ClassVar[str] = "ACCESS_TOKEN"  # noqa: S105 - the name of a variable
    header_example: ClassVar[str] = "Accept-Language=de"
    saved: ClassVar[tuple[str, ...]] = (*Target.saved, "apikey_file", "call_paths", "ticket_id_in")
    paths: ClassVar[tuple[str, ...]] = (*Target.paths, "apikey_file")

    apikey: Secret | None = field(default=None, converter=as_secret)
    apikey_file: str | None = None
    call_paths: tuple[str, ...] = ()
    ticket_id_in: str = "both"

    @classmethod
    def own_options(cls) -> tuple[Decorator, ...]:
        """See :class:`.Target`."""
        return (
            click.option("--apikey-file", metavar="FILE", help="A file that holds the apikey."),
            cls.with_variable(
                "--apikey",
                "APIKEY",
                metavar="KEY",
                help="The apikey; on the command line, other users can see it.",
            ),
            click.option(
                "--path",
                "call_paths",
                multiple=True,
                metavar="OPERATION=PATH",
                help="Another path for a call, such as "
                "tickets.create=/creat/support/ticket/. Repeatable.",
            ),
            click.option(
                "--ticket-id-in",
                type=click.Choice(["both", "body", "query"]),
                default="both",
                show_default=True,
                help="Where `show` puts the ticket's id; use query if your network refuses a GET "
                "with a body.",
            ),
        )

    def own_settings(self, *, may_prompt: bool) -> dict[str, Any]:
        """See :class:`.Target`; ``user`` is for :func:`.client_of`, all else for the client."""
        base_url = self.base_url or self.environment.get("base_url")
        if not base_url:
            raise ConfigurationError(
                "no server address given",
                next_step="Use --base-url, or set SUPPORT_BASE_URL, such as "
                "https://support.example.com/api/v1.",
            )
        settings: dict[str, Any] = {
            "base_url": base_url,
            "apikey": self._apikey(),
            "paths": pairs(self.call_paths, option="--path"),
            "ticket_id_in": self.ticket_id_in,
        }
        who = self.credentials(may_prompt=may_prompt)
        if isinstance(who, UserAndPassword):
            return settings | {"user": who}
        return settings | {"access_token": who}

    def secrets_to_ask(self, apis: tuple[str, ...]) -> dict[str, str]:
        """See :class:`.Target`."""
        return {"apikey": "Apikey", **super().secrets_to_ask(apis)}

    def _apikey(self) -> Secret:
        if self.apikey and self.apikey_file:
            raise ConfigurationError("give either --apikey or --apikey-file, not both")
        if self.tenant is not None and (kept := self.tenant.secret("apikey")):
            return kept
        given = self.given_secret("--apikey", "APIKEY", self.apikey, self.apikey_file)
        if given:
            return given
        if known := self.environment.get("apikey"):
            return Secret(known)
        raise ConfigurationError(
            "no apikey given", next_step="Set SUPPORT_APIKEY, or use --apikey-file."
        )


def comment_options(command: Command) -> Command:
    """Give a command a text and perhaps a file; it gets ``comment=`` and ``attach=``."""
    return with_options(
        (
            click.option("--comment", metavar="TEXT"),
            click.option(
                "--comment-file",
                metavar="PATH",
                type=click.Path(allow_dash=True),
                help="A UTF-8 file with the comment; `-` is standard input.",
            ),
            click.option("--attach", metavar="PATH", help="A file to attach; at most 2 MiB."),
        )
    )(command)


def comment_of(text: str | None, path: str | None) -> str:
    """The comment, from where it was given.

    Raises:
        click.UsageError: it was not given, or twice, or is not UTF-8.
        OSError: the file cannot be read.
    """
    if (text is None) == (path is None):
        raise click.UsageError("give either --comment or --comment-file")
    if text is not None:
        return text
    assert path is not None
    content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.BadParameter("it is not UTF-8 text", param_hint="--comment-file") from None
