"""One list of scenarios through both clients: equal results, errors and requests.

The sync client has no code of its own to test, so this replaces a second test suite.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from kapture_async import (
    KaptureClient,
    NewTicket,
    RetryPolicy,
    SyncKaptureClient,
    Timeout,
)
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

from ..scenarios import Do, plain, told_by_async, told_by_sync

START = datetime(2024, 4, 19, 8, 49, 11, tzinfo=UTC)


SCENARIOS: dict[str, Callable[[Do], Any]] = {
    "add by fields": lambda do: (
        do.call(
            do.tickets.add(title="Grüße", ticket_details="a\nb", email_id="user@example.com")
        ).raw
    ),
    "add whole": lambda do: do.call(do.tickets.add(NewTicket(title="x", extra={"f": [{}]}))).raw,
    "add bad": lambda do: do.call(do.tickets.add(title=" ")),
    "add with a lost answer": lambda do: do.call(
        do.tickets.add(title="x", headers=Fault("reset_after").headers())
    ),
    "add refused": lambda do: do.call(
        do.tickets.add(title="x", headers=Fault("failed", message="no").headers())
    ),
    "add told to wait for long": lambda do: do.call(
        do.tickets.add(title="x", headers=Fault("status", status=429, retry_after="99").headers())
    ),
    "add with a login page": lambda do: do.call(
        do.tickets.add(title="x", headers=Fault("login_html").headers())
    ),
    "silence": lambda do: do.call(
        do.copy(timeout=0.5).tickets.add(title="x", headers=Fault("silence_before").headers())
    ),
    "update": lambda do: (
        do.call(
            do.tickets.update(
                do.call(do.tickets.add(title="x")).ticket_id, sub_status="PS", comment="hi"
            )
        ).message
    ),
    "update nothing": lambda do: do.call(do.tickets.update("0", sub_status="PS")),
    "get": lambda do: do.call(do.tickets.get(do.call(do.tickets.add(title="x")).ticket_id)).raw,
    "get nothing": lambda do: do.call(do.tickets.get("0")),
    "get many": lambda do: (
        do.call(
            do.tickets.get_many(
                [do.call(do.tickets.add(title=f"t{n}")).ticket_id for n in range(3)] + ["0"]
            )
        ).missing
    ),
    "a read is asked again": lambda do: do.call(
        do.tickets.get("0", headers=Fault("close_before").headers())
    ),
    "pull": lambda do: (
        do.call(do.tickets.add(title="x")),
        [row.raw for row in do.rows(do.tickets.pull("2024-04-18", "2024-04-20", ahead=1))],
    )[1],
    "pull backwards": lambda do: do.rows(do.tickets.pull("2024-04-20", "2024-04-18")),
    "pull refused": lambda do: do.rows(
        do.tickets.pull("2024-04-18", headers=Fault("status", status=403).headers())
    ),
    "request": lambda do: do.call(
        do.client.request("/add-ticket-from-other-source.html/v.2.0", {"title": "raw"})
    ),
    "request nowhere": lambda do: do.call(do.client.request("/nowhere", {})),
    "customer": lambda do: [
        (saved := do.call(do.client.customers.add(customer_name="x", phone="1"))).raw,
        do.call(do.client.customers.update(saved.customer_id, email_id="a@example.com")).raw,
        do.call(do.client.customers.get(email_id="a@example.com")).raw,
        [row.raw for row in do.rows(do.client.customers.pull("2024-04-19", cm_id=1))],
    ],
    "customer bad": lambda do: do.call(do.client.customers.add(customer_name="x")),
    "customer not there": lambda do: do.call(do.client.customers.get("1")),
    "customer with a lost answer": lambda do: do.call(
        do.client.customers.add(
            customer_name="x", phone="1", headers=Fault("reset_after").headers()
        )
    ),
    "order": lambda do: [
        (saved := do.call(do.client.orders.add(customer={"customer_name": "x"}))).raw,
        do.call(
            do.client.orders.update(
                saved.order_id, order_info={"a": "b"}, id_at="order_info.order_id"
            )
        ).raw,
        [row.raw for row in do.rows(do.client.orders.pull(1, name="x"))],
    ],
    "order changed nowhere": lambda do: do.call(
        do.client.orders.update("1", order_info={"a": "b"}, id_at="order_info.order_id")
    ),
    "faqs": lambda do: [
        [row.raw for row in do.rows(do.client.faqs.contents("5247"))],
        [row.raw for row in do.call(do.client.faqs.categories())],
    ],
    "faqs refused": lambda do: do.rows(
        do.client.faqs.contents("5247", headers=Fault("status", status=403).headers())
    ),
    "push": lambda do: sorted(
        (outcome.index, outcome.name, outcome.key, type(getattr(outcome, "error", None)).__name__)
        for outcome in do.outcomes(
            do.tickets.push(
                [{"title": "a"}, {"title": ""}, NewTicket(title="c"), 5],
                key=lambda row: "k",
                max_concurrency=1,
            )
        )
    ),
    "push of one row": lambda do: do.outcomes(do.tickets.push({"title": "a"})),
    "push with a wrong key": lambda do: do.outcomes(
        do.copy(headers={"Authorization": "Basic wrong"}).tickets.push(
            [{"title": "a"}] * 10, give_up_after=1, max_concurrency=1
        )
    ),
}


SETTINGS: dict[str, Any] = {
    "timeout": Timeout(total=5.0),
    "retry": RetryPolicy(attempts=2, first_wait=0.001),
    "credentials": {"orders": ("emulator-user", "emulator-password")},
}


def new_emulator() -> KaptureEmulator:
    return KaptureEmulator(faults=FaultPlan(), clock=lambda: START.timestamp())


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_clients_tell_the_same_story(name: str) -> None:
    first, second = new_emulator(), new_emulator()
    one = told_by_async(
        SCENARIOS[name],
        first,
        lambda: KaptureClient(base_url=first.url, token=first.token, **SETTINGS),
    )
    other = told_by_sync(
        SCENARIOS[name],
        second,
        lambda: SyncKaptureClient(base_url=second.url, token=second.token, **SETTINGS),
    )
    assert plain(one) == plain(other)
