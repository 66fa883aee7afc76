"""The options of the command line that only this service has."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, ClassVar

import click
from attrs import frozen

from .._auth import Credential, from_environment
from .._core.cli.options import (
    Decorator,
    Target,
    UserAndPassword,
    given_again,
    pairs,
)
from .._core.cli.pushoptions import PushOptions
from .._core.errors import ConfigurationError
from .._core.push.sources import Columns
from .._core.secret import Secret
from .._reference import TEXT, Field, ReferencePlace

EXTRA = click.option(
    "--extra",
    multiple=True,
    metavar="OBJECT.FIELD=VALUE",
    help="A field of an object that your tenant defines. Repeatable.",
)
extra_shape = click.option(
    "--extra-shape",
    type=click.Choice(["array", "object"]),
    default="array",
    show_default=True,
    help="How such an object is sent; most tenants want an array of one.",
)


set_option = click.option(
    "--set",
    "extra",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A further field of the request, by its wire name. Repeatable.",
)


@frozen(kw_only=True)
class KaptureTarget(Target):
    """A tenant, and a token or a user as the service has them."""

    prefix: ClassVar[str] = "KAPTURE"
    header_example: ClassVar[str] = "x-api-type=TICKET"
    own_options: ClassVar[tuple[Decorator, ...]] = (
        click.option("--subdomain", metavar="NAME", help="The tenant.  [KAPTURE_SUBDOMAIN]"),
        click.option(
            "--exclusive-end",
            is_flag=True,
            help="The end_date of a pull is not part of its window at this tenant.",
        ),
        click.option(
            "--says-none",
            multiple=True,
            metavar="TEXT",
            help="What this tenant answers where there are no rows. Repeatable.",
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
        click.option(
            "--page-size",
            type=click.IntRange(1),
            metavar="ROWS",
            help="Rows per page of a pull, for tenants with pagination.  [KAPTURE_PAGE_SIZE]",
        ),
        click.option(
            "--key-for",
            "keys_for",
            multiple=True,
            metavar="API=VARIABLE",
            help="The key for one API, such as pull_tickets, from an environment variable. "
            "Repeatable.  [KAPTURE_TOKEN_<API>]",
        ),
    )

    where: ClassVar[tuple[str, ...]] = ("base_url", "subdomain")

    subdomain: str | None = None
    exclusive_end: bool = False
    says_none: tuple[str, ...] = ()
    says_success: tuple[str, ...] = ()
    says_failed: tuple[str, ...] = ()
    page_size: int | None = None
    keys_for: tuple[str, ...] = ()

    def own_settings(self, *, may_prompt: bool) -> dict[str, Any]:
        """See :class:`Target`."""
        settings: dict[str, Any] = self._address()
        if self.exclusive_end:
            settings["exclusive_end"] = True
        for name in ("says_none", "says_success", "says_failed"):
            if texts := getattr(self, name):
                settings[name] = texts
        if size := self._page_size():
            settings["page_size"] = size
        keys = self._keys()
        if keys:
            settings["credentials"] = keys
            if not (self.token or self.token_file or self.username) and not (
                self.variable(self.token_name) or self.variable("USERNAME")
            ):
                return settings  # each API has its own
        who = self.credentials(may_prompt=may_prompt)
        if isinstance(who, UserAndPassword):
            return settings | {"username": who.username, "password": who.password}
        return settings | {"token": who}

    def own_arguments(self) -> list[str]:
        """See :class:`Target`."""
        again = given_again({"--subdomain": self.subdomain})
        if self.exclusive_end:
            again.append("--exclusive-end")
        for name in ("says_none", "says_success", "says_failed"):
            for text in getattr(self, name):
                again += [f"--{name.replace('_', '-')}", text]
        if self.page_size is not None:
            again += ["--page-size", str(self.page_size)]
        return [*again, *(part for pair in self.keys_for for part in ("--key-for", pair))]

    def _page_size(self) -> int | None:
        if self.page_size is not None:
            return self.page_size
        text = self.variable("PAGE_SIZE")
        if text is None:
            return None
        if not text.isdecimal() or not int(text):
            raise ConfigurationError("KAPTURE_PAGE_SIZE must be a whole number, 1 or more")
        return int(text)

    def _keys(self) -> dict[str, Credential]:
        """The keys of single APIs."""
        given: dict[str, Credential] = {}
        for api, variable in pairs(self.keys_for, option="--key-for").items():
            key = os.environ.get(variable)
            if not key:
                raise ConfigurationError(f"the variable {variable} for --key-for is not set")
            given[api] = Secret(key)
        return from_environment(given) or {}

    def _address(self) -> dict[str, str]:
        base_url, subdomain = self.base_url, self.subdomain
        if base_url and subdomain:
            raise ConfigurationError("give either --base-url or --subdomain, not both")
        if not base_url and not subdomain:
            base_url = self.variable("BASE_URL")
            subdomain = None if base_url else self.variable("SUBDOMAIN")
        if base_url:
            return {"base_url": base_url}
        if subdomain:
            return {"subdomain": subdomain}
        raise ConfigurationError(
            "it is not said where to send to",
            next_step="Give --subdomain or --base-url, or set KAPTURE_SUBDOMAIN or "
            "KAPTURE_BASE_URL.",
        )


@frozen(kw_only=True)
class KapturePushOptions(PushOptions):
    """With the columns that go into objects of the tenant's own."""

    reference_places: ClassVar[str] = "text|none|OBJECT.FIELD"
    own_options: ClassVar[tuple[Decorator, ...]] = (
        click.option(
            "--extra",
            multiple=True,
            metavar="OBJECT.FIELD=COLUMN",
            help="Send COLUMN in an object that your tenant defines. Repeatable.",
        ),
        extra_shape,
    )

    extra: tuple[str, ...]
    extra_shape: str

    @property
    def columns(self) -> Columns:
        """Which column goes where."""
        return Columns(
            fields=pairs(self.map, option="--map"),
            extra=extra_pairs(self.extra),
            extra_as_list=self.extra_shape == "array",
            key=self.key,
        )

    @property
    def place(self) -> ReferencePlace:
        """Where references travel."""
        if self.reference is None or self.reference in ("text", "none"):
            return None if self.reference == "none" else TEXT
        return Field(self.reference, as_list=self.extra_shape == "array")

    def own_arguments(self) -> list[str]:
        """See :class:`PushOptions`."""
        arguments = [part for value in self.extra for part in ("--extra", value)]
        return arguments + given_again(
            {"--extra-shape": "" if self.extra_shape == "array" else self.extra_shape}
        )


def extra_pairs(texts: Iterable[str]) -> dict[tuple[str, str], str]:
    """``OBJECT.FIELD=VALUE`` texts as a mapping; a field's name may hold dots itself."""
    found: dict[tuple[str, str], str] = {}
    for name, value in pairs(texts, option="--extra").items():
        outer, dot, inner = name.partition(".")
        if not dot or not outer or not inner:
            raise click.BadParameter(f"{name!r} is not OBJECT.FIELD", param_hint="--extra")
        found[outer, inner] = value
    return found


def objects_of(extra: Iterable[str], shape: str) -> dict[str, Any]:
    """The tenant's own objects, from the values of ``--extra`` and ``--extra-shape``."""
    return Columns(extra_as_list=shape == "array").objects(extra_pairs(extra))


def place_in(place: str) -> ReferencePlace:
    """Where references travel, from the word that a journal has for it."""
    if place.startswith("field "):
        return Field(place.removeprefix("field "))
    return None if place == "none" else TEXT
