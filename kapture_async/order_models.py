"""Orders: what is sent, and what comes back (SERVICE.md, sections 9 to 11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from attrs import define, field, frozen

from ._core.codec import WireModel, wire
from ._core.errors import InvalidInputError
from ._outgoing import Outgoing, check_names, checked_row, sent
from .customer_models import BODY_PARTS, CustomerFields

ORDER_PARTS = ("order_info", "product_details")
"""The objects of an order's body beside those of a customer's; only their names were seen."""


def _customer(value: Any) -> Any:
    return CustomerFields.from_mapping(value) if isinstance(value, Mapping) else value


def _products(value: Any) -> Any:
    """Products as a tuple of mappings; one mapping stays as it is, and is sent as it is."""
    if value is None or isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return value
    return tuple(value)


@frozen(kw_only=True, repr=False)
class NewOrder(Outgoing):
    """An order to add, or what an order shall become. Its repr shows no value.

    The vendor's page shows the part of the customer only. That ``order_info`` and
    ``product_details`` stand beside it is known from a client, what is in them is not: they are
    sent as they are given (SERVICE.md, section 9).

    Attributes:
        customer: whose order it is: a :class:`CustomerFields` or :class:`NewCustomer` with its
            contacts and its enquiry, or a mapping by wire names.
        order_info: the order's own fields, by their wire names.
        product_details: the products: mappings by wire names, sent as a list; or one mapping,
            sent as an object.
        extra: further objects of the body, by their wire names.

    Raises:
        InvalidInputError: a field has the wrong type, or is given twice.
    """

    customer: CustomerFields | None = field(default=None, converter=_customer)
    order_info: Mapping[str, Any] | None = sent("mapping")
    product_details: tuple[Mapping[str, Any], ...] | Mapping[str, Any] | None = field(
        default=None, converter=_products
    )

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> Self:
        """An order from a whole body by wire names; what is not documented becomes ``extra``.

        Raises:
            InvalidInputError: as the class itself, or it is no mapping.
        """
        row = checked_row(row, cls.__name__)
        customer = {key: row[key] for key in BODY_PARTS if key in row}
        if customer:
            customer.setdefault("customer_info", {})
        parts = {key: row[key] for key in ORDER_PARTS if key in row}
        known = (*BODY_PARTS, *ORDER_PARTS)
        extra = {key: value for key, value in row.items() if key not in known}
        return cls(customer=customer or None, extra=extra, **parts)

    def to_wire(self) -> dict[str, Any]:
        """The whole body by its wire names, without what is ``None``; not yet encoded."""
        body = {} if self.customer is None else self.customer.to_wire()
        if self.order_info is not None:
            body["order_info"] = dict(self.order_info)
        if isinstance(self.product_details, tuple):
            body["product_details"] = [dict(product) for product in self.product_details]
        elif self.product_details is not None:
            body["product_details"] = dict(self.product_details)
        body.update(self.extra)
        return body

    def _check(self) -> None:
        super()._check()
        customer: Any = self.customer
        if customer is not None and not isinstance(customer, CustomerFields):
            raise InvalidInputError("customer must be CustomerFields, or a mapping by wire names")
        products: Any = self.product_details
        listed = products if isinstance(products, tuple) else (products,)
        if products is not None and not all(isinstance(product, Mapping) for product in listed):
            raise InvalidInputError("product_details must be mappings by wire names")
        check_names("extra", self.extra, dict.fromkeys((*BODY_PARTS, *ORDER_PARTS)))
        if customer is not None:
            beside = dict.fromkeys((*ORDER_PARTS, *self.extra))
            check_names("the customer's objects", customer.objects, beside)


@define(eq=False, repr=False)
class SavedOrder(WireModel):
    """The reply to an added or changed order.

    No sample of it was seen (SERVICE.md, section 9): "customer ID, order ID and other
    information". The ids are looked for under the names that the older endpoint answers with;
    ``raw`` has all.
    """

    _wire_status: str | None = wire("status")
    _older_status: str | None = wire("Status")
    _wire_message: str | None = wire("message", "words")
    _older_message: str | None = wire("Message", "words")
    _order: str | None = wire("order_id", "ident")
    _older_order: str | None = wire("Order Id", "ident")
    _customer: str | None = wire("kapture_customer_id", "ident")
    _older_customer: str | None = wire("Kapture Customer Id", "ident")
    _wire_customer: str | None = wire("customer_id", "ident")
    _enquiry: str | None = wire("enquiry_id", "ident")
    _older_enquiry: str | None = wire("Enquiry Id", "ident")

    @property
    def order_id(self) -> str | None:
        """Kapture's id of the order, as text; ``None`` where the reply does not show it."""
        return self._order or self._older_order or None

    @property
    def contradicts_itself(self) -> bool:
        """Whether the reply gives two ids of the order that differ."""
        one, other = self._order, self._older_order
        return bool(one and other) and one != other

    @property
    def customer_id(self) -> str | None:
        """Kapture's id of the customer; ``None`` where the reply does not show it."""
        return self._customer or self._older_customer or self._wire_customer or None

    @property
    def enquiry_id(self) -> str | None:
        """Kapture's id of the enquiry; ``None`` where the reply does not show it."""
        return self._enquiry or self._older_enquiry or None

    @property
    def message(self) -> str:
        """What the service says it did."""
        return (self._wire_message or self._older_message or "").strip()

    def __repr__(self) -> str:
        return f"<SavedOrder order_id={self.order_id!r} customer_id={self.customer_id!r}>"


@define(eq=False, repr=False)
class OrderRow(WireModel):
    """One row of a pull of orders.

    No sample of it was seen (SERVICE.md, section 11). The ids are looked for under the names that
    the vendor's other replies use; ``raw`` has all.
    """

    _order: str | None = wire("order_id", "ident")
    _older_order: str | None = wire("Order Id", "ident")
    _customer: str | None = wire("kapture_customer_id", "ident")
    _wire_customer: str | None = wire("customer_id", "ident")

    @property
    def order_id(self) -> str | None:
        """Kapture's id of the order; ``None`` where the row does not show it."""
        return self._order or self._older_order or None

    @property
    def customer_id(self) -> str | None:
        """Kapture's id of the customer; ``None`` where the row does not show it."""
        return self._customer or self._wire_customer or None

    def __repr__(self) -> str:
        return f"<OrderRow order_id={self.order_id!r} customer_id={self.customer_id!r}>"
