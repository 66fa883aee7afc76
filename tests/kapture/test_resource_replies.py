"""What customers, orders and FAQs answer: the samples, and shapes nobody documented.

aioresponses answers in place of the service, as the emulator answers only what is documented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from aioresponses import aioresponses

from kapture_async import (
    AnswerMismatchError,
    AuthenticationError,
    HelpdeskError,
    KaptureClient,
    NotFoundError,
    RejectedError,
    RetryPolicy,
    ServerError,
    UnreadableReplyError,
    ValidationError,
)
from kapture_async._api import INDIA

HOST = "https://devapi.kapturecrm.com"
CUSTOMER_SAVE = f"{HOST}/ms/customer/customer/api/v1/add-update"
CUSTOMER_GET = f"{HOST}/search-customer-by-customer-id.html"
CUSTOMER_PULL = f"{HOST}/select-customer-between-start-and-end-dates.html"
ORDER_SAVE = f"{HOST}/ms/customer/order/api/v1/add-update"
ORDER_PULL = f"{HOST}/ms/customer-search/order-search/api/v1/pull-internal"
FAQ_CONTENTS = f"{HOST}/get-faq-contents.html"
FAQ_CATEGORIES = f"{HOST}/get-all-faq-categories.html"

Call = Callable[[KaptureClient], Any]
ONCE = RetryPolicy(attempts=1)

ADD_CUSTOMER: Call = lambda c: c.customers.add(customer_name="x", phone="1")  # noqa: E731
GET_CUSTOMER: Call = lambda c: c.customers.get(phone="1")  # noqa: E731
PULL_CUSTOMERS: Call = lambda c: c.customers.pull("2024-05-02", cm_id=1, limit="100").all()  # noqa: E731
ADD_ORDER: Call = lambda c: c.orders.add(customer={"customer_name": "x"})  # noqa: E731
UPDATE_ORDER: Call = lambda c: c.orders.update("1", id_at="order_id", order_info={"a": "b"})  # noqa: E731
PULL_ORDERS: Call = lambda c: c.orders.pull(1, name="x").all()  # noqa: E731
CONTENTS: Call = lambda c: c.faqs.contents("5247").all()  # noqa: E731
CATEGORIES: Call = lambda c: c.faqs.categories()  # noqa: E731

WRITES: dict[str, tuple[str, Call]] = {
    "customers.add": (CUSTOMER_SAVE, ADD_CUSTOMER),
    "customers.update": (CUSTOMER_SAVE, lambda c: c.customers.update("1", phone="2")),
    "orders.add": (ORDER_SAVE, ADD_ORDER),
    "orders.update": (ORDER_SAVE, UPDATE_ORDER),
}
READS: dict[str, tuple[str, Call]] = {
    "customers.get": (CUSTOMER_GET, GET_CUSTOMER),
    "customers.pull": (CUSTOMER_PULL, PULL_CUSTOMERS),
    "orders.pull": (ORDER_PULL, PULL_ORDERS),
    "faqs.contents": (FAQ_CONTENTS, CONTENTS),
    "faqs.categories": (FAQ_CATEGORIES, CATEGORIES),
}
ALL = WRITES | READS


@pytest.fixture
def mock() -> Iterator[aioresponses]:
    with aioresponses() as mock:
        yield mock


@pytest.fixture
async def client(mock: aioresponses) -> Any:
    async with KaptureClient("devapi", username="u", password="p", retry=ONCE) as client:
        yield client


# --- the samples --------------------------------------------------------------------------------


async def test_the_customer_of_the_sample(
    sample: Any, mock: aioresponses, client: KaptureClient
) -> None:
    body = sample("kapture/get_customer.response.partial")
    mock.post(CUSTOMER_GET, payload=body)
    customer = await client.customers.get("191121684")
    assert customer.customer_id == "191121684"
    assert customer.account_id == "1000298"
    assert customer.is_organization is True
    assert customer.is_channel_partner is False
    assert customer.name == "Example Customer"
    assert customer.created_at == datetime(2024, 5, 2, 16, 15, 42, tzinfo=INDIA)
    assert customer.status_code == "N"
    assert (customer.feedback, customer.enquiry_count) == ("0", 1)
    assert customer.creator_id == ""
    assert customer.problems == ()
    [person] = customer.contacts
    assert (person.contact_id, person.customer_id) == ("209432475", "191121684")
    assert person.name == "Example Customer"
    assert customer.details == body["Customer Details"]
    assert client._requestor.codec.encode(customer) == body
    assert client._requestor.codec.encode(person) == body["Customer Details"]["contacts"][0]
    # Every key of the sample has a name in the view.
    assert len(body["Customer Details"]) == 26
    assert customer.extra == {}
    assert "Example" not in repr([customer, person])


async def test_the_contents_of_the_sample(
    sample: Any, mock: aioresponses, client: KaptureClient
) -> None:
    body = sample("kapture/get_faq_content.response.partial")
    mock.post(FAQ_CONTENTS, payload=body)
    mock.post(FAQ_CONTENTS, payload={"message": {"contents": []}})
    [content] = await client.faqs.contents("5247").all()
    assert (content.content_id, content.title) == ("18909", "Example question?")
    assert content.detail == "Example answer."
    assert {"message": {"contents": [client._requestor.codec.encode(content)]}} == body


async def test_the_categories_of_the_sample(
    sample: Any, mock: aioresponses, client: KaptureClient
) -> None:
    body = sample("kapture/get_faq_category.response.wild.partial")
    mock.post(FAQ_CATEGORIES, payload=body)
    [category] = await client.faqs.categories()
    assert (category.name, category.parent_name) == ("Example category", "Example parent")
    assert {"message": {"category": [client._requestor.codec.encode(category)]}} == body


# --- replies to writes that were not seen: the mark of success decides --------------------------


@pytest.mark.parametrize(
    ("body", "customer_id"),
    [
        ({"status": "success"}, None),
        ({"status": "success", "kapture_customer_id": 7}, "7"),
        ({"status": "success", "customer_id": "7", "message": "ok"}, "7"),
        ({"Status": "Success", "Message": "ok", "Kapture Customer Id": "7"}, "7"),
    ],
)
async def test_a_saved_customer(
    mock: aioresponses, client: KaptureClient, body: Any, customer_id: str | None
) -> None:
    mock.post(CUSTOMER_SAVE, payload=body)
    saved = await ADD_CUSTOMER(client)
    assert saved.customer_id == customer_id
    assert saved.message in ("", "ok")
    assert saved.raw == body


ORDER = {"Enquiry Id": "3", "Order Id": "5", "kapture_customer_id": "7", "message": "m"}
ORDER |= {"order_id": "5", "enquiry_id": "3", "Kapture Customer Id": "7", "status": "success"}


@pytest.mark.parametrize("body", [ORDER, [ORDER]], ids=["object", "list of one"])
async def test_a_saved_order(mock: aioresponses, client: KaptureClient, body: Any) -> None:
    mock.post(ORDER_SAVE, payload=body)
    saved = await ADD_ORDER(client)
    assert (saved.order_id, saved.customer_id, saved.enquiry_id) == ("5", "7", "3")
    assert saved.message == "m"
    assert saved.raw == ORDER
    assert repr(saved) == "<SavedOrder order_id='5' customer_id='7'>"


async def test_two_orders_for_one_are_a_doubt(mock: aioresponses, client: KaptureClient) -> None:
    mock.post(ORDER_SAVE, payload=[ORDER, ORDER])
    with pytest.raises(UnreadableReplyError, match="list of 2"):
        await ADD_ORDER(client)


HOSTILE: list[Any] = [
    {},
    [],
    {"status": "queued"},
    {"status": None},
    {"status": True},
    {"message": "ok"},
    {"message": "Invalid Auth Key"},
    {"success": True},
    {"customer_id": "1"},
    {"Customer Details": None},
    {"Customer Details": [{"id": 1}]},
    {"Customer Details": {}},
    {"Customer Details": {"name": "x"}},
    {"Customer Details": {"id": 0}},
    {"message": {}},
    {"message": {"contents": None, "category": None}},
    {"message": {"contents": {"id": 1}, "category": {"id": 1}}},
    {"message": {"contents": [1], "category": ["x"]}},
    {"message": ["x"]},
    {"message": [{"a": 1}], "data": [{"b": 2}]},
    {"message": {"a": []}, "data": []},
    {"errors": []},
    ["x"],
    [[]],
    "success",
    7,
    None,
    True,
]
ROWS = ("customers.pull", "orders.pull")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("body", HOSTILE, ids=repr)
async def test_an_unknown_shape_is_never_success(
    mock: aioresponses, client: KaptureClient, name: str, body: Any
) -> None:
    url, call = ALL[name]
    mock.post(url, payload=body, repeat=True)
    if name in ROWS and body in ([], {"Customer Details": [{"id": 1}]}):
        assert len(await call(client)) == len(body)  # the only list is that of the rows
        return
    with pytest.raises(UnreadableReplyError) as caught:
        await call(client)
    assert caught.value.operation == name
    assert caught.value.outcome == "unknown"


FAILURES: dict[str, tuple[Any, type[HelpdeskError]]] = {
    "key": ({"message": "Invalid Auth Key", "status": "failed"}, AuthenticationError),
    "older key": ({"Message": "Invalid Auth Key", "Status": "failed"}, AuthenticationError),
    "fields": (
        {"message": "Name, Email Id, and Phone Number required", "status": "failed"},
        ValidationError,
    ),
    "order": ({"Message": "Order Creation Failed...", "Status": "failed"}, RejectedError),
    "broke": ({"message": "Internal error, try again later", "status": "failed"}, ServerError),
    "rows and failed": ({"message": [{"id": 1}], "status": "failed"}, RejectedError),
    "faqs and failed": (
        {"message": {"contents": [{"id": 1}], "category": []}, "status": "failed"},
        RejectedError,
    ),
    "customer and failed": (
        {"Customer Details": {"id": 1}, "status": "failed", "order_id": "1"},
        RejectedError,
    ),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("label", FAILURES)
async def test_a_failure_is_never_success(
    mock: aioresponses, client: KaptureClient, name: str, label: str
) -> None:
    url, call = ALL[name]
    body, expected = FAILURES[label]
    mock.post(url, payload=body, repeat=True)
    with pytest.raises(HelpdeskError) as caught:
        await call(client)
    assert type(caught.value) is expected


@pytest.mark.parametrize("status", [500, 302, 401])
@pytest.mark.parametrize("name", ALL)
async def test_success_with_a_status_of_failure_is_none(
    mock: aioresponses, client: KaptureClient, name: str, status: int
) -> None:
    url, call = ALL[name]
    body = {"status": "success", "message": [{"id": 1}], "Customer Details": {"id": 1}}
    mock.post(url, payload=body, status=status, repeat=True)
    with pytest.raises(UnreadableReplyError):
        await call(client)


async def test_a_change_that_names_another_one_is_a_doubt(
    mock: aioresponses, client: KaptureClient
) -> None:
    mock.post(CUSTOMER_SAVE, payload={"status": "success", "kapture_customer_id": "2"})
    with pytest.raises(AnswerMismatchError, match="another customer"):
        await client.customers.update("1", phone="2")
    mock.post(ORDER_SAVE, payload={"status": "success", "order_id": "2"})
    with pytest.raises(AnswerMismatchError, match="order '2'"):
        await UPDATE_ORDER(client)
    # What a reply calls customer_id may be an id of the caller's own.
    mock.post(CUSTOMER_SAVE, payload={"status": "success", "customer_id": "mine"})
    assert (await client.customers.update("1", phone="2")).customer_id == "mine"


# --- one customer: an object, or a text ---------------------------------------------------------

NOT_THERE = "Information given by you does not exist in our sytsem."


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"Customer Details": NOT_THERE, "status": "failed"}, NotFoundError),
        ({"Customer Details": NOT_THERE}, NotFoundError),
        ({"Customer Details": NOT_THERE, "status": "success"}, NotFoundError),
        ({"Customer Details": "Nobody of that name."}, NotFoundError),
        ({"Customer Details": "Invalid Auth Key"}, AuthenticationError),
        ({"Customer Details": "Internal error, try again later"}, ServerError),
    ],
)
async def test_a_text_in_place_of_the_customer(
    mock: aioresponses, client: KaptureClient, body: Any, expected: type[HelpdeskError]
) -> None:
    mock.post(CUSTOMER_GET, payload=body, repeat=True)
    with pytest.raises(HelpdeskError) as caught:
        await GET_CUSTOMER(client)
    assert type(caught.value) is expected
    assert caught.value.vendor_message == body["Customer Details"]


async def test_another_customer_is_no_answer(mock: aioresponses, client: KaptureClient) -> None:
    mock.post(CUSTOMER_GET, payload={"Customer Details": {"id": 2}})
    with pytest.raises(UnreadableReplyError, match="not requested"):
        await client.customers.get("1")


async def test_wrong_types_are_named_and_kept(mock: aioresponses, client: KaptureClient) -> None:
    details = {"id": 5, "name": 7, "generationDate": "some day", "contacts": {"id": 1}, "x": 1}
    body = {"Customer Details": details, "status": "success", "y": 2}
    mock.post(CUSTOMER_GET, payload=body)
    customer = await GET_CUSTOMER(client)
    assert (customer.name, customer.created_at, customer.contacts) == (None, None, [])
    assert len(customer.problems) == 3
    assert customer.extra == {"status": "success", "y": 2}
    assert customer.raw == body


# --- rows wherever they are ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ([{"id": 1}, {"id": 2}], ["1", "2"]),
        ({"status": "success", "message": [{"id": 1}]}, ["1"]),
        ({"response": [{"id": 1}], "errors": []}, ["1"]),
        ({"status": "success", "data": {"customers": [{"id": 1}], "total": 1}}, ["1"]),
        ({"code": 200, "success": True, "error": None, "data": [{"id": 1}]}, ["1"]),
        ({"customers": [{"id": 1}], "paging": {"size": 100}}, ["1"]),
        ({"customers": [], "paging": {"size": 100}}, []),
        ({"status": "success", "message": "List fetched", "totalCount": "0", "a": []}, []),
        ({"success": False, "code": 404, "message": "No customers found", "data": []}, []),
        ({"status": "success", "customers": []}, []),
        ({"status": "success", "message": "No Data found"}, []),
        ({"status": "failed", "message": "No Data found"}, []),
        ({"message": [{"ID": 1}]}, [None]),
    ],
)
async def test_rows_are_found_where_there_is_no_choice(
    mock: aioresponses, client: KaptureClient, body: Any, ids: list[str | None]
) -> None:
    mock.post(CUSTOMER_PULL, payload=body)
    rows = await PULL_CUSTOMERS(client)
    assert [row.customer_id for row in rows] == ids
    mock.post(ORDER_PULL, payload=body)
    assert [row.raw for row in await PULL_ORDERS(client)] == [row.raw for row in rows]


@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "error": "limit exceeded", "data": []},
        {"success": False, "data": []},
        {"code": 500, "data": []},
        {"code": 500, "data": [{"id": 1}]},
        {"error": "boom", "data": []},
        {"data": {"errors": ["boom"], "customers": []}},
        {"status": "success", "failed": ["boom"], "customers": [{"id": 1}]},
        {"message": "limit exceeded", "data": []},
        {"error": "boom", "message": "No data found"},
        {"customers": {"id": 1}, "filters": []},
        {"data": {"customers": {"id": 1}, "filters": []}},
        {"customers": {"id": 1}, "columns": [{"name": "phone"}]},
        {"message": "No data found", "customers": {"id": 1}},
        {"message": "No data found", "customers": [{"id": 1}]},
        {"customers": [], "columns": [{"name": "phone"}]},
        {"customers": [], "columns": []},
        {"totalCount": 500, "customers": []},
        {"data": {"totalCount": "500", "customers": []}},
        {"totalCount": 500, "message": "No data found"},
    ],
    ids=repr,
)
async def test_what_may_hide_rows_is_never_none_of_them(
    mock: aioresponses, client: KaptureClient, body: Any
) -> None:
    for answer in (body, {"status": "success"} | body):
        if answer is not body and ("code" in body or body.get("message") == "limit exceeded"):
            continue  # the mark of success says what these mean
        for name in ROWS:
            url, call = READS[name]
            mock.post(url, payload=answer)
            with pytest.raises(UnreadableReplyError) as caught:
                await call(client)
            assert caught.value.operation == name


async def test_rows_that_the_service_counts_and_does_not_give_are_told(
    mock: aioresponses, client: KaptureClient
) -> None:
    row, other = {"id": 1}, {"id": 2}
    orders = client.orders.pull(1, name="x")
    mock.post(ORDER_PULL, payload={"totalCount": 2, "response": [row]})
    assert (len(await orders.all()), orders.incomplete) == (1, ("",))
    pages = client.customers.pull("2024-05-02", "2024-05-03", cm_id=1, ahead=1)
    for rows in ([row], [other], [], [{"id": 3}, {"id": 4}], []):
        said = 3 if rows in ([row], [other]) else 2
        mock.post(CUSTOMER_PULL, payload={"totalCount": said, "response": rows})
    assert len(await pages.all()) == 4
    assert pages.incomplete == ("2024-05-02",)


@pytest.mark.parametrize(
    ("asked", "total", "came", "short"),
    [
        ({"limit": "2"}, 500, 2, False),
        ({"limit": "2"}, 500, 1, True),
        ({"limit": "2", "offset": "499"}, 500, 1, False),
        ({"offset": "500"}, 500, 0, False),
        ({"offset": 300}, 500, 99, True),
        ({"offset": 300}, 500, 100, False),
    ],
)
async def test_what_a_limit_leaves_out_is_not_short(
    mock: aioresponses, client: KaptureClient, asked: Any, total: int, came: int, short: bool
) -> None:
    pages = client.customers.pull("2024-05-02", cm_id=1, **asked)
    rows = [{"id": number} for number in range(1, came + 1)]
    mock.post(CUSTOMER_PULL, payload={"totalCount": total, "response": rows})
    assert len(await pages.all()) == came
    assert bool(pages.incomplete) is short


@pytest.mark.parametrize("words", ["Result too large", "You have no permission", "Done", ""])
async def test_a_text_that_does_not_say_none_is_no_empty_pull(
    mock: aioresponses, client: KaptureClient, words: str
) -> None:
    for url, call in (READS["customers.pull"], READS["orders.pull"], READS["faqs.contents"]):
        mock.post(url, payload={"status": "success", "message": words})
        with pytest.raises(UnreadableReplyError):
            await call(client)


async def test_no_faqs_said_in_words(mock: aioresponses, client: KaptureClient) -> None:
    for status in ("success", "failed"):
        for url, call in (READS["faqs.contents"], READS["faqs.categories"]):
            mock.post(url, payload={"status": status, "message": "No data found"})
            assert await call(client) == []


async def test_a_service_that_ignores_the_offset_ends_or_fails(
    mock: aioresponses, client: KaptureClient
) -> None:
    few = [{"id": number} for number in range(1, 100)]
    mock.post(CUSTOMER_PULL, payload={"message": few}, repeat=True)
    assert len(await client.customers.pull("2024-05-02", cm_id=1).all()) == 99
    mock.clear()
    mock.post(CUSTOMER_PULL, payload={"message": [*few, {"id": 100}]}, repeat=True)
    with pytest.raises(UnreadableReplyError, match="same customers at every offset"):
        await client.customers.pull("2024-05-02", cm_id=1).all()


async def test_faqs_that_never_move_on_are_an_error(
    mock: aioresponses, client: KaptureClient
) -> None:
    mock.post(FAQ_CONTENTS, payload={"message": {"contents": [{"id": 1}]}}, repeat=True)
    pages = client.faqs.contents("5247")
    with pytest.raises(UnreadableReplyError, match="same contents"):
        await pages.all()
