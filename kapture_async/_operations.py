"""The calls on customers, orders and FAQs, as data (SERVICE.md, sections 5 to 13).

Each body is wrapped as the samples show it. ``marks_success`` is False where the good reply was
seen without a ``status``, or was not seen at all and changes nothing; what such an answer must
look like besides, the room of its resource says.
"""

from __future__ import annotations

from typing import Final

from ._core.transport.request import MEBI, Operation

ADD_CUSTOMER: Final = Operation(
    name="customers.add",
    path="/ms/customer/customer/api/v1/add-update",
    effect="write",
    api="add_customer",
    wrap="object",
)
UPDATE_CUSTOMER: Final = Operation(
    name="customers.update",
    path="/ms/customer/customer/api/v1/add-update",
    effect="write",
    api="update_customer",
    wrap="object",
)
GET_CUSTOMER: Final = Operation(
    name="customers.get",
    path="/search-customer-by-customer-id.html",
    effect="read",
    api="get_customer",
    wrap="array",
    reply_cap=64 * MEBI,
    marks_success=False,  # the sample has no status; a live client reads one (section 7)
)
PULL_CUSTOMERS: Final = Operation(
    name="customers.pull",
    path="/select-customer-between-start-and-end-dates.html",
    effect="read",
    api="pull_customers",
    wrap="object",
    reply_cap=256 * MEBI,
    marks_success=False,  # no reply was seen (section 8)
)
ADD_ORDER: Final = Operation(
    name="orders.add",
    path="/ms/customer/order/api/v1/add-update",
    effect="write",
    api="add_order",
    wrap="object",
)
UPDATE_ORDER: Final = Operation(
    name="orders.update",
    path="/ms/customer/order/api/v1/add-update",
    effect="write",
    api="update_order",
    wrap="object",
)
PULL_ORDERS: Final = Operation(
    name="orders.pull",
    path="/ms/customer-search/order-search/api/v1/pull-internal",
    effect="read",
    api="pull_orders",
    wrap="object",
    reply_cap=256 * MEBI,
    marks_success=False,  # no reply was seen (section 11)
)
FAQ_CONTENTS: Final = Operation(
    name="faqs.contents",
    path="/get-faq-contents.html",
    effect="read",
    api="get_faqs",
    wrap="array",
    reply_cap=64 * MEBI,
    marks_success=False,  # the sample has no status (section 12)
)
FAQ_CATEGORIES: Final = Operation(
    name="faqs.categories",
    path="/get-all-faq-categories.html",
    effect="read",
    api="faq_categories",
    wrap="form",  # an empty one (section 13)
    reply_cap=64 * MEBI,
    marks_success=False,  # two scripts read it, none of them a status (section 13)
)

OPERATIONS: Final = (
    *(ADD_CUSTOMER, UPDATE_CUSTOMER, GET_CUSTOMER, PULL_CUSTOMERS),
    *(ADD_ORDER, UPDATE_ORDER, PULL_ORDERS, FAQ_CONTENTS, FAQ_CATEGORIES),
)
"""All of them."""
