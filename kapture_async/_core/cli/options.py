"""Options that many commands have: where to, as whom, and NAME=VALUE pairs."""

from __future__ import annotations

import functools
import os
import stat
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from ..errors import ConfigurationError
from ..secret import Secret
from .screen import warn

Command = Callable[..., Any]


@frozen(kw_only=True)
class Target:
    """Where requests go and as whom, as the options say; the environment fills the rest.

    Attributes:
        prefix: of the environment variables, such as ``"KAPTURE"``.
    """

    prefix: str
    base_url: str | None = None
    subdomain: str | None = None
    username: str | None = None
    token: Secret | None = None
    token_file: str | None = None
    headers: tuple[str, ...] = ()
    headers_env: tuple[str, ...] = ()
    proxy: Secret | None = None
    allow_http: bool = False

    def settings(self, *, may_prompt: bool = True) -> dict[str, Any]:
        """The arguments of a client: options first, then ``<PREFIX>_...`` variables.

        Raises:
            ConfigurationError: something is missing or contradicts itself.
        """
        return {
            **self._address(),
            **self._credentials(may_prompt),
            "headers": self._headers(),
            "proxy": self.proxy,
            "allow_http": self.allow_http,
        }

    def as_arguments(self) -> list[str]:
        """The options once more, without what may be secret."""
        given = {
            "--base-url": self.base_url,
            "--subdomain": self.subdomain,
            "--username": self.username,
            "--token-file": self.token_file,
        }
        again = [part for name, value in given.items() if value for part in (name, value)]
        for pair in self.headers_env:
            again += ["--header-env", pair]
        if self.proxy is not None and self.proxy.reveal() == "env":
            again += ["--proxy", "env"]
        return [*again, "--allow-http"] if self.allow_http else again

    def _headers(self) -> dict[str, Secret]:
        found = {
            name: Secret(value) for name, value in pairs(self.headers, option="--header").items()
        }
        for name, variable in pairs(self.headers_env, option="--header-env").items():
            if variable not in os.environ:
                raise ConfigurationError(f"the variable {variable} for --header-env is not set")
            found[name] = Secret(os.environ[variable])
        return found

    def _variable(self, name: str) -> str | None:
        return os.environ.get(f"{self.prefix}_{name}") or None

    def _address(self) -> dict[str, str]:
        base_url, subdomain = self.base_url, self.subdomain
        if base_url and subdomain:
            raise ConfigurationError("give either --base-url or --subdomain, not both")
        if not base_url and not subdomain:
            base_url = self._variable("BASE_URL")
            subdomain = None if base_url else self._variable("SUBDOMAIN")
        if base_url:
            return {"base_url": base_url}
        if subdomain:
            return {"subdomain": subdomain}
        raise ConfigurationError(
            "it is not said where to send to",
            next_step=f"Give --subdomain or --base-url, or set {self.prefix}_SUBDOMAIN or "
            f"{self.prefix}_BASE_URL.",
        )

    def _credentials(self, may_prompt: bool) -> dict[str, Secret]:
        if sum(map(bool, (self.token, self.token_file, self.username))) > 1:
            raise ConfigurationError("give one of --token, --token-file and --username")
        if self.token:
            warn(
                "--token is visible to other users of this machine and stays in the shell's "
                f"history; {self.prefix}_TOKEN or --token-file is not"
            )
            return {"token": self.token}
        if self.token_file:
            return {"token": _token_in(self.token_file)}
        username = self.username
        if not username:
            if token := self._variable("TOKEN"):
                return {"token": Secret(token)}
            username = self._variable("USERNAME")
        if not username:
            raise ConfigurationError(
                "there are no credentials",
                next_step=f"Set {self.prefix}_TOKEN, or give --token-file, or --username.",
            )
        password = self._variable("PASSWORD")
        if not password and may_prompt and sys.stdin.isatty():
            password = click.prompt(f"Password of {username}", hide_input=True, err=True)
        if not password:
            raise ConfigurationError(
                "there is no password", next_step=f"Set {self.prefix}_PASSWORD."
            )
        return {"username": Secret(username), "password": Secret(password)}


def target_options(prefix: str) -> Callable[[Command], Command]:
    """Give a command the options of a target; it gets them as ``target=``."""
    options = (
        click.option("--base-url", metavar="URL", help=f"Whole address.  [{prefix}_BASE_URL]"),
        click.option("--subdomain", metavar="NAME", help=f"The tenant.  [{prefix}_SUBDOMAIN]"),
        click.option(
            "--username",
            metavar="NAME",
            help=f"Instead of a token; the password is prompted for.  [{prefix}_USERNAME, "
            f"{prefix}_PASSWORD]",
        ),
        click.option(
            "--token-file", metavar="FILE", help=f"File that holds the token.  [{prefix}_TOKEN]"
        ),
        click.option("--token", metavar="TOKEN", help="The token itself. Others can see it."),
        click.option(
            "--header",
            "headers",
            multiple=True,
            metavar="NAME=VALUE",
            help="An extra header, such as x-api-type=TICKET. Repeatable.",
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
    )

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapper(
            *,
            base_url: str | None,
            subdomain: str | None,
            username: str | None,
            token: str | None,
            token_file: str | None,
            headers: tuple[str, ...],
            headers_env: tuple[str, ...],
            proxy: str | None,
            allow_http: bool,
            **rest: Any,
        ) -> Any:
            target = Target(
                prefix=prefix,
                base_url=base_url,
                subdomain=subdomain,
                username=username,
                token=Secret.wrap(token),
                token_file=token_file,
                headers=headers,
                headers_env=headers_env,
                proxy=Secret.wrap(proxy),
                allow_http=allow_http,
            )
            return command(target=target, **rest)

        wrapped: Command = wrapper
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

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


def extra_pairs(texts: Iterable[str]) -> dict[tuple[str, str], str]:
    """``OBJECT.FIELD=VALUE`` texts as a mapping; a field's name may hold dots itself."""
    found: dict[tuple[str, str], str] = {}
    for name, value in pairs(texts, option="--extra").items():
        outer, dot, inner = name.partition(".")
        if not dot or not outer or not inner:
            raise click.BadParameter(f"{name!r} is not OBJECT.FIELD", param_hint="--extra")
        found[outer, inner] = value
    return found


extra_shape = click.option(
    "--extra-shape",
    type=click.Choice(["array", "object"]),
    default="array",
    show_default=True,
    help="How such an object is sent; most tenants want an array of one.",
)


def _token_in(path: str) -> Secret:
    file = Path(path)
    if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        warn(f"{path} can be read by others; chmod 600 it")
    try:
        token = file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        token = ""
    if not token:
        raise ConfigurationError(f"the token file {path} holds no token")
    return Secret(token)
