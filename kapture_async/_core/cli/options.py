"""Options that many commands have: where to, as whom, and NAME=VALUE pairs."""

from __future__ import annotations

import abc
import codecs
import functools
import os
import stat
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import click
from attrs import field, fields, frozen

from ..errors import ConfigurationError
from ..secret import Secret
from .console import warn

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="For the whole call.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="The service's own JSON, raw.")
one_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
patience_option = click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to look for it.",
)


def as_secret(value: str | Secret | None) -> Secret | None:
    """The converter of attributes that hold what an option gave and nobody may see."""
    return Secret.wrap(value)


@frozen
class UserAndPassword:
    """Who somebody is, where it is no token."""

    username: Secret
    password: Secret


@frozen(kw_only=True)
class Target(abc.ABC):
    """Where requests go and as whom, as the options say; the environment fills the rest.

    What only one service has, its own subclass adds: an attribute, the option that gives it, and
    what a client is to make of it.

    Attributes:
        prefix: of the environment variables, such as ``"EXAMPLE"``.
        token_name: of the variable that holds the token, after the prefix.
        header_example: a pair for the help of ``--header``.
        own_options: the options of the subclass, as the help lists them.
        path_options: options whose value is a path.
    """

    prefix: ClassVar[str]
    token_name: ClassVar[str] = "TOKEN"  # noqa: S105 - the name of a variable
    header_example: ClassVar[str]
    own_options: ClassVar[tuple[Decorator, ...]] = ()
    path_options: ClassVar[tuple[str, ...]] = ("--token-file",)

    base_url: str | None = None
    username: str | None = None
    token: Secret | None = field(default=None, converter=as_secret)
    token_file: str | None = None
    headers: tuple[str, ...] = ()
    headers_env: tuple[str, ...] = ()
    proxy: Secret | None = field(default=None, converter=as_secret)
    allow_http: bool = False
    no_keep_alive: bool = False

    where: ClassVar[tuple[str, ...]] = ("base_url",)
    """The attributes that say where to; each has a variable of the same name."""

    @abc.abstractmethod
    def own_settings(self, *, may_prompt: bool) -> dict[str, Any]:
        """The arguments of a client that differ from service to service.

        Raises:
            ConfigurationError: something is missing or contradicts itself.
        """

    @abc.abstractmethod
    def own_arguments(self) -> list[str]:
        """The own options once more, without what may be secret."""

    def settings(self, *, may_prompt: bool = True) -> dict[str, Any]:
        """The arguments of a client: options first, then ``<PREFIX>_...`` variables.

        Raises:
            ConfigurationError: something is missing or contradicts itself.
        """
        return {
            **self.own_settings(may_prompt=may_prompt),
            "headers": self._headers(),
            "proxy": self.proxy,
            "allow_http": self.allow_http,
            "keep_alive": not self.no_keep_alive,
        }

    def as_arguments(self) -> list[str]:
        """The options once more, without what may be secret."""
        again = [
            *given_again({"--base-url": self.base_url}),
            *self.own_arguments(),
            *given_again({"--username": self.username, "--token-file": self.token_file}),
        ]
        for pair in self.headers_env:
            again += ["--header-env", pair]
        if self.proxy is not None and self.proxy.reveal() == "env":
            again += ["--proxy", "env"]
        again += ["--allow-http"] if self.allow_http else []
        return [*again, "--no-keep-alive"] if self.no_keep_alive else again

    def variable(self, name: str) -> str | None:
        """An environment variable of this service; an empty one counts as not set."""
        return os.environ.get(f"{self.prefix}_{name}") or None

    def given_secret(
        self, option: str, name: str, value: Secret | None, file: str | None
    ) -> Secret | None:
        """A secret from its option, which is warned of, or from the file of another option.

        Args:
            option: the one that holds it, such as ``"--token"``; ``<option>-file`` is the other.
            name: of the variable that is better than both, after the prefix.
            value, file: what was given.
        """
        if value:
            warn(
                f"{option} is visible to other users of this machine and stays in the shell's "
                f"history; {self.prefix}_{name} or {option}-file is not"
            )
            return value
        return _secret_in(file, option.lstrip("-")) if file else None

    def credentials(self, *, may_prompt: bool) -> Secret | UserAndPassword:
        """A token; or else a user with a password, which is asked for if that may be.

        Raises:
            ConfigurationError: there is neither, or there is more than one.
        """
        if sum(map(bool, (self.token, self.token_file, self.username))) > 1:
            raise ConfigurationError("give one of --token, --token-file and --username")
        token = self.given_secret("--token", self.token_name, self.token, self.token_file)
        if token:
            return token
        username = self.username
        if not username:
            if known := self.variable(self.token_name):
                return Secret(known)
            username = self.variable("USERNAME")
        if not username:
            raise ConfigurationError(
                "there are no credentials",
                next_step=f"Set {self.prefix}_{self.token_name}, or give --token-file, or "
                "--username.",
            )
        password = self.variable("PASSWORD")
        if not password and may_prompt and sys.stdin.isatty():
            password = click.prompt(f"Password of {username}", hide_input=True, err=True)
        if not password:
            raise ConfigurationError(
                "there is no password", next_step=f"Set {self.prefix}_PASSWORD."
            )
        return UserAndPassword(Secret(username), Secret(password))

    def _headers(self) -> dict[str, Secret]:
        found = {
            name: Secret(value) for name, value in pairs(self.headers, option="--header").items()
        }
        for name, variable in pairs(self.headers_env, option="--header-env").items():
            if variable not in os.environ:
                raise ConfigurationError(f"the variable {variable} for --header-env is not set")
            found[name] = Secret(os.environ[variable])
        return found


