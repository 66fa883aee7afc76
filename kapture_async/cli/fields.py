"""Fields and bodies as the command line takes them, for customers and orders."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import orjson

from .._core.cli.options import pairs
from .._core.errors import InvalidInputError

_FLAGS = {"individual", "organization", "channel_partner", "update"}

field_option = click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="FIELD=TEXT",
    help="A further field of customer_info by its wire name, such as city=Pune. Repeatable.",
)
body_option = click.option(
    "--body",
    metavar="FILE.json",
    help="A whole body as one JSON object, by the wire names; `-` is standard input.",
)
filter_option = click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="NAME=TEXT",
    help="A further filter by its wire name, such as attr1=gold. Repeatable.",
)
cm_id_option = click.option(
    "--cm-id", required=True, metavar="NUMBER", help="The id of the tenant's account."
)


def fields_of(texts: Iterable[str]) -> dict[str, Any]:
    """``FIELD=TEXT`` as a mapping; the documented flags become true or false."""
    found: dict[str, Any] = {}
    for name, value in pairs(texts, option="--field").items():
        if name not in _FLAGS:
            found[name] = value
        elif value in ("true", "false"):
            found[name] = value == "true"
        else:
            raise click.BadParameter(f"{name} is true or false", param_hint="--field")
    return found


def filters_of(texts: Iterable[str]) -> dict[str, Any]:
    """``NAME=TEXT`` as a mapping."""
    return dict(pairs(texts, option="--filter"))


def body_of(path: str) -> dict[str, Any]:
    """The JSON object in a file, or on standard input.

    Raises:
        OSError: the file cannot be read.
        InvalidInputError: it holds something else.
    """
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    name = "standard input" if path == "-" else path
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        problem = f"{name} is no JSON: {error.msg} in line {error.lineno}"
    else:
        if isinstance(body, list) and len(body) == 1:
            body = body[0]
        if isinstance(body, dict):
            return body
        problem = f"{name} holds no JSON object"
    raise InvalidInputError(problem)
