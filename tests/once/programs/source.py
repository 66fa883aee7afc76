"""The rows of the kill tests: a child process pushes them, and the test knows what they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kapture_async import Row


def contents(count: int) -> Iterator[tuple[str, str | None]]:
    """What each row says, and its key. Every other row has none, and there is another like it."""
    for number in range(count):
        if number % 2:
            yield f"row {number}", f"key-{number}"
        else:
            yield f"pair {number // 4}", None


def kapture_rows(count: int) -> Iterator[Row[Mapping[str, str]]]:
    for content, key in contents(count):
        value = {"title": content, "ticket_details": f"It is about {content}.\r\n<b>&amp;</b>"}
        yield Row(value, key)


def support_rows(count: int) -> Iterator[Row[Mapping[str, str]]]:
    for content, key in contents(count):
        comment = f"It is about {content}.\n<b>&amp;</b>"
        value = {"subject": content, "comment": comment, "category": "3", "priority": "1"}
        yield Row(value, key)
