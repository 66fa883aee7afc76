"""Compares an async class with its twin by introspection, independently of the generator."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Generic, Protocol

from .docs import DocRules, dropped_of
from .names import PARAMETER_TYPES, WRAPPERS
from .source import module_name
from .table import read_table

_CLIENT_NAMES = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}


def introspect_table(pyproject: Path) -> list[str]:
    """:func:`introspect_drift` for every class of the table; the packages must be importable.

    Raises:
        GenerateError: the table cannot be read.
        ImportError: a source or a target cannot be imported.
    """
    problems = []
    for module in read_table(pyproject).modules:
        target = importlib.import_module(module_name(module.target))
        for entry in module.classes:
            source = importlib.import_module(module_name(entry.source))
            problems += introspect_drift(
                getattr(source, entry.async_name),
                getattr(target, entry.sync_name),
                twins=module.twins,
                drop=entry.drop,
                rename=module.rename,
                client=entry.kind == "client",
            )
    return problems


def introspect_drift(
    async_cls: type,
    sync_cls: type,
    *,
    twins: Mapping[str, str],
    drop: Collection[str] = (),
    rename: Mapping[str, str] | None = None,
    client: bool = False,
) -> list[str]:
    """What differs between an async class and its blocking twin.

    Every public member must have exactly one twin of the same parameters, defaults, types and
    docstring, and the other way round.

    Args:
        async_cls: the class the twin was made from.
        sync_cls: the twin.
        twins: async class names to sync class names.
        drop: parameters (``method.parameter``) and members the twin leaves out.
        rename: words that change in docstrings.
        client: whether it is a client; only there the constructor, the context manager and
            ``aclose`` are compared.

    Returns:
        One line for each difference; empty if there is none.
    """
    names = {**twins, **{name: wrapper.name for name, wrapper in WRAPPERS.items()}}
    docs = DocRules(rename or {}, names)
    mapped = _CLIENT_NAMES if client else {}
    here = {mapped.get(name, name): name for name in _public(async_cls, mapped, client=client)}
    here = {twin: name for twin, name in here.items() if name not in drop}
    there = set(_public(sync_cls, mapped.values(), client=client))
    where = sync_cls.__name__
    problems = [f"{where}.{name}: missing" for name in here.keys() - there]
    problems += [f"{where}.{name}: has no async original" for name in there - here.keys()]
    for twin in here.keys() & there:
        name = here[twin]
        original = inspect.getattr_static(async_cls, name, None)
        copy = inspect.getattr_static(sync_cls, twin)
        dropped = dropped_of(name, drop)
        for what in _differences(original, copy, dropped, names, docs):
            problems.append(f"{where}.{twin}: {what}")
    if _translated(async_cls, docs, dropped_of("__init__", drop)) != inspect.cleandoc(
        sync_cls.__doc__ or ""
    ):
        problems.append(f"{where}: another docstring")
    return sorted(problems)


def _public(cls: type, mapped: Collection[str], *, client: bool) -> list[str]:
    wanted = {*mapped, *({"__init__"} if client else ())}
    names: set[str] = set()
    for base in cls.__mro__:
        if base not in (object, Generic, Protocol):
            names.update(vars(base), inspect.get_annotations(base))
    return [name for name in names if name in wanted or not name.startswith("_")]


def _differences(
    original: object,
    copy: object,
    dropped: Collection[str],
    names: Mapping[str, str],
    docs: DocRules,
) -> Iterator[str]:
    if not isinstance(original, property | cached_property) and not callable(
        getattr(original, "__func__", original)
    ):
        # A plain attribute: its docstring is no object, and its type is seen by type checkers.
        if not isinstance(copy, property | cached_property):
            yield "must be a property"
        return
    if _kind(original) != _kind(copy):
        yield f"is a {_kind(copy)}, the original a {_kind(original)}"
        return
    first, second = _function(original), _function(copy)
    if inspect.iscoroutinefunction(second):
        yield "must not be async"
    if _translated(first, docs, dropped) != inspect.cleandoc(second.__doc__ or ""):
        yield "another docstring"
    theirs = [p for p in inspect.signature(first).parameters.values() if p.name not in dropped]
    ours = list(inspect.signature(second).parameters.values())
    if [p.name for p in theirs] != [p.name for p in ours]:
        yield f"other parameters: {[p.name for p in ours]}, not {[p.name for p in theirs]}"
        return
    types = {name: item.alias for name, item in PARAMETER_TYPES.items()}
    for a, b in zip(theirs, ours, strict=True):
        if (a.kind, a.default) != (b.kind, b.default):
            yield f"parameter {a.name}: {b}, not {a}"
        elif _renamed(a.annotation, types) != _annotation(b.annotation):
            yield f"parameter {a.name}: another type: {b}, not {a}"
    wanted = _renamed(inspect.signature(first).return_annotation, names)
    if wanted != _annotation(inspect.signature(second).return_annotation):
        yield f"another return type, not {wanted}"


def _kind(member: object) -> str:
    if isinstance(member, property | cached_property):
        return "property"
    return "classmethod" if isinstance(member, classmethod) else "method"


def _function(member: object) -> type:
    for attribute in ("fget", "func", "__func__"):
        member = getattr(member, attribute, member)
    return member  # type: ignore[return-value]  # only used as something with a signature


def _translated(thing: object, docs: DocRules, dropped: Collection[str]) -> str:
    try:
        return docs.translate(inspect.cleandoc(thing.__doc__ or "") + "\n", dropped).rstrip("\n")
    except ValueError as error:
        return f"({error})"


def _renamed(annotation: object, names: Mapping[str, str]) -> str:
    outer, bracket, rest = _annotation(annotation).partition("[")
    return names.get(outer, outer) + bracket + rest


def _annotation(annotation: object) -> str:
    # The sources postpone annotations, so that they are text; a long one may have been wrapped.
    return "".join(str(annotation).split()).replace(",]", "]")
