"""The options that only this command line has."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import click
import orjson
from attrs import frozen

from .._api import base_url_of
from .._auth import APIS, ORDERS, Credential, from_environment
from .._core.cli.options import Decorator, Target, UserAndPassword, pairs
from .._core.errors import ConfigurationError, InvalidInputError
from .._core.push.sources.columns import with_objects
from .._core.secret import Secret

set_option: Decorator = click.option(
    "--set",
    "extra",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A further field, by its wire name; OBJECT.FIELD for one of an object that your tenant "
    "defines. Repeatable.",
)
object_shape: Decorator = click.option(
    "--object-shape",
    type=click.Choice(["array", "object"]),
    default="array",
    show_default=True,
    help="How an object that your tenant defines is sent; most want an array of one.",
)


@frozen(kw_only=True)
class KaptureTarget(Target):
    """A tenant, and a token or a user."""

    program: ClassVar[str] = "kapture-async"
    prefix: ClassVar[str] = "KAPTURE"
    header_example: ClassVar[str] = "x-api-type=TICKET"
    where: ClassVar[tuple[str, ...]] = ("base_url", "subdomain")
    saved: ClassVar[tuple[str, ...]] = (
        *(*Target.saved, "subdomain", "exclusive_end", "says_none", "says_success"),
        *("says_failed", "page_size", "keys_for", "time_zone"),
    )

    subdomain: str | None = None
    exclusive_end: bool = False
    says_none: tuple[str, ...] = ()
    says_success: tuple[str, ...] = ()
    says_failed: tuple[str, ...] = ()
    page_size: int | None = None
    keys_for: tuple[str, ...] = ()
    time_zone: str | None = None

    @classmethod
    def own_options(cls) -> tuple[Decorator, ...]:
        """See :class:`.Target`."""
        return (
            cls.with_variable("--subdomain", "SUBDOMAIN", metavar="NAME", help="The tenant."),
            click.option(
                "--exclusive-end",
                is_flag=True,
                help="At this tenant, the end_date of a pull is not part of its window.",
            ),
            click.option(
                "--says-none",
                multiple=True,
                metavar="TEXT",
                help="This tenant's answer when there are no rows. Repeatable.",
            ),
            click.option(
                "--says-success",
                multiple=True,
                metavar="STATUS",
                help="A status of this tenant that means success. Repeatable.",
            ),
            click.option(
                "--says-failed",
                multiple=True,
                metavar="STATUS",
                help="A status of this tenant that means failed. Repeatable.",
            ),
            cls.with_variable(
                "--page-size",
                "PAGE_SIZE",
                type=click.IntRange(1),
                metavar="ROWS",
                help="Rows per page of a pull, for tenants with pagination.",
            ),
            click.option(
                "--time-zone",
                metavar="NAME",
                help="Of the service's dates, such as Asia/Dubai.  [default: Asia/Kolkata]",
            ),
            click.option(
                "--key-for",
                "keys_for",
                multiple=True,
                metavar="API=VARIABLE",
                help="Take the key of one API, such as pull_tickets, from an environment "
                "variable. Repeatable.  [env var: KAPTURE_TOKEN_<API>]",
            ),
        )

    def own_settings(self, *, may_prompt: bool) -> dict[str, Any]:
        """See :class:`.Target`."""
        settings: dict[str, Any] = self.address()
        if self.exclusive_end:
            settings["exclusive_end"] = True
        for name in ("says_none", "says_success", "says_failed"):
            if texts := getattr(self, name):
                settings[name] = texts
        if size := self.page_size or self.environment.get("page_size"):
            settings["page_size"] = size
        if self.time_zone:
            settings["timezone"] = self.time_zone
        keys = self._keys()
        if keys:
            settings["credentials"] = keys
            general = self.environment.keys() & {"token", "username"}
            if self.tenant is not None:
                general = {"token", "password"}.intersection(self.tenant.names)
            if not (self.token or self.token_file or self.username or general):
                return settings  # each API has its own
        who = self.credentials(may_prompt=may_prompt)
        if isinstance(who, UserAndPassword):
            return settings | {"username": who.username, "password": who.password}
        return settings | {"token": who}

    @property
    def address_text(self) -> str:
        """See :class:`.Target`."""
        found = self.address()
        return str(base_url_of(found.get("subdomain"), found.get("base_url"), allow_http=True))

    def check_for_login(self, apis: tuple[str, ...]) -> None:
        """See :class:`.Target`."""
        super().check_for_login(())
        self.address()
        if unknown := [api for api in apis if api not in (*APIS, ORDERS)]:
            raise click.BadParameter(
                f"unknown API {unknown[0]!r}; they are {', '.join((*APIS, ORDERS))}",
                param_hint="--api",
            )

    def secrets_to_ask(self, apis: tuple[str, ...]) -> dict[str, str]:
        """See :class:`.Target`."""
        keys = {api: f"Key for {api}" for api in apis}
        return {**super().secrets_to_ask(apis), **keys}

    @property
    def credentials_from(self) -> str:
        """See :class:`.Target`."""
        if self.tenant is not None:
            return super().credentials_from
        keys = sorted(name for name in os.environ if name.startswith("KAPTURE_TOKEN_"))
        keys += list(pairs(self.keys_for, option="--key-for").values())
        if not keys:
            return super().credentials_from
        return f"the key of this API: one of {', '.join(keys)}, or {super().credentials_from}"

    def _keys(self) -> dict[str, Credential]:
        """The keys of single APIs."""
        given: dict[str, Credential] = {}
        for api, variable in pairs(self.keys_for, option="--key-for").items():
            key = os.environ.get(variable)
            if not key:
                raise ConfigurationError(f"the variable {variable} of --key-for is not set")
            given[api] = Secret(key)
        if self.tenant is not None:
            names = [name for name in self.tenant.names if name in (*APIS, ORDERS)]
            kept = {name: self.tenant.secret(name) for name in names}
            return {**{name: key for name, key in kept.items() if key}, **given}
        return from_environment(given) or {}

    def address(self) -> dict[str, str]:
        """Where the client sends to: options win over the environment.

        Raises:
            ConfigurationError: there is no address, or there are two.
        """
        if self.base_url and self.subdomain:
            raise ConfigurationError("give either --base-url or --subdomain, not both")
        given = {"base_url": self.base_url, "subdomain": self.subdomain}
        for source in (given, self.environment):
            for name in self.where:
                if value := source.get(name):
                    return {name: value}
        raise ConfigurationError(
            "no server address given",
            next_step="Use --subdomain or --base-url, or set KAPTURE_SUBDOMAIN or "
            "KAPTURE_BASE_URL.",
        )


def extra_of(fields: Iterable[str], shape: str) -> dict[str, Any]:
    """The further fields of ``--set``, with objects as ``--object-shape`` says."""
    return with_objects(pairs(fields, option="--set"), as_list=shape == "array")


# --- customers, orders, FAQs -----------------------------------------------------------------

_FLAGS = {"individual", "organization", "channel_partner", "update"}

body_option: Decorator = click.option(
    "--body",
    metavar="FILE.json",
    help="The whole body as a JSON object with the wire names; `-` is standard input.",
)
filter_option: Decorator = click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="NAME=TEXT",
    help="A further filter by its wire name, such as attr1=gold. Repeatable.",
)
cm_id_option: Decorator = click.option(
    "--cm-id", required=True, metavar="NUMBER", help="The id of the tenant's account."
)


def customer_fields_of(fields: Iterable[str]) -> dict[str, Any]:
    """The further fields of ``--set`` for a customer; the documented flags become true or false."""
    return with_flags(with_objects(pairs(fields, option="--set"), as_list=False))


def with_flags(content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a customer, with the documented flags as such.

    Raises:
        InvalidInputError: the text of one is neither true nor false.
    """
    found = dict(content)
    for name in _FLAGS.intersection(found):
        if isinstance(found[name], str):
            text = found[name].strip().lower()
            if text not in ("true", "false"):
                problem = "must be true or false"
                raise InvalidInputError(f"{name} {problem}", fields={name: (problem,)})
            found[name] = text == "true"
    return found


def filters_of(texts: Iterable[str]) -> dict[str, Any]:
    """``NAME=TEXT`` as a mapping."""
    return dict(pairs(texts, option="--filter"))


def body_of(path: str) -> dict[str, Any]:
    """The JSON object in a file, or on standard input.

    Raises:
        OSError: the file cannot be read.
        InvalidInputError: it does not hold one.
    """
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    name = "standard input" if path == "-" else path
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        problem = f"{name} is not JSON: {error.msg} in line {error.lineno}"
    else:
        if isinstance(body, list) and len(body) == 1:
            body = body[0]
        if isinstance(body, dict):
            return body
        problem = f"{name} does not hold a JSON object"
    raise InvalidInputError(problem)
