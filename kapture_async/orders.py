"""Orders: add, update, pull (SERVICE.md, sections 9 to 11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from attrs import define, field, frozen

from ._api import ADD_ORDER, PULL_ORDERS, UPDATE_ORDER
from ._core.arguments import Payload
from ._core.codec import WireModel, wire
from ._core.errors import InvalidInputError, RejectedError
from ._core.pull.pages import Pages
from ._core.requestor import ApiRequestor
from ._core.secret import Secret
from ._core.transport.request import Operation
from ._core.transport.settings import check_headers
from ._responses import Found, Listed, is_nothing_found, older_names, rows_in
from ._validation import (
    Outgoing,
    account_id,
    check_names,
    checked_id,
    checked_row,
    merge_extra,
    merge_given,
    says_something,
    sent,
)
from .customers.models import BODY_PARTS, CustomerFields

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
        default=None, converter=_products, hash=False
    )

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> Self:
        """An order from a whole body by wire names; undocumented fields become ``extra``.

        Raises:
            InvalidInputError: as for the class, or it is not a mapping.
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
    information". The ids are taken from the names that the older endpoint answers with;
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
        """Whether the reply has two order ids that differ."""
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
        """The service's message."""
        return (self._wire_message or self._older_message or "").strip()

    def __repr__(self) -> str:
        return f"<SavedOrder order_id={self.order_id!r} customer_id={self.customer_id!r}>"


@define(eq=False, repr=False)
class OrderRow(WireModel):
    """One row of a pull of orders.

    No sample of it was seen (SERVICE.md, section 11). The ids are taken from the names that
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


FILTERS = (
    *("name", "enquiryIds", "generationStartDate", "generationEndDate"),
    *("nextFollowupStartDate", "nextFollowupEndDate", "lastFollowupStartDate"),
    *("lastFollowupEndDate", "expectedClosureStartDate", "expectedClosureEndDate"),
    *("customerIds", "customer_Ids", "statusStr", "subStatusStr", "creatorOrAssignedIdStr"),
    *("assignToIdsStr", "creatorIdStr", "notAssignToIdsStr", "country", "city", "state"),
    *("leadPriorityStr", "secondarySourceId", "clientReferenceIds", "approvedIds"),
    *("pricingStatus", *(f"attr{number}" for number in range(1, 16))),
)
"""The filters of which the vendor's page wants at least one (section 11)."""


