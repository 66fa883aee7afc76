"""The older siblings that live clients still call (sections 4, 5, 9 of SERVICE.md).

They take an array of one object with flat fields, and write ``Message`` and ``Status``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from .customers import CustomerEndpoints, EmulatedCustomer
from .endpoint import EndpointContext, Failed, in_array
from .orders import FAILED, OrderEndpoints
from .tickets import Json, text_of

CUSTOMER = "legacy.customer"
ORDER = "legacy.order"
ENQUIRY = "legacy.enquiry"
PULL = "legacy.pull"

CUSTOMER_PATH = "/add-update-customer-from-other-source.html"
ORDER_PATH = "/add-update-order-from-other-source.html"
ENQUIRY_PATH = "/add-update-enquiry-from-other-source.html"
PULL_PATH = "/select-ticket-between-start-and-end-dates.html"

NAMES: Mapping[str, str] = {"key": "Message", "mark": "Status"}
_MISSING = "Name, Email Id, and Phone Number, Or Enquiry Id required"
_CUSTOMER_FIELDS = (
    *("name", "phone", "email", "city", "country", "customer_code", "state", "type"),
    *("classification", "zone", "address", "primary_source", "remarks"),
)


def lower_case(body: Any) -> Any:
    """A reply with ``message`` and ``status`` as a live client's decoder needs them (new facts)."""
    if isinstance(body, list):
        return [lower_case(one) for one in body]
    if not isinstance(body, dict):
        return body
    lower = {"Message": "message", "Status": "status"}
    return {lower.get(name, name): value for name, value in body.items()}


class LegacyEndpoints:
    """The older endpoints over the same customers and orders."""

    def __init__(
        self, context: EndpointContext, customers: CustomerEndpoints, orders: OrderEndpoints
    ) -> None:
        self._context = context
        self._customers = customers
        self._orders = orders
        self._enquiries = 0

    def customer(self, body: Any) -> Json:
        """Add a customer, or change the one with the same ``customer_code`` (a decision: live
        clients send the same code again and again)."""
        payload = in_array(body, **NAMES)
        if not (text_of(payload.get("name")) or text_of(payload.get("phone"))):
            raise Failed("Name, Email Id, and Phone Number required", **NAMES)
        known = self._with(customer_code=text_of(payload.get("customer_code")))
        number = str(self._customers.next_id()) if known is None else str(known.id)
        self.record(CUSTOMER, number, payload)
        return {
            "Message": "Customer data pushed successfully.",
            "Kapture Customer Id": number,
            "Status": "Success",
        }

    def order(self, body: Any) -> list[Json]:
        """Add an order. The reply is a list of one object that says its ids twice."""
        payload = in_array(body, **NAMES)
        if not text_of(payload.get("customer_name")):
            raise Failed(FAILED, **NAMES)
        order_id = self._orders.next_id()
        self.record(ORDER, order_id, payload)
        customer_id = str(self._orders.orders[order_id].customer_id)
        return [
            {
                "Enquiry Id": "0",
                "Order Id": order_id,
                "kapture_customer_id": customer_id,
                "message": "Order has been created.",
                "order_id": order_id,
                "enquiry_id": "0",
                "Kapture Customer Id": customer_id,
                "status": "success",
            }
        ]

    def enquiry(self, body: Any) -> Json:
        """Add an enquiry. A second one of the same person is refused, its ids in prose."""
        payload = in_array(body, **NAMES)
        name, phone, email = (
            text_of(payload.get(field)) for field in ("customer_name", "phone", "email_id")
        )
        if not name or not (phone or email):
            raise Failed(_MISSING, **NAMES)
        known = self._with(email=email) or self._with(phone=phone)
        if known is not None and known.enquiries:
            contact = known.contacts[0]["id"]
            raise Failed(
                f"Lead already exists, Customer ID :{known.id}, Enquiry ID :1, "
                f"Contact ID : {contact}"
            )
        number = str(self._customers.next_id()) if known is None else str(known.id)
        self.record(ENQUIRY, number, payload)
        return {
            "message": "Enquiry has been created.",
            "Kapture Customer Id": number,
            "status": "success",
        }

    def record(self, operation: str, number: str, payload: Json) -> None:
        """Write into the ledger what is about to happen, and do it."""
        now = self._context.now()
        self._context.ledger.record(operation, number, payload, time_=now)
        self.keep(operation, number, payload, now)

    def keep(self, operation: str, number: str, payload: Json, now: float) -> None:
        """Let the customer or order be that a call of the past says."""
        if operation == CUSTOMER:
            fields = {name: payload[name] for name in _CUSTOMER_FIELDS if name in payload}
            fields["customer_name"] = fields.get("name", "")
            self._customers.keep(number, {"customer_info": fields}, now)
            return
        info = {name: payload.get(name) for name in ("customer_name", "phone", "email_id")}
        if operation == ENQUIRY:
            body = {"customer_info": info, "enquiry_info": dict(payload)}
            self._customers.keep(number, body, now)
            return
        flat = {k: v for k, v in payload.items() if k not in (*info, "product_details")}
        products = payload.get("product_details")
        parts = {"customer_info": info, "order_info": flat, "product_details": products}
        self._orders.keep(number, parts, now)

    def _with(self, **marks: str) -> EmulatedCustomer | None:
        names = {"email": ("email_id", "email")}
        for mark, sent in marks.items():
            for customer in self._customers.customers.values():
                if sent and customer.text(*names.get(mark, (mark,))) == sent:
                    return customer
        return None


def older_rows(pull: Callable[[Any], Json], body: Any) -> Json:
    """Return the reply of the older ticket pull (section 4, the older variant): all is text."""
    try:
        found = pull(in_array(body, **NAMES))
    except Failed as failure:
        raise Failed(str(failure), **NAMES) from None
    if isinstance(found["message"], list):
        found["message"] = [_older_row(orjson.loads(orjson.dumps(row))) for row in found["message"]]
    return found


def _older_row(row: Json) -> Json:
    older = {
        "sla status" if name == "slaStatus" else name: text_of(value)
        for name, value in row.items()
        if not isinstance(value, (dict, list))
    }
    for name, end in (("date", ":00"), ("taskEnddate", "")):
        if text := older[name]:
            older[name] = f"{text[6:10]}-{text[3:5]}-{text[:2]} {text[11:]}{end}"
    return (
        {"companyName": "", "customerName": "", "customerPhone": ""}
        | older
        | {
            "customerEmail": older["email"],
            "status": "success",
        }
    )