def target_options(target: type[Target]) -> Decorator:
    """Give a command the options of a target; it gets them as ``target=``."""
    prefix = target.prefix
    options: tuple[Decorator, ...] = (
        click.option("--base-url", metavar="URL", help=f"Whole address.  [{prefix}_BASE_URL]"),
        *target.own_options,
        click.option(
            "--username",
            metavar="NAME",
            help=f"Instead of a token; the password is prompted for.  [{prefix}_USERNAME, "
            f"{prefix}_PASSWORD]",
        ),
        click.option(
            "--token-file",
            metavar="FILE",
            help=f"File that holds the token.  [{prefix}_{target.token_name}]",
        ),
        click.option("--token", metavar="TOKEN", help="The token itself. Others can see it."),
        click.option(
            "--header",
            "headers",
            multiple=True,
            metavar="NAME=VALUE",
            help=f"An extra header, such as {target.header_example}. Repeatable.",
        ),
        click.option(
            "--header-env",
            "headers_env",
            multiple=True,
            metavar="NAME=VARIABLE",
            help="The same with a value that others must not see.",
        ),
        click.option("--proxy", metavar="URL", help="Or `env`, for the proxy variables."),
        click.option("--allow-http", is_flag=True, help="Send in clear text, to any host."),
        click.option(
            "--no-keep-alive", is_flag=True, help="Make a new connection for each request."
        ),
    )
    return gathering("target", target, options)


def gathering(name: str, gathered: type[Any], options: Iterable[Decorator]) -> Decorator:
    """Give a command some options, which it gets as one object.

    Args:
        name: under which the command gets it.
        gathered: an attrs class; each of its attributes is an option's name.
        options: in the order of the help.
    """
    names = [attribute.name for attribute in fields(gathered)]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapper(**given: Any) -> Any:
            ours = {attribute: given.pop(attribute) for attribute in names}
            return command(**{name: gathered(**ours)}, **given)

        return with_options(options)(wrapper)

    return decorate


def with_options(options: Iterable[Decorator]) -> Decorator:
    """Give a command some options, in the order of the help."""

    def decorate(command: Command) -> Command:
        for option in reversed(tuple(options)):
            command = option(command)
        return command

    return decorate


def given_again(options: dict[str, str | None]) -> list[str]:
    """Options with their values as they are typed, without those that were not given."""
    return [part for name, value in options.items() if value for part in (name, value)]


def pairs(texts: Iterable[str], *, option: str) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping.

    Raises:
        click.BadParameter: one has another form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
        if name in found:
            raise click.BadParameter(f"{name!r} is given twice", param_hint=option)
        found[name] = value
    return found


def _secret_in(path: str, what: str) -> Secret:
    file = Path(path)
    if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        warn(f"{path} can be read by others; chmod 600 it")
    content = file.read_bytes()
    # PowerShell writes UTF-16, and Notepad a byte order mark.
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig").strip()
    except UnicodeError:
        text = None
    if text is None or "\0" in text:
        raise ConfigurationError(
            f"the {what} file {path} is neither UTF-8 nor UTF-16 text with a byte order mark",
            next_step="Save it as UTF-8.",
        )
    if not text:
        raise ConfigurationError(f"the {what} file {path} holds no {what}")
    return Secret(text)
