"""The rule of what may be sent, alone."""

from __future__ import annotations

import pytest

from kapture_async import InvalidInputError
from kapture_async._core.journal.records import (
    DOUBTS,
    LATER,
    OUTCOMES,
    STATE_AFTER,
    VERDICTS,
    Counts,
    Identity,
    Job,
    Kind,
    State,
    action_for,
    check_identity,
    later_of,
)

SAME, MENDED = True, False
RULE = {
    (State.NOT_SENT, SAME): "send",
    (State.NOT_SENT, MENDED): "send",
    (State.REJECTED, SAME): "rejected",
    (State.REJECTED, MENDED): "send",
    (State.ACCEPTED, SAME): "done",
    (State.ACCEPTED, MENDED): "changed",
    (State.UNKNOWN, SAME): "doubt",
    (State.UNKNOWN, MENDED): "doubt",
    (State.AMBIGUOUS, SAME): "doubt",
    (State.AMBIGUOUS, MENDED): "doubt",
    (State.PROBABLE, SAME): "doubt",
    (State.PROBABLE, MENDED): "doubt",
    (State.REPLACED, SAME): "done",
    (State.REPLACED, MENDED): "done",
}


@pytest.mark.parametrize(("state", "same"), RULE)
@pytest.mark.parametrize("error", [None, "ValidationError", "ReplyTimeoutError"])
def test_what_to_do(state: State, same: bool, error: str | None) -> None:
    assert action_for(state, same=same, error=error) == RULE[state, same]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("error", sorted(LATER))
def test_a_refusal_that_says_nothing_of_the_row(state: State, error: str) -> None:
    expected = "send" if state is State.REJECTED else RULE[state, SAME]
    assert action_for(state, same=True, error=error) == expected
    assert action_for(state, same=True, error=error, again=frozenset()) == RULE[state, SAME]


@pytest.mark.parametrize("error", sorted(error for error in LATER if " " in error))
def test_a_refusal_that_counts_with_its_status_alone(error: str) -> None:
    name, status = error.split()

    def action(seen: int | None, again: frozenset[str] = LATER) -> str:
        return action_for(State.REJECTED, same=True, error=name, status=seen, again=again)

    assert action(int(status)) == "send"
    assert action(None) == action(400) == "rejected"
    # For an update, a 404 means that there is no such ticket.
    updated = action(int(status), later_of("tickets.update"))
    assert updated == ("rejected" if status == "404" else "send")
    assert later_of("tickets.add") == LATER


def test_the_rule_knows_all_states() -> None:
    assert {state for state, _ in RULE} == set(State)
    assert {kind.value for kind in Kind} == set(STATE_AFTER)
    assert set(STATE_AFTER.values()) == set(State)


def test_only_a_clear_word_ends_a_doubt() -> None:
    clear = {Kind.ACCEPTED, Kind.REJECTED, Kind.NOT_SENT, Kind.PRESENT, Kind.ABSENT}
    assert {kind for kind in Kind if STATE_AFTER[kind] not in DOUBTS} == clear | {Kind.REPLACED}
    assert set() == OUTCOMES & VERDICTS
    assert OUTCOMES | VERDICTS | {Kind.INTENT, Kind.REPLACED} == set(Kind)


def test_another_job() -> None:
    job = Job(service="a", operation="o", target="https://example.com", place="none", source="x")
    assert job.differences(Job(**{**_fields(job), "source": "y", "payloads": False})) == []
    for name in ("service", "operation", "target", "place", "keys", "shape"):
        (words,) = job.differences(Job(**{**_fields(job), name: "other"}))
        assert words.startswith(f"{name} is ")
        assert words.endswith("'other'")
    (words,) = job.differences(Job(**{**_fields(job), "shape": "x" * 1000}))
    assert len(words) < 200


def _fields(job: Job) -> dict[str, str | bool | None]:
    names = ("service", "operation", "target", "place", "keys", "shape", "payloads", "source")
    return {name: getattr(job, name) for name in names}


def test_counts() -> None:
    assert Counts(1, 2, 4, 8, 16, 32).rows == 63


def test_a_job_shows_no_source() -> None:
    job = Job(service="a", operation="o", target="t", place="none", source="secret", shape="secret")
    assert "secret" not in repr(job)


@pytest.mark.parametrize("key", ["", "\ud800", "a\udfffb", "a\0b"])
def test_keys_nobody_could_find_again(key: str) -> None:
    with pytest.raises(InvalidInputError, match="its key"):
        check_identity(Identity(key, bytes(16)))


@pytest.mark.parametrize("key", [None, "a", "Müller", "\U0001f600", " "])
def test_keys_that_are_fine(key: str | None) -> None:
    check_identity(Identity(key, bytes(16)))


def test_a_digest_of_another_length() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        check_identity(Identity("a", b"x"))
