"""One tree of errors: complete, truthful, and it pickles and copies."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Iterator

import pytest

import kapture_async
import support_async
from kapture_async import (
    Attempt,
    HelpdeskError,
    NotSentError,
    OutcomeUnknownError,
    Phase,
    RejectedError,
)
from kapture_async._core import errors


def everything_below(cls: type[HelpdeskError]) -> Iterator[type[HelpdeskError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from everything_below(child)


ERRORS = sorted(set(everything_below(HelpdeskError)), key=lambda cls: cls.__name__)
ATTEMPT = Attempt(1, 1_700_000_000.0, 0.5, Phase.SENT, None, "reset")


def full(cls: type[HelpdeskError], effect: str = "write") -> HelpdeskError:
    return cls(
        "it went wrong",
        service="kapture",
        operation="tickets.add",
        effect=effect,  # type: ignore[arg-type]
        phase=Phase.SENT,
        status=429,
        attempts=(ATTEMPT, ATTEMPT),
        retry_after=7.0,
        vendor_message="No!",
        fields={"title": ("is missing",)},
    )


def test_every_exception_of_the_packages_is_in_the_tree() -> None:
    for package in (kapture_async, support_async):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            rooms = info.name.split(".")
            if {"__main__", "generate", "testing"} & set(rooms):
                continue  # programs, the tool that writes the sync clients, the test server
            try:
                module = importlib.import_module(info.name)
            except ImportError as error:
                if "the extra" not in str(error):
                    raise
                continue
            for name, cls in inspect.getmembers(module, inspect.isclass):
                if cls.__module__ != info.name or not issubclass(cls, BaseException):
                    continue
                private = name.startswith("_") or issubclass(cls, Warning)
                assert private or issubclass(cls, HelpdeskError), f"{info.name}.{name}"


def test_every_error_stands_in_the_modules_picture() -> None:
    assert errors.__doc__ is not None
    for cls in ERRORS:
        assert cls.__name__ in errors.__doc__


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_each_error_has_exactly_one_outcome(cls: type[HelpdeskError]) -> None:
    branches = [NotSentError, RejectedError, OutcomeUnknownError]
    if cls is not HelpdeskError:
        assert sum(issubclass(cls, branch) for branch in branches) == 1
        assert (
            cls.outcome
            == {
                NotSentError: "not_sent",
                RejectedError: "rejected",
                OutcomeUnknownError: "unknown",
            }[next(branch for branch in branches if issubclass(cls, branch))]
        )


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("effect", ["read", "write"])
def test_errors_pickle_and_copy_whole(cls: type[HelpdeskError], effect: str) -> None:
    error = full(cls, effect)
    error.add_note("a note")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is cls
        assert str(other) == str(error)
        assert repr(other) == repr(error)
        assert vars(other) == vars(error)
        assert other.__notes__ == ["a note"]


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_errors_tell_the_whole_story(cls: type[HelpdeskError]) -> None:
    text = str(full(cls))
    assert text.startswith("kapture tickets.add: it went wrong (HTTP 429")
    assert "2 attempts" in text
    assert "asked to wait 7 s" in text
    assert "'No!'" in text
    assert text.endswith(full(cls).next_step)
    assert full(cls).next_step.endswith(".")


def test_only_an_unknown_write_may_have_been_applied() -> None:
    for cls in ERRORS:
        assert full(cls, "write").may_have_been_applied == issubclass(cls, OutcomeUnknownError)
        assert not full(cls, "read").may_have_been_applied


def test_no_doubt_looks_like_a_passing_failure_to_a_retry_helper() -> None:
    for cls in ERRORS:
        if issubclass(cls, OutcomeUnknownError):
            assert not issubclass(cls, OSError), cls


@pytest.mark.parametrize("char", ["\n", "\r", "\x0b", "\x1b", "\x85", "\u2028", "\u2029", "\u202e"])
def test_an_error_is_one_line_whatever_it_quotes(char: str) -> None:
    error = errors.RejectedError(
        f"it says a{char}b",
        vendor_message=None,
        fields={f"na{char}me": (f"te{char}xt",)},
        next_step=f"Do c{char}d.",
    )
    for text in (str(error), repr(error)):
        assert char not in text
        assert "\\" in text
    error = errors.RejectedError("refused", vendor_message=f"wo{char}rds")
    assert char not in str(error)
