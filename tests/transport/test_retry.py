"""The pure decision and the parser of waiting times."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapture_async import ConfigurationError, Phase, RetryPolicy
from kapture_async._core.transport.retry import Ending, GiveUp, RetryIn, decide, parse_retry_after

NOW = 1_700_000_000.0
POLICY = RetryPolicy(attempts=3, first_wait=1.0, longest_wait=8.0)


def verdict(
    effect: str, ending: Ending, attempt: int = 1, left: float = math.inf
) -> RetryIn | GiveUp:
    return decide(POLICY, effect, ending, attempt=attempt, time_left=left, rand=0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("effect", ["read", "write"])
def test_without_an_answer_a_write_goes_again_only_if_nothing_was_sent(
    effect: str, phase: Phase
) -> None:
    again = isinstance(verdict(effect, Ending(phase=phase)), RetryIn)
    assert again == (effect == "read" or phase < Phase.SENDING)


@pytest.mark.parametrize(
    ("status", "read_again", "write_again"),
    [
        (200, False, False),
        (301, False, False),
        (400, False, False),
        (401, False, False),
        (404, False, False),
        (408, True, False),
        (409, False, False),
        (429, True, True),
        (500, True, False),
        (501, False, False),
        (502, True, False),
        (503, True, False),
        (504, True, False),
    ],
)
def test_with_a_whole_answer_its_status_decides(
    status: int, read_again: bool, write_again: bool
) -> None:
    ending = Ending(phase=Phase.RECEIVING, status=status)
    assert isinstance(verdict("read", ending), RetryIn) == read_again
    assert isinstance(verdict("write", ending), RetryIn) == write_again


def test_attempts_are_bounded() -> None:
    ending = Ending(phase=Phase.CONNECTING)
    assert isinstance(verdict("write", ending, attempt=2), RetryIn)
    assert verdict("write", ending, attempt=3) == GiveUp("all attempts are used up")


def test_what_cannot_heal_is_not_tried_again() -> None:
    assert isinstance(verdict("read", Ending(phase=Phase.CONNECTING, permanent=True)), GiveUp)


def test_a_wait_longer_than_the_time_left_is_not_slept() -> None:
    ending = Ending(phase=Phase.RECEIVING, status=429, retry_after=60.0)
    assert verdict("write", ending, left=61.0) == RetryIn(60.0)
    assert isinstance(verdict("write", ending, left=59.0), GiveUp)
    assert isinstance(verdict("write", ending, left=60.0), GiveUp)  # nothing is left for the call


def test_the_server_names_the_wait_and_zero_does_not_mean_a_hot_loop() -> None:
    ending = Ending(phase=Phase.RECEIVING, status=429, retry_after=0.0)
    assert verdict("read", ending) == RetryIn(0.5)


def test_backoff_doubles_and_is_capped_and_spread() -> None:
    assert [POLICY.backoff(n, 0.0) for n in (1, 2, 3, 4, 5, 900)] == [0.5, 1, 2, 4, 4, 4]
    assert 0.99 < POLICY.backoff(1, 0.999) < 1.0
    assert RetryPolicy(attempts=1).attempts == 1


@pytest.mark.parametrize("bad", [{"attempts": 0}, {"first_wait": -1}, {"longest_wait": math.nan}])
def test_a_senseless_policy_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        RetryPolicy(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("   ", None),
        ("5", 5.0),
        (" 5 ", 5.0),
        ("1.5", 1.5),
        ("50, 47", 50.0),
        ("47,50", 50.0),
        ("-3", 0.0),
        ("0", 0.0),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("1e999", None),
        ("soon", None),
        ("٣", None),
        ("5 seconds", None),
        ("0x10", None),
        (",,,", None),
        ("Wed, 99 Foo 2099 00:00:00 GMT", None),
        ("99999999999999999999", 1e20),
    ],
)
def test_retry_after_texts(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


def test_retry_after_dates() -> None:
    later = format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True)
    earlier = format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True)
    assert parse_retry_after(later, NOW) == 90.0
    assert parse_retry_after(earlier, NOW) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 -0000",
        "Sun, 06 Nov 1994 09:49:37 +0100",
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/Los_Angeles"])
def test_retry_after_dates_are_utc(text: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        moment = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()
        assert parse_retry_after(text, moment - 90) == 90.0
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text())
def test_retry_after_survives_anything(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))
