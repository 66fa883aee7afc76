"""Options that many commands have: where to, as whom, and NAME=VALUE pairs."""

from __future__ import annotations

import abc
import codecs
import functools
import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import click
from attrs import field, fields, frozen
from click.core import ParameterSource

from ..errors import ConfigurationError
from ..journal.address import SCHEMA, is_address, with_job
from ..secret import Secret
from .console import warn
from .profiles import Profile, profile

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

_PROGRAM = f"{__name__}.program"
SUFFIX = ".journal"
"""Of a journal beside the file that it is of."""

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


def journal_argument(command: Command, *, required: bool = True) -> Command:
    """The argument that names a journal: a file, or a URL with the options that belong to it. A
    pushed file stands for the journal beside it."""

    def keep(context: click.Context, param: click.Parameter, value: str | None) -> None:
        context.meta[f"{__name__}.{param.name}"] = value

    def placed(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
        if value is None:
            return None
        if not (is_address(value) or value.endswith(SUFFIX)) and os.path.exists(value + SUFFIX):
            value += SUFFIX
        return journal_at(value, *(context.meta.get(f"{__name__}.{name}") for name in _PARTS))

    for option in reversed(_JOURNAL_PARTS):
        command = option(command, is_eager=True, expose_value=False, callback=keep)
    return click.argument("journal", required=required, type=click.Path(), callback=placed)(command)


def _part(name: str, metavar: str, text: str) -> Callable[..., Command]:
    def decorate(command: Command, **settings: Any) -> Command:
        made: Command = click.option(name, metavar=metavar, help=text, **settings)(command)
        return made

    return decorate


_PARTS = ("job", "journal_schema")
_JOURNAL_PARTS = (
    _part("--job", "NAME", "Which job of a journal in PostgreSQL."),
    _part(
        "--journal-schema",
        "NAME",
        f"Where the tables of a journal in PostgreSQL are.  [default: {SCHEMA}]",
    ),
)


def journal_at(where: str, job: str | None, schema: str | None) -> str:
    """Where a journal is: its path, or its URL with its job and its schema, without its password.

    Raises:
        click.UsageError: a file has neither.
    """
    if is_address(where):
        return with_job(where, job, schema)
    if job is not None or schema is not None:
        raise click.UsageError(
            "--job and --journal-schema are for a journal in PostgreSQL: postgresql://..."
        )
    return where


positive = click.FloatRange(min=0, min_open=True)
lookup_timeout_option = click.option(
    "--timeout",
    type=positive,
    metavar="SECONDS",
    help="For each request.  [default: that of the push]",
)


def as_secret(value: str | Secret | None) -> Secret | None:
    """The converter of attributes that hold a secret option."""
    return Secret.wrap(value)


@frozen(kw_only=True)
class OptionGroup(abc.ABC):
    """Options of a command, as one object. A journal may save some of them, for ``resume``.

    Attributes:
        saved: names of those that a journal may save: never a secret, an address to notify, or
            anything that a stranger's journal must not decide.
        paths: of these, the ones that are paths; they are saved in full.
    """

    saved: ClassVar[tuple[str, ...]] = ()
    paths: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @abc.abstractmethod
    def options(cls) -> tuple[Decorator, ...]:
        """The options, in the order of the help; each fills the attribute of its name."""

    @classmethod
    def of(cls, values: Mapping[str, Any], context: click.Context) -> Self:
        """The group, from the values of a command's parameters."""
        names = [attribute.name for attribute in fields(cls)]
        return cls(**{name: values[name] for name in names if name in values})

    def values(self, *more: str) -> dict[str, Any]:
        """What may be saved, and these other attributes, where they are not the default."""
        found = {name: getattr(self, name) for name in (*self.saved, *more)}
        default = {attribute.name: attribute.default for attribute in fields(type(self))}
        return {name: value for name, value in found.items() if value != default[name]}

    def to_save(self) -> dict[str, Any]:
        """What a journal saves."""
        return {
            name: os.path.abspath(value) if name in self.paths else value
            for name, value in self.values().items()
        }

    def as_arguments(self) -> list[str]:
        """The options as they are typed, without what is secret."""
        return typed(self.options(), self.values())


def typed(options: Iterable[Decorator], values: Mapping[str, Any]) -> list[str]:
    """Options with these values, as they are typed."""
    arguments: list[str] = []
    for option in _params(options):
        value = values.get(option.name or "")
        if value is True:
            arguments.append(option.opts[0])
        elif value not in (None, False):
            for one in value if isinstance(value, (tuple, list)) else (value,):
                arguments += [option.opts[0], f"{one:g}" if isinstance(one, float) else str(one)]
    return arguments


def _params(options: Iterable[Decorator]) -> list[click.Parameter]:
    @with_options(options)
    def nothing() -> None: ...

    found: list[click.Parameter] = nothing.__click_params__  # type: ignore[attr-defined]
    return [param for param in reversed(found) if isinstance(param, click.Option)]


def parse(
    groups: Sequence[type[OptionGroup]],
    arguments: Sequence[str],
    saved: Mapping[str, Any],
    **fixed: Any,
) -> list[Any]:
    """Groups of options, as they were saved, unless arguments say otherwise.

    Args:
        groups: their classes.
        arguments: further options, which win.
        saved: values by name; what no group may save is ignored.
        fixed: attributes that are not options.

    Raises:
        click.UsageError: an argument, or a saved value, cannot be used.
    """
    known = {name for group in groups for name in group.saved}
    saved = {name: value for name, value in saved.items() if name in known}
    params = [param for group in groups for param in _params(group.options())]
    command = click.Command("push", params=params)
    context = command.make_context("push", list(arguments), default_map=saved)
    for name, value in saved.items():  # what was saved wins over the environment
        if context.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
            context.params[name] = value
            context.set_parameter_source(name, ParameterSource.DEFAULT_MAP)
    values = {**context.params, **fixed}
    return [group.of(values, context) for group in groups]


@frozen
class UserAndPassword:
    """A user with a password, where no token is used."""

    username: Secret
    password: Secret


@frozen(kw_only=True)
class Target(OptionGroup):
    """Where requests go and as whom: the options, and what the environment adds to them.

    What only one service has, its own subclass adds: an attribute, the option that fills it, and
    what a client makes of it.

    Attributes:
        program: the name of the command line, whose profiles are used.
        prefix: of the environment variables, such as ``"EXAMPLE"``.
        token_name: of the variable that holds the token, after the prefix.
        header_example: a pair for the help of ``--header``.
        where: the attributes that say where to.
        who: the attributes that say as whom.
        environment: what environment variables give in place of options, by attribute.
        named: the profile was named by its option, and not by the environment.
        tenant: the profile, if one is used.
    """

    program: ClassVar[str]
    prefix: ClassVar[str]
    token_name: ClassVar[str] = "TOKEN"  # noqa: S105 - the name of a variable
    header_example: ClassVar[str]
    where: ClassVar[tuple[str, ...]] = ("base_url",)
    who: ClassVar[tuple[str, ...]] = ("token", "token_file", "username")
    saved: ClassVar[tuple[str, ...]] = (
        *("profile", "base_url", "username", "token_file", "headers_env", "allow_http"),
        "no_keep_alive",
    )
    paths: ClassVar[tuple[str, ...]] = ("token_file",)

    profile: str | None = None
    named: bool = False
    base_url: str | None = None
    username: str | None = None
    token: Secret | None = field(default=None, converter=as_secret)
    token_file: str | None = None
    headers: tuple[str, ...] = field(default=(), repr=False)
    headers_env: tuple[str, ...] = ()
    proxy: Secret | None = field(default=None, converter=as_secret)
    allow_http: bool = False
    no_keep_alive: bool = False
    environment: Mapping[str, Any] = field(factory=dict, repr=False)
    tenant: Profile | None = field(default=None, repr=False)

    @classmethod
    def of(cls, values: Mapping[str, Any], context: click.Context) -> Self:
        """See :class:`OptionGroup`."""
        source = context.get_parameter_source
        given: dict[str, Any] = {}
        environment: dict[str, Any] = {}
        for name, value in values.items():
            from_environment = source(name) is ParameterSource.ENVIRONMENT
            (environment if from_environment else given)[name] = value
        name = given.get("profile") or environment.pop("profile", None)
        given["profile"] = name
        given["named"] = source("profile") is ParameterSource.COMMANDLINE
        if name and context.command.name != "login":
            fixed = frozenset(
                option
                for option in values
                if source(option) in (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
            )
            given |= cls._of_profile(profile(cls.program, name), fixed)
            environment = {}
        return super().of({**given, "environment": environment}, context)

    @classmethod
    def _of_profile(cls, tenant: Profile, fixed: frozenset[str]) -> dict[str, Any]:
        """What a profile gives, where options do not say otherwise. It stands for all that the
        environment says: a token of one tenant must not go to another's address."""
        for group in (cls.where, cls.who):
            if fixed.intersection(group):
                fixed = fixed.union(group)
        known = {attribute.name for attribute in fields(cls)}
        given = {
            name: value
            for name, value in tenant.options.items()
            if name in known and name not in fixed
        }
        return given if fixed.intersection(cls.who) else {**given, "tenant": tenant}

    @classmethod
    @abc.abstractmethod
    def own_options(cls) -> tuple[Decorator, ...]:
        """The options of the subclass."""

    @abc.abstractmethod
    def own_settings(self, *, may_prompt: bool) -> dict[str, Any]:
        """The arguments of a client that differ from service to service.

        Raises:
            ConfigurationError: something is missing, or options contradict each other.
        """

    def settings(self, *, may_prompt: bool = True) -> dict[str, Any]:
        """The arguments of a client: options first, then environment variables.

        Raises:
            ConfigurationError: something is missing, or options contradict each other.
        """
        return {
            **self.own_settings(may_prompt=may_prompt),
            "headers": self._headers(),
            "proxy": self.proxy,
            "allow_http": self.allow_http,
            "keep_alive": not self.no_keep_alive,
        }

    def values(self, *more: str) -> dict[str, Any]:
        """See :class:`OptionGroup`; a proxy only if it is that of the environment, and nothing that
        the profile says anyway."""
        by_environment = self.proxy is not None and self.proxy.reveal() == "env"
        found = {**super().values(*more), **({"proxy": "env"} if by_environment else {})}
        known = {} if self.tenant is None else self.tenant.options
        return {name: value for name, value in found.items() if known.get(name) != value}

    def given_secret(
        self, option: str, name: str, value: Secret | None, file: str | None
    ) -> Secret | None:
        """A secret from its option, with a warning, or from the file that another option names.

        Args:
            option: the one that holds it, such as ``"--token"``; ``<option>-file`` is the other.
            name: of the variable that is better than both, after the prefix.
            value, file: what was given.
        """
        if value:
            warn(
                f"{option} is visible to other users of this machine, and stays in the shell's "
                f"history; use {self.prefix}_{name} or {option}-file"
            )
            return value
        return _secret_in(file, option.lstrip("-")) if file else None

    def credentials(self, *, may_prompt: bool) -> Secret | UserAndPassword:
        """A token, or a user with a password, which is prompted for if that is allowed.

        Raises:
            ConfigurationError: there is neither, or there is more than one.
        """
        if sum(map(bool, (self.token, self.token_file, self.username))) > 1:
            raise ConfigurationError("give only one of --token, --token-file and --username")
        if self.tenant is not None:
            if self.username and (secret := self.tenant.secret("password")):
                return UserAndPassword(Secret(self.username), secret)
            if kept := self.tenant.secret("token"):
                return kept
        token = self.given_secret("--token", self.token_name, self.token, self.token_file)
        if token:
            return token
        username = self.username
        if not username:
            if known := self.environment.get("token"):
                return Secret(known)
            username = self.environment.get("username")
        if not username:
            raise ConfigurationError(
                "no credentials given",
                next_step=f"Set {self.prefix}_{self.token_name}, or use --token-file or "
                "--username.",
            )
        password = os.environ.get(f"{self.prefix}_PASSWORD")
        if not password and may_prompt and sys.stdin.isatty():
            password = click.prompt(f"Password of {username}", hide_input=True, err=True)
        if not password:
            raise ConfigurationError("no password given", next_step=f"Set {self.prefix}_PASSWORD.")
        return UserAndPassword(Secret(username), Secret(password))

    @property
    def credentials_from(self) -> str:
        """Where the token or the user came from, never what it is: for a message that it was
        refused."""
        if self.tenant is not None:
            where = self.tenant.secrets_in
            return f"{', '.join(self.tenant.names)} of profile {self.tenant.name}, in {where}"
        if self.token:
            return "the token of --token"
        if self.token_file:
            return f"the token in {self.token_file}"
        if not self.username and self.environment.get("token"):
            return f"the token in {self.prefix}_{self.token_name}"
        given = "--username" if self.username else f"{self.prefix}_USERNAME"
        return f"the user of {given} with the password in {self.prefix}_PASSWORD"

    @property
    def address_text(self) -> str:
        """Where requests go, for a person; without a check."""
        return self.base_url or self.environment.get("base_url") or ""

    def check_for_login(self, apis: tuple[str, ...]) -> None:
        """Check that a profile can be made of the options.

        Raises:
            click.UsageError: it cannot.
        """
        if apis:
            raise click.UsageError("--api: this service has one key for all its APIs")
        if not any(getattr(self, name) for name in self.where):
            options = " or ".join(f"--{name.replace('_', '-')}" for name in self.where)
            raise click.UsageError(f"a profile needs an address: {options}")
        if self.token or self.token_file:
            raise click.UsageError("leave out --token and --token-file: `login` asks for the token")

    def secrets_to_ask(self, apis: tuple[str, ...]) -> dict[str, str]:
        """The names of the secrets that `login` asks for, each with words for it.

        Args:
            apis: those that have a key of their own.
        """
        if self.username:
            return {"password": f"Password of {self.username}"}
        return {"token": "Token"}

    def _headers(self) -> dict[str, Secret]:
        found = {
            name: Secret(value) for name, value in pairs(self.headers, option="--header").items()
        }
        for name, variable in pairs(self.headers_env, option="--header-env").items():
            if variable not in os.environ:
                raise ConfigurationError(f"the variable {variable} of --header-env is not set")
            found[name] = Secret(os.environ[variable])
        return found

    @classmethod
    def options(cls) -> tuple[Decorator, ...]:
        """See :class:`OptionGroup`."""
        return section(
            "Where to, and as whom",
            cls.with_variable(
                "--profile",
                "PROFILE",
                metavar="NAME",
                callback=cls._note_program,
                help="The tenant of this name: its address, token and settings; see `login`.",
            ),
            cls.with_variable("--base-url", "BASE_URL", metavar="URL", help="The whole address."),
            *cls.own_options(),
            cls.with_variable(
                "--username",
                "USERNAME",
                metavar="NAME",
                help="Instead of a token; prompts for the password if "
                f"{cls.prefix}_PASSWORD is not set.",
            ),
            click.option("--token-file", metavar="FILE", help="A file that holds the token."),
            cls.with_variable(
                "--token",
                cls.token_name,
                metavar="TOKEN",
                help="The token; on the command line, other users can see it.",
            ),
            click.option(
                "--header",
                "headers",
                multiple=True,
                metavar="NAME=VALUE",
                help=f"An extra header, such as {cls.header_example}. Repeatable.",
            ),
            click.option(
                "--header-env",
                "headers_env",
                multiple=True,
                metavar="NAME=VARIABLE",
                help="The same, with a secret value from an environment variable.",
            ),
            click.option(
                "--proxy", metavar="URL", help="A proxy; `env` for the usual proxy variables."
            ),
            click.option("--allow-http", is_flag=True, help="Allow unencrypted HTTP to any host."),
            click.option(
                "--no-keep-alive", is_flag=True, help="Use a new connection for each request."
            ),
        )

    @classmethod
    def _note_program(
        cls, context: click.Context, _: click.Parameter, value: str | None
    ) -> str | None:
        context.meta[_PROGRAM] = cls.program
        return value

    @classmethod
    def with_variable(cls, option: str, name: str, **settings: Any) -> Decorator:
        """An option that an environment variable can stand for.

        Args:
            option: its name.
            name: of the variable, after the prefix.
            settings: for click.
        """
        return click.option(option, envvar=f"{cls.prefix}_{name}", show_envvar=True, **settings)


class Sectioned(click.Command):
    """A command whose help shows its options in the sections that :func:`section` gave them."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                title = getattr(param, "section", "Options")
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def section(title: str, *options: Decorator) -> tuple[Decorator, ...]:
    """Options that stand together in the help, below this title."""

    def titled(option: Decorator) -> Decorator:
        def decorate(command: Command) -> Command:
            made = option(command)
            made.__click_params__[-1].section = title  # type: ignore[attr-defined]
            return made

        return decorate

    return tuple(titled(option) for option in options)


def default_of_tenant(context: click.Context, name: str) -> Any:
    """What the profile that a command names has for an option of another group; ``None`` if
    nothing, and where the options are those of an earlier push.

    Args:
        context: of the command.
        name: of the setting.
    """
    tenant, program = context.params.get("profile"), context.meta.get(_PROGRAM)
    if not tenant or not program or not isinstance(context.command, Sectioned):
        return None
    return profile(program, tenant).options.get(name)


def target_options(target: type[Target]) -> Decorator:
    """Give a command the options of a target; it gets them as ``target=``."""
    return gathering("target", target)


def gathering(name: str, group: type[OptionGroup]) -> Decorator:
    """Give a command a group of options, which it gets as one object.

    Args:
        name: under which the command gets it.
        group: the class of the options.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapper(**values: Any) -> Any:
            made = group.of(values, click.get_current_context())
            for attribute in fields(group):
                values.pop(attribute.name, None)
            return command(**{name: made}, **values)

        return with_options(group.options())(wrapper)

    return decorate


def with_options(options: Iterable[Decorator]) -> Decorator:
    """Give a command some options, in the order of the help."""

    def decorate(command: Command) -> Command:
        for option in reversed(tuple(options)):
            command = option(command)
        return command

    return decorate


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
