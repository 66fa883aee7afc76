"""The emulator's orders (sections 9 to 11).

Of these endpoints no reply was seen, and of their requests not the part that is the order's own.
So the replies have the keys of the older endpoint; and an ``order_id`` is looked for at one place
alone, as any server would do: elsewhere it is no id, and the order is **added**.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import attrs

from .customers import CustomerEndpoints
from .endpoint import EndpointContext, Failed, bare, object_in
from .tickets import Json, text_of

ADD = "orders.add"
UPDATE = "orders.update"
PULL = "orders.pull"

SAVE_PATH = "/ms/customer/order/api/v1/add-update"
PULL_PATH = "/ms/customer-search/order-search/api/v1/pull-internal"

FAILED = "Order Creation Failed..."
_FIRST_ORDER = 5550001
_FILTERS = frozenset(
    {
        *("name", "enquiryIds", "customerIds", "customer_Ids", "statusStr", "subStatusStr"),
        *("generationStartDate", "generationEndDate", "nextFollowupStartDate"),
        *("nextFollowupEndDate", "lastFollowupStartDate", "lastFollowupEndDate"),
        *("expectedClosureStartDate", "expectedClosureEndDate", "creatorOrAssignedIdStr"),
        *("assignToIdsStr", "creatorIdStr", "notAssignToIdsStr", "country", "city", "state"),
        *("leadPriorityStr", "secondarySourceId", "clientReferenceIds", "approvedIds"),
        *("pricingStatus", *(f"attr{number}" for number in range(1, 16))),
    }
)


@attrs.define(eq=False)
class EmulatedOrder:
    """What the emulator knows of an order."""

    id: int
    customer_id: int
    created: float
    info: Json = attrs.field(factory=dict[str, Any], repr=False)
    products: Any = attrs.field(default=None, repr=False)
    objects: Json = attrs.field(factory=dict[str, Any], repr=False)


class OrderEndpoints:
    """All orders by id, and what their endpoints do."""

    def __init__(
        self, context: EndpointContext, customers: CustomerEndpoints, order_id_at: str
    ) -> None:
        self._context = context
        self._customers = customers
        self._id_at = order_id_at.split(".")
        self.orders: dict[str, EmulatedOrder] = {}
        self._ids = itertools.count(_FIRST_ORDER)

    # The endpoints.

    def save(self, body: Any) -> Json:
        """Add or change an order, and its customer with it."""
        payload = bare(body)
        info = object_in(payload, "customer_info")
        order_id = self._id_in(payload)
        customer_id = text_of(info.get("customer_id"))
        if customer_id and customer_id not in self._customers.customers:
            raise Failed(FAILED)
        if order_id and order_id not in self.orders:
            raise Failed(FAILED)  # not documented: the one failure that was seen
        if not order_id and not (customer_id or text_of(info.get("customer_name"))):
            raise Failed(FAILED)
        now = self._context.now()
        number = order_id or self.next_id()
        self._context.ledger.record(UPDATE if order_id else ADD, number, payload, time_=now)
        order = self.keep(number, payload, now)
        return {
            "order_id": number,
            "kapture_customer_id": str(order.customer_id),
            "enquiry_id": "",
            "message": "Order has been saved.",
            "status": "success",
        }

    def pull(self, body: Any) -> Json:
        """List those that match (section 11)."""
        payload = bare(body)
        account = payload.get("cmId")
        if not isinstance(account, int) or account <= 0:
            raise Failed("cmId is missing")  # the rule is documented, its words are not
        if not any(text_of(payload.get(name)) for name in _FILTERS):
            raise Failed("Invalid Json.")
        rows = [self._row(order) for order in self.orders.values()]
        return self._context.rows([row for row in rows if _matches(row, payload)])

    def keep(self, order_id: str, payload: Mapping[str, Any], now: float) -> EmulatedOrder:
        """Let an order be as an add or a change says."""
        info = object_in(payload, "customer_info")
        order = self.orders.get(order_id)
        if order is None:
            customer_id = text_of(info.get("customer_id")) or str(self._customers.next_id())
            order = self.orders[order_id] = EmulatedOrder(int(order_id), int(customer_id), now)
        known = ("customer_info", "contact_info", "enquiry_info")
        customer = {name: payload[name] for name in known if name in payload}
        self._customers.keep(str(order.customer_id), customer, now)
        order.info.update(object_in(payload, "order_info"))
        order.products = payload.get("product_details", order.products)
        rest = {*known, "order_info", "product_details"}
        order.objects.update({k: v for k, v in payload.items() if k not in rest})
        return order

    def next_id(self) -> str:
        """Return an id that no order has."""
        return next(str(number) for number in self._ids if str(number) not in self.orders)

    def _id_in(self, payload: Mapping[str, Any]) -> str:
        inside: Any = payload
        for name in self._id_at:
            inside = inside.get(name) if isinstance(inside, dict) else None
        return text_of(inside)

    def _row(self, order: EmulatedOrder) -> Json:
        customer = self._customers.customers[str(order.customer_id)]
        return {
            "order_id": str(order.id),
            "kapture_customer_id": str(order.customer_id),
            "name": customer.text("customer_name", "name"),
            "phone": customer.text("phone"),
            "email": customer.text("email_id", "email"),
            "order_info": order.info,
            "product_details": order.products,
        }


_COLUMNS = {
    "name": "name",
    "phone": "phone",
    "email": "email",
    "customerIds": "kapture_customer_id",
    "customer_Ids": "kapture_customer_id",
    "orderIds": "order_id",
}


def _matches(row: Json, payload: Mapping[str, Any]) -> bool:
    return all(
        not (sent := text_of(payload.get(name))) or row[column] in sent.split(",")
        for name, column in _COLUMNS.items()
    )