class Orders:
    """The orders of one tenant: ``client.orders``.

    The vendor's pages ask for a user name and a password here, where all other calls take a
    token: give ``credentials={"orders": (user, password)}`` to the client, or a client with
    ``username=`` and ``password=``. Without either every call here is a
    :class:`ConfigurationError`, and nothing is sent.
    """

    def __init__(self, caller: ApiRequestor) -> None:
        self._requestor = caller

    async def add(
        self,
        order: NewOrder | None = None,
        *,
        customer: CustomerFields | Mapping[str, Any] | None = None,
        order_info: Mapping[str, Any] | None = None,
        product_details: Iterable[Mapping[str, Any]] | Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> SavedOrder:
        """Add one order, given whole or by its parts (SERVICE.md, section 9).

        It is never sent again once it may have reached the service. What is in ``order_info``
        and ``product_details`` was not seen, so they are sent as they are given.

        Args:
            order: the order; then no part may be given.
            customer: whose order it is, with at least one field that says who that is.
            order_info: the order's own fields, by their wire names.
            product_details: the products: mappings by wire names, or one mapping.
            extra: further objects of the body, by their wire names.
            headers: headers of this call only.

        Returns:
            The service's answer. Its form was never seen, so the ids may be ``None`` although
            the order was added.

        Raises:
            ConfigurationError: no user name and password for orders were given; nothing was sent.
            InvalidInputError: the data cannot be sent as it is; nothing was sent.
            NotSentError: it never left this machine; safe to send again.
            RejectedError: the service refused it; no order was made.
            OutcomeUnknownError: the order may or may not exist; pull the customer's orders, do
                not send it again blindly.
        """
        parts = _parts(customer, order_info, product_details, extra)
        body = _new_body(_whole(order, parts))
        return await self._save(ADD_ORDER, body, check_headers(headers))

    async def update(
        self,
        order_id: str,
        order: NewOrder | None = None,
        *,
        id_at: str,
        customer: CustomerFields | Mapping[str, Any] | None = None,
        order_info: Mapping[str, Any] | None = None,
        product_details: Iterable[Mapping[str, Any]] | Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> SavedOrder:
        """Change one order (SERVICE.md, section 10).

        The vendor's page demands an ``order_id`` and its sample was not seen to the end, so
        where in the body it belongs is **not known**, and nothing is assumed: say it by
        ``id_at``. The ids that were seen stand in the object they belong to
        (``customer_info.customer_id``, ``enquiry_info.enquiry_id``); by that analogy, and by
        nothing else, it would be ``"order_info.order_id"``. Adding has the same address: an id
        at a place where the service does not look may well **add** an order. Try it with one
        order, and pull.

        Args:
            order_id: Kapture's id of the order.
            order: the changed order; then no part may be given.
            id_at: where the id goes in the body: names joined by points, such as
                ``"order_info.order_id"``, or one name for a field beside ``customer_info``.
            customer, order_info, product_details, extra: as for :meth:`add`; none is needed.
            headers: headers of this call only.

        Returns:
            The service's answer; its form was never seen.

        Raises:
            ConfigurationError: no user name and password for orders were given; nothing was sent.
            InvalidInputError: the data cannot be sent as it is, there is nothing to change, or
                another value stands where the id goes; nothing was sent.
            NotSentError: it never left this machine; safe to send again.
            RejectedError: the service refused it; nothing was changed.
            OutcomeUnknownError: it may or may not have been changed, or the answer names another
                order, which may have been added; pull to find out.
        """
        parts = _parts(customer, order_info, product_details, extra)
        number = checked_id(order_id, what="order")
        body = _changed_body(_whole(order, parts), id_at, number)
        return await self._save(UPDATE_ORDER, body, check_headers(headers), number)

    def pull(
        self,
        cm_id: int | str,
        *,
        name: str | None = None,
        phone: str | None = None,
        email: str | None = None,
        customer_ids: str | None = None,
        order_ids: str | None = None,
        erp_order_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> Pages[OrderRow]:
        """Pull orders by filters (SERVICE.md, section 11).

        It is one call: the vendor's page shows neither a limit nor an offset, so it is not known
        whether the service leaves orders out of a long list. ``incomplete`` of the pages is not
        empty where the reply counts more rows (``totalCount``) than it holds. The reply itself was
        never seen: the rows are taken from its only list of objects; a reply without one, or one
        that leaves a choice, is an error.

        Args:
            cm_id: the id of the tenant's account, above 0 (``cmId`` on the wire).
            name, phone, email, customer_ids, order_ids, erp_order_id: filters. The vendor wants
                at least one out of a list of filters, in which ``name`` and ``customer_ids``
                are, and ``phone``, ``email``, ``order_ids`` and ``erp_order_id`` are not.
            extra: further filters by their wire names, such as ``statusStr``, ``city`` or
                ``attr1``; ``viewId`` is in the vendor's sample and not explained.
            headers: headers of this call.

        Returns:
            An async iterator over the rows; all of them are one page.

        Raises:
            InvalidInputError: at once, if the account or a sufficient filter is missing.
            ConfigurationError: while iterating: no user name and password for orders were given.
            HelpdeskError: while iterating; being a read, it is safe to repeat.
        """
        given = Payload(
            name=name,
            phone=phone,
            email=email,
            customerIds=customer_ids,
            orderIds=order_ids,
            erpOrderId=erp_order_id,
        )
        body = Payload(cmId=_number(account_id("cm_id", cm_id)))
        merge_given(body, **given)
        merge_extra(body, extra)
        if not any(says_something(body.get(wanted)) for wanted in FILTERS):
            raise InvalidInputError(
                "the order API wants at least one filter out of its list, such as name, "
                "customer_ids, or by extra statusStr, city, enquiryIds or attr1; order_ids, "
                "phone and email are not in it"
            )
        checked = check_headers(headers)

        async def ask() -> Found[OrderRow]:
            codec = self._requestor.codec
            try:
                response = await self._requestor.call(PULL_ORDERS, body, headers=checked)
            except RejectedError as error:
                if is_nothing_found(error, self._requestor.words):
                    return [], 0
                raise
            rows, total = rows_in(response)
            return [codec.decode(row, OrderRow) for row in rows], total

        def fetch(_: str) -> Listed[OrderRow]:
            return Listed(ask())

        return Pages(
            [""],
            fetch,
            id_of=lambda row: row.order_id,
            ahead=1,
            of="orders",
            where=lambda _: "while pulling orders, which is one call",
        )

    # --- below: no public names ----------------------------------------------------------------

    async def _save(
        self,
        operation: Operation,
        body: Payload,
        headers: Mapping[str, Secret],
        changing: str | None = None,
    ) -> SavedOrder:
        response = await self._requestor.call(operation, body, headers=headers)
        found = response.body
        if isinstance(found, list):  # the older endpoint answers a list of one (section 9)
            if len(found) != 1:
                raise response.unreadable(f"the answer is a list of {len(found)} objects, not one")
            found = found[0]
        saved = self._requestor.codec.decode(older_names(found), SavedOrder)
        if saved.contradicts_itself:
            raise response.mismatch("the answer says success and gives two order ids that differ")
        if changing is not None and saved.order_id not in (None, changing):
            raise response.mismatch(
                f"the answer names order {saved.order_id!r}, not the changed one: it may "
                "have been added",
                saved.order_id,
            )
        return saved


def _parts(customer: Any, order_info: Any, product_details: Any, extra: Any) -> Payload:
    return Payload(
        customer=customer, order_info=order_info, product_details=product_details, extra=extra
    )


def _whole(order: NewOrder | None, parts: Payload) -> NewOrder:
    """An order that is given whole, or made of its parts; never both."""
    if order is None:
        return NewOrder(**parts)
    if any(part is not None for part in parts.values()):
        raise InvalidInputError("give either a whole order or its parts, not both")
    if not isinstance(order, NewOrder):
        raise InvalidInputError(f"an order must be a NewOrder, not {type(order).__name__}")
    return order


def _new_body(order: NewOrder) -> Payload:
    body = Payload(order.to_wire())
    if not any(map(says_something, body.get("customer_info", {}).values())):
        raise InvalidInputError(
            "an order needs a customer: at least one field that identifies it",
            fields={"customer": ("says nothing",)},
        )
    return body


def _changed_body(order: NewOrder, id_at: str, order_id: str) -> Payload:
    body = Payload(order.to_wire())
    if not body:
        raise InvalidInputError("there is nothing to change")
    place_id(body, id_at, order_id)
    return body


def place_id(body: dict[str, Any], place: str, order_id: str) -> None:
    """Put an order's id where the caller says it belongs.

    Raises:
        InvalidInputError: the place is invalid, or holds something else.
    """
    names = place.split(".") if isinstance(place, str) else []
    if not names or not all(name.strip() for name in names):
        raise InvalidInputError(
            "id_at must name a place in the body, such as 'order_info.order_id'"
        )
    *outer, last = names
    inside = body
    for name in outer:
        found = inside.get(name, {})
        if not isinstance(found, Mapping):
            raise InvalidInputError(f"id_at leads into {name!r}, which is not an object")
        inside[name] = inside = dict(found)
    there = inside.get(last)
    if there is not None and there not in ("", order_id):
        raise InvalidInputError("another value is already where id_at puts the order_id")
    inside[last] = order_id


def _number(value: int | str) -> int | str:
    """The sample has a number (section 11)."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
