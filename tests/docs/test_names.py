"""Names in the prose of the guides are names of today: commands, options, arguments, classes."""

from __future__ import annotations

import builtins
import importlib
import inspect
import re
from typing import Any

import click
import pytest

import kapture_async
import kapture_async.events
import kapture_async.otel
import kapture_async.testing
import support_async
import support_async.testing

from .guides import GUIDES, ROOT

MODULES = (
    kapture_async,
    kapture_async.testing,
    kapture_async.events,
    kapture_async.otel,
    support_async,
    support_async.testing,
)
ELSEWHERE = {"FormData", "README", "SERVICE"}  # of other libraries, and of files


def commands(group: click.Command, path: str = "") -> dict[str, click.Command]:
    found = {path: group}
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            found |= commands(command, f"{path} {name}".strip())
    return found


def of(package: str) -> dict[str, click.Command]:
    main: Any = importlib.import_module(f"{package}.cli.app")
    return commands(main.commands)


KAPTURE, SUPPORT = of("kapture_async"), of("support_async")


def prose(guide: str) -> str:
    return (ROOT / guide).read_text("utf-8")


@pytest.mark.parametrize("guide", GUIDES)
def test_commands(guide: str) -> None:
    for program, known in (("kapture-async", KAPTURE), ("support-async", SUPPORT)):
        for command in re.findall(rf"\b{program} ([a-z][a-z-]*)\b", prose(guide)):
            assert command in known, f"{guide} speaks of {program} {command}"


@pytest.mark.parametrize("guide", GUIDES)
def test_options(guide: str) -> None:
    known = {
        option
        for command in [*KAPTURE.values(), *SUPPORT.values()]
        for parameter in command.params
        for option in parameter.opts
    } | {"--help"}
    text = re.sub(r"<!-- command.*?^```$", "", prose(guide), flags=re.M | re.S)  # pip's and uv's
    text = re.sub(r"`[^`\n]*\b(?:uv|pip|mypy|gunicorn) [^`\n]*`", "", text)
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text):
        assert option in known, f"{guide} speaks of {option}"


def arguments() -> set[str]:
    """Every argument and attribute that the packages offer."""
    names: set[str] = set()
    for module in MODULES:
        for name in dir(module):
            member = getattr(module, name)
            names |= {name}
            if callable(member):
                names |= set(vars(member)) if inspect.isclass(member) else set()
                functions = [member, *(vars(member).values() if inspect.isclass(member) else ())]
                for function in filter(callable, functions):
                    try:
                        names |= set(inspect.signature(function).parameters)
                    except (TypeError, ValueError):
                        continue
    return names


@pytest.mark.parametrize("guide", GUIDES)
def test_arguments(guide: str) -> None:
    known = arguments()
    for name in re.findall(r"`(\w+)=[^`\n]*`", prose(guide)):
        assert name in known or name.isupper(), f"{guide} speaks of {name}="


@pytest.mark.parametrize("guide", GUIDES)
def test_classes(guide: str) -> None:
    known = {name for module in MODULES for name in dir(module)} | set(dir(builtins)) | ELSEWHERE
    for name in re.findall(r"`([A-Z][a-z]\w+)(?:\.\w+|\(.*?\))?`", prose(guide)):
        assert name in known, f"{guide} speaks of {name}"
