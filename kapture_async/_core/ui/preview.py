"""What is in a file, and what a push of it would do, row by row: columns to choose from, then the
plan with its findings beside the cells."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Any

from attrs import define, evolve, field, frozen

from ..cli.plan import Finding, Plan
from ..cli.push_options import PushOptions
from ..cli.service import Service
from ..cli.source_file import ADDED, opened, rows_of
from ..push.rows import Row

_SAMPLED = 50
_SAMPLES = 3
_FIRST = 25
_MARKED = 200
_CELL = 400


class _PlanStopped(Exception):
    """The plan is of no use any more."""


@frozen
class Head:
    """The columns of a file, each with the first texts that stand in it; and the sheet."""

    columns: Mapping[str, tuple[str, ...]]
    sheet: str | None = None


def head_of(options: PushOptions, service: Service) -> Head:
    """Read the columns of a file, whatever they are mapped to.

    Raises:
        InvalidInputError: the file cannot be read.
        click.UsageError: the options do not say enough to read it.
        OSError: likewise.
    """
    bare = evolve(options, map=(), set=(), date_format=(), key=None)
    plain = evolve(
        service,
        build=dict,
        check=lambda row: None,
        required=(),
        fills={},
        wire_fields=(),
        only_these=False,
    )
    with opened(options.file) as stream:
        rows = rows_of(stream, bare, plain, quiet=True)
        sheet: str | None = getattr(rows, "sheet", None)
        found = Counter(name for name in (*rows.used.values(), *rows.unused) if name)
    names = tuple(name for name, times in found.items() if times == 1 and name not in ADDED)
    samples: dict[str, list[str]] = {name: [] for name in names}
    with opened(options.file) as stream:
        named = evolve(plain, wire_fields=names)
        for row in islice(rows_of(stream, bare, named, quiet=True), _SAMPLED):
            for name, text in texts_in(row.value or {}).items():
                some = samples.setdefault(name, [])
                text = cut(text, 120)
                if text and len(some) < _SAMPLES and text not in some:
                    some.append(text)
    return Head({name: tuple(samples[name]) for name in names}, sheet)


@define
class PlannedRows:
    """The plan of a push, and the rows that are shown of it.

    Attributes:
        plan: its numbers; they grow while it is read.
        first: the first rows.
        marked: rows with something to look at.
        sample: the first row that can be sent.
        done: it was read to its end.
        stopped: have the reading stop.
    """

    plan: Plan = field(factory=Plan)
    first: list[dict[str, Any]] = field(factory=list)
    marked: list[dict[str, Any]] = field(factory=list)
    sample: dict[str, Any] | None = None
    used: dict[str, str] = field(factory=dict)
    unused: tuple[str, ...] = ()
    blank: int = 0
    done: bool = False
    stopped: bool = False

    def read(self, options: PushOptions, service: Service) -> None:
        """Read the file to its end; takes as long as a push would read.

        Raises:
            InvalidInputError: the header cannot be used with these options.
            JournalError: the journal is of another push.
            click.UsageError: the options do not say enough.
            OSError: the file cannot be read.
        """
        content: dict[str, Any] = {}

        def watch(row: Mapping[str, Any]) -> None:
            content.clear()
            content.update(row)
            self.plan.lint.look(row)

        def on_row(row: Row[Any], findings: list[Finding]) -> None:
            if self.stopped:
                raise _PlanStopped
            self._show(row, content, findings)
            content.clear()

        with opened(options.file) as stream:
            rows = rows_of(stream, options, service, watch, quiet=True)
            self.used, self.unused = dict(rows.used), rows.unused
            self.plan.read(rows, options, service, on_row)
            self.blank = rows.blank
        self.done = True

    def _show(self, row: Row[Any], content: dict[str, Any], findings: list[Finding]) -> None:
        bad = row.problem is not None
        shows = len(self.first) < _FIRST, len(self.marked) < _MARKED and (bad or findings)
        if not any(shows) and (bad or self.sample is not None):
            return
        fields: dict[str, list[str]] = {}
        for words, name in findings:
            fields.setdefault(name or "", []).append(_shown(words))
        if row.problem is not None:
            for name, said in row.problem.fields.items():
                fields.setdefault(name, []).extend(said)
        texts = texts_in(content or row.content or {})
        shown = {
            "line": row.line,
            "key": row.key if row.keyed else None,
            "cells": {name: cut(text, _CELL) for name, text in texts.items()},
            "problem": None if row.problem is None else row.problem.message,
            "findings": fields,
        }
        if shows[0]:
            self.first.append(shown)
        if shows[1]:
            self.marked.append(shown)
        if self.sample is None and not bad:
            self.sample = shown

    def as_json(self) -> dict[str, Any]:
        """The numbers, for the page."""
        plan = self.plan
        states: Mapping[str, int] = plan.states or {}
        return {
            "done": self.done,
            "rows": plan.rows,
            "blank": self.blank,
            "bad": plan.bad,
            "to_send": plan.to_send if self.done else None,
            "second": plan.second,
            "repeated": plan.repeated,
            "respelled": plan.keys.respelled,
            "changed": plan.keys.changed,
            "stops": plan.keys.stops,
            "there": states.get("accepted", 0),
            "rejected": states.get("rejected", 0),
            "doubt": sum(states.get(name, 0) for name in ("unknown", "ambiguous", "probable")),
            "unreadable": None if plan.unreadable is None else plan.unreadable.message,
            "used": self.used,
            "unused": list(self.unused),
            "sample": self.sample,
            "remarks": [
                {"field": remark.name, "words": _shown(remark.words), "rows": remark.rows,
                 "lines": remark.lines}
                for remark in plan.lint.remarks
            ]
            if self.done
            else [],
        }  # fmt: skip


def texts_in(content: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """The texts of a row by wire names, those inside objects by dotted ones."""
    found: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, Mapping):
            found |= texts_in(value, f"{before}{name}.")
        elif value is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            found[f"{before}{name}"] = text
    return found


def _shown(words: str) -> str:
    return words.replace("--encoding", "encoding")  # on the page it is no option


def cut(text: str, longest: int) -> str:
    """The text, cut if it is too long."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
