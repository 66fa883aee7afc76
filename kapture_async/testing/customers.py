"""The emulator's customers: what is kept of them, and the four endpoints (sections 5 to 8).

No reply of adding, changing or pulling was seen. Those here have the keys that the vendor's other
replies have for the same things, and no client should rely on more than the sheet says.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from .endpoint import EndpointContext, Failed, bare, in_array, india_day, object_in, whole_number
from .tickets import INDIA, Json, text_of

ADD = "customers.add"
UPDATE = "customers.update"
GET = "customers.get"
PULL = "customers.pull"

SAVE_PATH = "/ms/customer/customer/api/v1/add-update"
GET_PATH = "/search-customer-by-customer-id.html"
PULL_PATH = "/select-customer-between-start-and-end-dates.html"

ACCOUNT = 1000298
"""The account id of the samples."""

NOT_FOUND = "Information given by you does not exist in our sytsem."  # sic
MISSING = "Name, Email Id, and Phone Number required"
_FIRST_CUSTOMER = 191121684
_FIRST_CONTACT = 209432475
_PAGE = 100


@attrs.define(eq=False)
class EmulatedCustomer:
    """What the emulator knows of a customer: all that was ever sent, by its wire names."""

    id: int
    created: float
    info: Json = attrs.field(factory=dict[str, Any], repr=False)
    contacts: list[Json] = attrs.field(factory=list[Json], repr=False)
    enquiries: list[Json] = attrs.field(factory=list[Json], repr=False)
    objects: Json = attrs.field(factory=dict[str, Any], repr=False)

    def text(self, *names: str) -> str:
        """Return the first of these fields that holds something."""
        return next((text for name in names if (text := text_of(self.info.get(name)))), "")


class CustomerEndpoints:
    """All customers by id, and what their endpoints do."""

    def __init__(self, context: EndpointContext) -> None:
        self._context = context
        self.customers: dict[str, EmulatedCustomer] = {}
        self._ids = itertools.count(_FIRST_CUSTOMER)
        self._contact_ids = itertools.count(_FIRST_CONTACT)

    # The endpoints.

    def save(self, body: Any) -> Json:
        """Add or change: the customer is chosen by ``customer_info.customer_id`` (section 6)."""
        payload = bare(body)
        info = object_in(payload, "customer_info")
        customer_id = text_of(info.get("customer_id"))
        if customer_id and customer_id not in self.customers:
            raise Failed(NOT_FOUND)  # not documented for this endpoint: the words of section 7
        if not customer_id and not _is_named(info):
            raise Failed(MISSING)
        customer = self.record(UPDATE if customer_id else ADD, customer_id, payload)
        return {
            "message": "Customer data pushed successfully.",
            "kapture_customer_id": str(customer.id),
            "Kapture Customer Id": str(customer.id),
            "status": "success",
        }

    def get(self, body: Any) -> Json:
        """Find one by any of its marks; the text for "nobody" stands where the customer would."""
        payload = in_array(body)
        customer = self._found(payload)
        if customer is None:
            raise Failed(NOT_FOUND, key="Customer Details")
        # The sample has no status as far as it was seen; a live client reads one (section 7).
        return {"Customer Details": details_of(customer), "status": "success"}

    def pull(self, body: Any) -> Json:
        """List those created on some days, 100 at a time (section 8)."""
        payload = bare(body)
        texts = [text_of(payload.get(name)) for name in ("createStartDate", "createEndDate")]
        if not text_of(payload.get("cm_id")) or not all(texts):
            # No failure was seen for this endpoint; the words are those of the older ticket pull.
            raise Failed("either cm_id, createStartDate or createEndDate is null or blank")
        first, last = self._context.days(*texts)
        matching = (c for c in self._between(first, last) if _matches(c, payload))
        offset = whole_number(payload.get("offset")) or 0
        limit = self._context.limit(payload) or _PAGE
        chosen = itertools.islice(matching, offset, offset + limit)
        return self._context.rows([details_of(customer) for customer in chosen])

    # Used by other endpoints and by replays.

    def record(self, operation: str, customer_id: str, payload: Json) -> EmulatedCustomer:
        """Write into the ledger what is about to happen, and do it."""
        now = self._context.now()
        number = customer_id or str(self.next_id())
        self._context.ledger.record(operation, number, payload, time_=now)
        return self.keep(number, payload, now)

    def next_id(self) -> int:
        """Return an unused id."""
        return next(number for number in self._ids if str(number) not in self.customers)

    def keep(self, customer_id: str, payload: Mapping[str, Any], now: float) -> EmulatedCustomer:
        """Let a customer be as an add or a change says; what is empty changes nothing."""
        info = object_in(payload, "customer_info")
        customer = self.customers.get(customer_id)
        if customer is None:
            customer = self.customers[customer_id] = EmulatedCustomer(int(customer_id), now)
        customer.info.update({name: value for name, value in info.items() if value not in ("", {})})
        for contact in payload.get("contact_info") or ():
            self._keep_contact(customer, contact)
        if not customer.contacts:
            self._keep_contact(customer, {})
        if enquiry := object_in(payload, "enquiry_info"):
            customer.enquiries.append(enquiry)
        known = ("customer_info", "contact_info", "enquiry_info")
        customer.objects.update({k: v for k, v in payload.items() if k not in known})
        return customer

    def _keep_contact(self, customer: EmulatedCustomer, contact: Json) -> None:
        number = text_of(contact.get("contact_id"))
        for known in customer.contacts:
            if number and str(known["id"]) == number:
                known.update(contact)
                return
        customer.contacts.append({**contact, "id": next(self._contact_ids)})

    def _found(self, payload: Mapping[str, Any]) -> EmulatedCustomer | None:
        number = text_of(payload.get("kapture_customer_id"))
        if number:
            return self.customers.get(number)
        for customer in self.customers.values():
            for mark, names in _MARKS.items():
                if (sent := text_of(payload.get(mark))) and sent == customer.text(*names):
                    return customer
        return None

    def _between(self, first: dt.date, last: dt.date) -> Iterator[EmulatedCustomer]:
        for customer in self.customers.values():
            if first <= india_day(customer.created) <= last:
                yield customer


_MARKS = {
    "email_id": ("email_id", "email"),
    "phone": ("phone",),
    "customer_id": ("customer_code",),  # an id of the caller's own (section 7)
}
_FILTERS = {
    "name": ("customer_name", "name"),
    "phone": ("phone",),
    "email": ("email_id", "email"),
    "customerCode": ("customer_code",),
}


def _is_named(info: Mapping[str, Any]) -> bool:
    """Whether there is a name, and a phone number or an e-mail address (section 5, the notes)."""
    name = text_of(info.get("customer_name")) or text_of(info.get("name"))
    reached = (text_of(info.get(name)) for name in ("phone", "email_id", "email"))
    return bool(name.strip()) and any(text.strip() for text in reached)


def _matches(customer: EmulatedCustomer, payload: Mapping[str, Any]) -> bool:
    wanted = text_of(payload.get("customer_id"))
    if wanted and wanted != str(customer.id):
        return False
    if payload.get("isOrganisation") is True and not customer.info.get("organization"):
        return False
    return all(
        not (sent := text_of(payload.get(name))) or sent == customer.text(*names)
        for name, names in _FILTERS.items()
    )


def english_time(timestamp: float) -> str:
    """Return ``May 2, 2024 4:15:42 PM`` in India, the style of ``generationDate``."""
    moment = dt.datetime.fromtimestamp(timestamp, INDIA)
    return f"{moment:%b} {moment.day}, {moment.year} {moment.hour % 12 or 12}:{moment:%M:%S %p}"


def details_of(customer: EmulatedCustomer) -> Json:
    """Return the object under ``Customer Details`` (section 7), as far as its keys were seen."""
    name = customer.text("customer_name", "name")
    return {
        "id": customer.id,
        "cmId": ACCOUNT,
        "isOrganization": bool(customer.info.get("organization")),
        "name": name,
        "website": "",
        "address": customer.text("address") or " ",
        "state": customer.text("state"),
        "city": customer.text("city"),
        "country": customer.text("country"),
        "latitude": "",
        "longitude": "",
        "currentStatus": "N",
        "generationDate": english_time(customer.created),
        "creatorId": 0,
        "channelPartnerId": 0,
        "remarks": customer.text("remarks"),
        "ratePlanId": 0,
        "customerCode": customer.text("customer_code"),
        "isChannelPartner": bool(customer.info.get("channel_partner")),
        "pinCode": customer.text("pincode"),
        "campaignId": 0,
        "campaignItemId": 0,
        "campaignActivityId": 0,
        "totalNoOfEnquiries": len(customer.enquiries),
        "feedbackOnCustomer": "0",
        "contacts": [
            {
                "id": contact["id"],
                "cmId": ACCOUNT,
                "leadId": customer.id,
                "contactPerson": text_of(contact.get("contact_person_name")) or name,
                "phone": text_of(contact.get("contact_person_phone")) or customer.text("phone"),
            }
            for contact in customer.contacts
        ],
    }
