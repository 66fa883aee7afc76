"""What a row's content is like, in a number."""

from __future__ import annotations

import orjson
import pytest

from kapture_async._core.journal.reference import (
    COMMENT,
    EMOJI,
    MARKUP,
    OBJECTS,
    covers,
    lacking,
    length_of,
    strongest,
    traits_of,
)


def traits(**fields: object) -> int:
    return traits_of(orjson.dumps(fields))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"title": "plain"}, 0),
        ({"title": "naïve ₹ हिन्दी"}, 0),
        ({"title": "wave \U0001f44b"}, EMOJI),
        ({"title": "old \U00010300"}, EMOJI),
        ({"ticket_details": "<b>one</b>"}, MARKUP),
        ({"title": "1", "issue": {"id": "2"}}, OBJECTS),
        ({"title": "1", "issue": [{"id": "2"}]}, OBJECTS),
        ({"title": "{not an object}"}, 0),
        ({"title": "\U0001f44b <b>", "issue": {}}, EMOJI | MARKUP | OBJECTS),
        ({"comment": "done"}, COMMENT),
        ({"comment": ""}, 0),
        ({"comment": " \n\t"}, 0),
        ({"title": "comment"}, 0),
    ],
)
def test_kinds_of_content(fields: dict[str, object], expected: int) -> None:
    assert traits(**fields) == expected


def test_a_row_vouches_for_its_kind_and_for_what_is_shorter() -> None:
    plain, emoji, long = traits(t="a"), traits(t="\U0001f44b"), traits(t="a" * 3000)
    assert covers(plain, plain)
    assert covers(emoji, plain)
    assert covers(long, plain)
    assert not covers(plain, emoji)
    assert not covers(plain, long)
    assert not covers(emoji, long)
    assert not covers(long, emoji)
    assert covers(traits(t="a" * 2200), long)  # between the same powers of two
    assert not covers(traits(t="a" * 1900), long)
    assert covers(strongest(iter([emoji, long])), strongest(iter([long, emoji])))


def test_what_is_lacking_is_said() -> None:
    assert lacking(0, 0) == ""
    assert lacking(0, traits(t="\U0001f44b")) == "an emoji"
    assert lacking(0, traits(t="<b>" * 1000)) == "markup and 2,048 bytes or more"


@pytest.mark.parametrize("size", [1, 100, 127, 128, 129, 1000, 2047, 2048, 70_000])
def test_a_content_of_the_least_length_covers(size: int) -> None:
    wanted = traits_of(b"a" * size)
    assert covers(traits_of(b"a" * length_of(wanted)), wanted)
    if length_of(wanted):
        assert not covers(traits_of(b"a" * (length_of(wanted) - 1)), wanted)
