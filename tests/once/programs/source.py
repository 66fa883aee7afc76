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


LONG = "a long story of a printer that does not print, " * 60


def odd_rows(count: int) -> Iterator[Row[Mapping[str, object]]]:
    """Rows of the kinds that helpdesks lose, each with a title of its own; some without a key."""
    for number in range(count):
        title = f"row {number}"
        value: dict[str, object] = {
            "title": title,
            "ticket_details": f"It is about {title}.",
            "email_id": f"customer-{number}@example.com",
        }
        match number % 10:
            case 3:
                value["ticket_details"] = f"Hi \U0001f44b it is about {title}."
            case 5:
                value["ticket_details"] = f"{title}: {LONG}"
            case 7:
                value["ticket_details"] = f"<b>It is about {title}.</b>\n&amp; more"
            case 8:
                value["order"] = {"number": str(number), "note": "of a tenant's own"}
        yield Row(value, f"key-{number}" if number % 4 else None)
