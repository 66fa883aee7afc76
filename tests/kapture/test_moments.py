"""Digits are epochs or compact dates by their number, and never the year 1712."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kapture_async._api import INDIA, codec_of, parse_moment
from kapture_async.tickets.models import TicketRow

NOON = datetime(2024, 4, 19, 10, 10, 10, tzinfo=INDIA)
SECONDS = int(NOON.timestamp())


@pytest.mark.parametrize(
    "value",
    [
        SECONDS * 1000,
        str(SECONDS * 1000),
        SECONDS,
        str(SECONDS),
        "20240419T101010",
        "20240419101010",
        20240419101010,
        "2024-04-19T10:10:10+05:30",
        " 2024-04-19 10:10:10 ",
    ],
)
def test_one_moment_in_every_style(value: Any) -> None:
    assert parse_moment(value, INDIA) == NOON


@pytest.mark.parametrize("value", ["20240419", 20240419])
def test_a_compact_day(value: Any) -> None:
    assert parse_moment(value, INDIA) == datetime(2024, 4, 19, tzinfo=INDIA)


@pytest.mark.parametrize("value", ["", " ", 0, "0", "0000-00-00", "0000-00-00 00:00:00", "0" * 8])
def test_no_date(value: Any) -> None:
    assert parse_moment(value, INDIA) is None


@pytest.mark.parametrize(
    "value",
    [
        *("20241399", "1712", 1712, 10**16, "9" * 13, "9" * 40, -(10**15), True),
        *("\u0662\u0660\u0662\u0664\u0660\u0664\u0661\u0669", "0000-01-00", 1.5),
    ],
)
def test_what_is_no_date_is_a_problem_and_no_wrong_year(value: Any) -> None:
    row = codec_of(INDIA).decode({"ticketId": "1", "date": value}, TicketRow)
    assert row.created_at is None
    assert row.problems == ("date: not a date in a known style",)


def test_the_zone_of_an_epoch_is_the_clients() -> None:
    moment = parse_moment(SECONDS, INDIA)
    assert moment is not None
    assert moment.astimezone(UTC) == NOON
    assert moment.utcoffset() == NOON.utcoffset()
