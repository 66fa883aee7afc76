"""The emulator's customers, orders, FAQs and older siblings behave as SERVICE.md says."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import KaptureEmulator

SAMPLES = Path(__file__).parent.parent / "samples" / "kapture"
SAVE = "/ms/customer/customer/api/v1/add-update"
GET = "/search-customer-by-customer-id.html"
PULL = "/select-customer-between-start-and-end-dates.html"
ORDER = "/ms/customer/order/api/v1/add-update"
ORDERS = "/ms/customer-search/order-search/api/v1/pull-internal"
CONTENTS = "/get-faq-contents.html"
CATEGORIES = "/get-all-faq-categories.html"
LEGACY = "/add-update-{}-from-other-source.html"
INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
CREATED = dt.datetime(2024, 5, 2, 16, 15, 42, tzinfo=INDIA)
PAIR = "Basic " + base64.b64encode(b"emulator-user:emulator-password").decode()

Call = Callable[..., Any]


@pytest.fixture
def emulator() -> Iterator[KaptureEmulator]:
    with KaptureEmulator(clock=CREATED.timestamp).in_thread() as emulator:
        yield emulator


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))


FAILURES = sample("failures")
NAMED = {"customer_info": {"customer_name": "x", "phone": "1"}}


def test_get_customer_answers_as_the_sample(emulator: KaptureEmulator, call: Call) -> None:
    expected = sample("get_customer.response.partial")["Customer Details"]
    number = call(emulator.url, SAVE, sample("add_customer.request")).json["kapture_customer_id"]
    assert number == str(expected["id"])
    found = call(emulator.url, GET, [{"kapture_customer_id": number}]).json["Customer Details"]
    assert list(found) == list(expected)
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in expected.items()
    }
    assert found["generationDate"] == expected["generationDate"] == "May 2, 2024 4:15:42 PM"
    assert found["contacts"][0].items() >= expected["contacts"][0].items()


def test_faqs_answer_as_the_samples(emulator: KaptureEmulator, call: Call) -> None:
    found = call(emulator.url, CONTENTS, sample("get_faq_content.request")).json
    assert found == sample("get_faq_content.response.partial")
    form = {"Content_Type": "multipart/form-data; boundary=b"}
    found = call(emulator.url, CATEGORIES, b"--b--\r\n", **form).json
    [row] = found["message"]["category"]
    expected = sample("get_faq_category.response.wild.partial")["message"]["category"][0]
    assert row == expected | {"id": 5247}
    assert call(emulator.url, CATEGORIES, {}).status == 415


@pytest.mark.parametrize(
    ("path", "body", "label"),
    [
        (SAVE, {"customer_info": {"customer_name": "x"}}, "add_or_update_customer.missing_fields"),
        (SAVE, {}, "add_or_update_customer.missing_fields"),
        (SAVE, [NAMED], "get_ticket_or_pull_ticket.bad_json"),
        (GET, [{"phone": "7"}], "get_customer.not_found"),
        (GET, [{}], "get_customer.not_found"),
        (GET, {"phone": "7"}, "get_ticket_or_pull_ticket.bad_json"),
        (PULL, [{}], "get_ticket_or_pull_ticket.bad_json"),
        (CONTENTS, {"category_id": "5247"}, "get_ticket_or_pull_ticket.bad_json"),
        (LEGACY.format("order"), [{}], "legacy_order.failed"),
        (LEGACY.format("enquiry"), [{}], "legacy_enquiry.missing_fields"),
    ],
)
def test_the_documented_failures(
    emulator: KaptureEmulator, call: Call, path: str, body: Any, label: str
) -> None:
    answer = call(emulator.url, path, body)
    assert (answer.status, answer.json) == (200, FAILURES[label])
    assert len(emulator.ledger) == 0


@pytest.mark.parametrize(
    ("path", "label"),
    [
        *((path, "any_endpoint.bad_auth") for path in (SAVE, GET, PULL, ORDER, ORDERS, CONTENTS)),
        (CATEGORIES, "any_endpoint.bad_auth"),
        (LEGACY.format("customer"), "legacy.bad_auth"),
        (LEGACY.format("order"), "legacy.bad_auth"),
    ],
)
def test_a_wrong_key(emulator: KaptureEmulator, call: Call, path: str, label: str) -> None:
    assert call(emulator.url, path, {}, Authorization="Basic x").json == FAILURES[label]


def test_orders_take_a_user_and_no_token(emulator: KaptureEmulator, call: Call) -> None:
    """Sections 9 to 11: real HTTP Basic; the token of the rest opens nothing."""
    assert call(emulator.url, ORDER, NAMED).json == FAILURES["any_endpoint.bad_auth"]
    assert call(emulator.url, ORDER, NAMED, Authorization=PAIR).json["status"] == "success"
    assert (
        call(emulator.url, SAVE, NAMED, Authorization=PAIR).json
        == FAILURES["any_endpoint.bad_auth"]
    )
    rows = call(emulator.url, ORDERS, {"cmId": 1, "name": "x"}, Authorization=PAIR).json["message"]
    assert len(rows) == 1
    for body in ({"cmId": 0, "name": "x"}, {"cmId": 1}, {"cmId": 1, "orderIds": "5"}):
        assert call(emulator.url, ORDERS, body, Authorization=PAIR).json["status"] == "failed"


def test_a_pull_has_100_rows_unless_it_says_otherwise(
    emulator: KaptureEmulator, call: Call
) -> None:
    for number in range(130):
        emulator.seed_customer(customer_name=f"c{number}", phone="1")
    body = {"cm_id": 1, "createStartDate": "2024-05-01", "createEndDate": "2024-05-02"}
    assert len(call(emulator.url, PULL, body).json["message"]) == 100
    assert len(call(emulator.url, PULL, body | {"offset": "100"}).json["message"]) == 30
    assert len(call(emulator.url, PULL, body | {"limit": "7"}).json["message"]) == 7
    assert call(emulator.url, PULL, body | {"offset": "130"}).json["message"] == "No Data found"
    assert (
        call(emulator.url, PULL, body | {"createEndDate": "2024-05-03"}).json["status"] == "failed"
    )


def test_the_older_order_says_its_ids_twice(emulator: KaptureEmulator, call: Call) -> None:
    [reply] = call(
        emulator.url, LEGACY.format("order"), sample("legacy_add_update_order.request")
    ).json
    assert reply["Order Id"] == reply["order_id"]
    assert reply["Kapture Customer Id"] == reply["kapture_customer_id"]
    assert all(type(value) is str for value in reply.values())
    assert [entry.operation for entry in emulator.ledger] == ["legacy.order"]
    order = emulator.order(reply["order_id"])
    assert order is not None
    assert order.info["payment_mode"] == "cash"


def test_an_older_customer_with_the_same_code_is_the_same(
    emulator: KaptureEmulator, call: Call
) -> None:
    body = sample("legacy_add_update_customer.request")
    first = call(emulator.url, LEGACY.format("customer"), body).json
    assert set(first) == {"Message", "Kapture Customer Id", "Status"}
    again = call(emulator.url, LEGACY.format("customer"), body).json
    assert again["Kapture Customer Id"] == first["Kapture Customer Id"]
    assert len(emulator.ledger) == 2
