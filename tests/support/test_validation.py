"""Values on their way out: what passes, how it is written, and what is refused in which words."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support_async import InvalidInputError, Priority
from support_async._validation import (
    SUBJECT_CHARACTERS,
    checked_category,
    checked_code,
    checked_comment,
    checked_count,
    checked_id,
    checked_priority,
    checked_subject,
    checked_tags,
    checked_ticket,
)


class Grade(int, enum.Enum):
    HIGH = 3


class Word(enum.StrEnum):
    HIGH = "3"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (101, "101"),
        ("101", "101"),
        (" 101\n", "101"),
        ("0101", "101"),
        ("000", "0"),
        (10**30, str(10**30)),
        (Grade.HIGH, "3"),
        (Word.HIGH, "3"),
    ],
)
def test_what_is_an_id(value: Any, written: str) -> None:
    assert checked_id("x", value) == written
    assert type(checked_id("x", value)) is str
    for check in (checked_category, checked_ticket, checked_priority):
        assert check(value) == written


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "must be an id such as 101, not an empty text"),
        (" ", "must be an id such as 101, not an empty text"),
        ("high", "must be an id such as 101, not any other text"),
        ("1,2", "must be an id such as 101, not any other text"),
        ("+1", "must be an id such as 101, not any other text"),
        ("-1", "must be an id such as 101, not any other text"),
        ("1.0", "must be an id such as 101, not any other text"),
        ("1_0", "must be an id such as 101, not any other text"),
        ("٣", "must be an id such as 101, not any other text"),
        ("²", "must be an id such as 101, not any other text"),
        ("1\u200e", "must be an id such as 101, not any other text"),
        (-1, "must be an id such as 101, not a number below 0"),
        (1.0, "must be an id such as 101, not a fraction"),
        (float("nan"), "must be an id such as 101, not a fraction"),
        (True, "must be an id such as 101, not bool"),
        (None, "must be an id such as 101, not NoneType"),
        (b"1", "must be an id such as 101, not bytes"),
        ([1], "must be an id such as 101, not list"),
    ],
)
def test_what_is_no_id(value: Any, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        checked_id("ticket_id", value)
    assert caught.value.message == f"ticket_id {words}"
    assert caught.value.fields == {"ticket_id": (words,)}


@settings(max_examples=50)
@given(st.text() | st.text("0123456789 "))
def test_every_text_is_an_id_or_refused(text: str) -> None:
    stripped = text.strip()
    if stripped.isascii() and stripped.isdigit():
        assert checked_id("x", text) == str(int(stripped))
    else:
        with pytest.raises(InvalidInputError):
            checked_id("x", text)


def test_a_refused_value_is_not_shown() -> None:
    for check in (checked_ticket, checked_priority, lambda value: checked_tags([value])):
        with pytest.raises(InvalidInputError) as caught:
            check("canary")
        assert "canary" not in str(caught.value) + repr(caught.value.fields)


def test_a_code_is_called_a_code() -> None:
    with pytest.raises(InvalidInputError, match="status must be a code such as '1', not any"):
        checked_code("status", "open")
    assert checked_code("status", 99) == "99"  # a deployment may have further ones
    with pytest.raises(InvalidInputError, match="priority must be low, medium, high or a code"):
        checked_priority("urgent")


def test_a_priority_may_be_its_word() -> None:
    words = ("low", " Medium ", "HIGH", Priority.HIGH, "3", 3)
    assert [checked_priority(word) for word in words] == ["1", "2", "3", "3", "3", "3"]


def test_texts_are_not_changed() -> None:
    assert checked_comment(" a\r\n") == " a\r\n"
    assert checked_subject("  s ") == "  s "


@pytest.mark.parametrize("check", [checked_comment, checked_subject])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "is blank"),
        (" \t\r\n\u3000", "is blank"),
        (None, "must be text, not NoneType"),
        (7, "must be text, not int"),
        (b"x", "must be text, not bytes"),
    ],
)
def test_texts_that_are_none(check: Any, value: Any, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        check(value)


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), st.integers(0, 510))
def test_the_length_of_a_subject_counts_what_the_service_counts(ends: str, count: int) -> None:
    subject = ends + "\U0001f600" * count + ends
    length = len(subject.strip())
    if 0 < length <= SUBJECT_CHARACTERS:
        assert checked_subject(subject) == subject
    else:
        with pytest.raises(InvalidInputError, match="allowed" if length else "is blank"):
            checked_subject(subject)


def test_tags_once_each_and_in_order() -> None:
    assert checked_tags([3, "1", " 3 ", "03", 2]) == ("3", "1", "2")
    assert checked_tags(iter(("7",))) == ("7",)
    assert set(checked_tags({4, 5})) == {"4", "5"}


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ([], "tags is empty, and the service changes a ticket only together with its tags"),
        ("12", "tags must be a list of tag ids, not a single text"),
        (b"12", "tags must be a list of tag ids, not a single text"),
        (5, "tags must be a list of tag ids, not int"),
        (None, "tags must be a list of tag ids, not NoneType"),
        ([1, None], "tags must be an id such as 101, not NoneType"),
    ],
)
def test_tags_that_are_none(tags: Any, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        checked_tags(tags)
    assert list(caught.value.fields) == ["tags"]


def test_an_error_of_the_callers_own_iterator_stays_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        checked_tags(1 // n for n in (1, 0))


@pytest.mark.parametrize("value", [-1, True, "1", 1.0, None])
def test_counts_are_whole_numbers(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="offset must be a whole number of 0 or more"):
        checked_count("offset", value, least=0)
    assert checked_count("offset", 0, least=0) == 0


@pytest.mark.parametrize(
    "value",
    [10**100, 10**5000, "9" * 101, "9" * 5000, -(10**5000)],
    ids=["number", "long number", "text", "long text", "below 0"],
)
def test_ids_of_thousands_of_digits_are_refused(value: Any) -> None:
    """Python itself writes no number of more than 4,300 digits."""
    with pytest.raises(InvalidInputError) as caught:
        checked_id("ticket_id", value)
    assert len(str(caught.value)) < 200


def test_the_longest_ids_are_taken() -> None:
    assert checked_id("ticket_id", 10**100 - 1) == "9" * 100 == checked_id("ticket_id", "9" * 100)
