"""Customers: what is sent, and what comes back (SERVICE.md, sections 5 to 8).

Field names are the vendor's own, since they are plain; only ``sub_status`` and
``match_email_phone`` are camel case on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Self

from attrs import define, field, frozen

from .._core.codec import WireModel, wire
from .._core.errors import InvalidInputError
from .._validation import (
    Outgoing,
    check_names,
    checked_row,
    frozen_mapping,
    says_something,
    sent,
    wire_names,
)

BODY_PARTS = ("customer_info", "contact_info", "enquiry_info")
"""The documented objects of a customer's body."""


@frozen(kw_only=True, repr=False)
class Contact(Outgoing):
    """A person at a customer: one element of ``contact_info`` (SERVICE.md, section 5).

    Attributes:
        dob: date of birth; the vendor states no format, a date is sent as ``YYYY-MM-DD``.
        update, match_email_phone: not explained by the vendor; sent only if they are given.
        extra: further fields by their wire names.
    """

    contact_id: str | None = sent()
    title: str | None = sent()
    first_name: str | None = sent()
    last_name: str | None = sent()
    contact_person_name: str | None = sent()
    country_code: str | None = sent()
    contact_person_phone: str | None = sent()
    contact_person_email: str | None = sent()
    additional_contact_phone: str | None = sent()
    dob: str | date | None = sent("date")
    gender: str | None = sent()
    update: bool | None = sent("flag")
    match_email_phone: bool | None = sent("flag", key="matchEmailPhone")


@frozen(kw_only=True, repr=False)
class Enquiry(Outgoing):
    """An enquiry of a customer: ``enquiry_info`` (SERVICE.md, section 5).

    Attributes:
        next_follow_up_date: the vendor states no format; a date is sent as ``YYYY-MM-DD``, a
            datetime as ``YYYY-MM-DD HH:MM:SS`` in the client's time zone, text as it is.
        additional_fields, associate_fields: the tenant's own fields.
        update: not explained by the vendor; sent only if it is given.
        extra: further fields by their wire names.
    """

    enquiry_id: str | None = sent()
    assign_emp_name: str | None = sent()
    assign_emp_code: str | None = sent()
    assign_emp_email: str | None = sent()
    round_robin_key: str | None = sent()
    next_follow_up_date: str | date | datetime | None = sent("date")
    action: str | None = sent()
    sub_status: str | None = sent(key="subStatus")
    additional_fields: Mapping[str, Any] | None = sent("mapping")
    associate_fields: Mapping[str, Any] | None = sent("mapping")
    update: bool | None = sent("flag")
    remarks: str | None = sent()


def _contacts(value: Any) -> Any:
    """Contacts as a tuple; also from mappings by wire names, one or several."""
    if value is None or isinstance(value, (str, bytes)):
        return value
    one = isinstance(value, (Contact, Mapping))
    found = [value] if one else list(value) if isinstance(value, Iterable) else None
    if found is None:
        return value
    return tuple(Contact.from_mapping(c) if isinstance(c, Mapping) else c for c in found)


def _enquiry(value: Any) -> Any:
    return Enquiry.from_mapping(value) if isinstance(value, Mapping) else value


@frozen(kw_only=True, repr=False)
class CustomerFields(Outgoing):
    """The fields of a customer, none of them required.

    For changes to a customer, for the customer of an order, and for tenants whose own settings
    demand less than the vendor's (which fields are required is set per tenant: SERVICE.md,
    section 0). Its repr shows no value.

    Attributes:
        contacts: the persons, :class:`Contact` or mappings by wire names.
        enquiry: an :class:`Enquiry`, or a mapping by wire names.
        additional_fields, associate_fields: the tenant's own fields.
        update: not explained by the vendor; sent only if it is given.
        extra: further fields inside ``customer_info``, by their wire names.
        objects: further objects beside ``customer_info``, by their wire names: the tenant's
            associate objects.

    Raises:
        InvalidInputError: a field has the wrong type, or is given twice.
    """

    customer_name: str | None = sent()
    phone: str | None = sent()
    email_id: str | None = sent()
    locality: str | None = sent()
    city: str | None = sent()
    state: str | None = sent()
    country: str | None = sent()
    address: str | None = sent()
    type: str | None = sent()
    classification: str | None = sent()
    pincode: str | None = sent()
    customer_code: str | None = sent()
    customer_id: str | None = sent()
    customer_assign_emp_name: str | None = sent()
    customer_assign_emp_code: str | None = sent()
    customer_assign_emp_email: str | None = sent()
    zone: str | None = sent()
    customer_remarks: str | None = sent()
    individual: bool | None = sent("flag")
    organization: bool | None = sent("flag")
    channel_partner: bool | None = sent("flag")
    remarks: str | None = sent()
    primary_source: str | None = sent()
    secondary_source: str | None = sent()
    tertiary_source: str | None = sent()
    additional_fields: Mapping[str, Any] | None = sent("mapping")
    associate_fields: Mapping[str, Any] | None = sent("mapping")
    update: bool | None = sent("flag")
    contacts: tuple[Contact, ...] | None = field(default=None, converter=_contacts)
    enquiry: Enquiry | None = field(default=None, converter=_enquiry)
    objects: Mapping[str, Any] = field(factory=dict, converter=frozen_mapping, hash=False)

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> Self:
        """A customer from wire names, in either of two forms.

        A flat row has the fields of ``customer_info``, and perhaps ``contact_info`` and
        ``enquiry_info`` beside them; what is not documented becomes ``extra``. A row with
        ``customer_info`` is a whole body; other objects become
        ``objects``.

        Raises:
            InvalidInputError: as for the class, or it is not such a mapping.
        """
        row = checked_row(row, cls.__name__)
        whole = "customer_info" in row
        beside = {key: value for key, value in row.items() if key not in BODY_PARTS}
        info = checked_row(row["customer_info"], "customer_info") if whole else beside
        names = wire_names(cls)
        return cls(
            **{names[key]: value for key, value in info.items() if key in names},
            extra={key: value for key, value in info.items() if key not in names},
            contacts=row.get("contact_info"),
            enquiry=row.get("enquiry_info"),
            objects=beside if whole else {},
        )

    def to_wire(self) -> dict[str, Any]:
        """The whole body by its wire names, without what is ``None``; not yet encoded."""
        body: dict[str, Any] = {}
        if info := self._fields():
            body["customer_info"] = info
        if self.contacts is not None:
            body["contact_info"] = [contact.to_wire() for contact in self.contacts]
        if self.enquiry is not None:
            body["enquiry_info"] = self.enquiry.to_wire()
        body.update(self.objects)
        return body

    def _check(self) -> None:
        super()._check()
        _check_parts(self.contacts, self.enquiry)
        check_names("objects", self.objects, dict.fromkeys(BODY_PARTS))

    def _says(self, *names: str) -> bool:
        """Whether one of the fields holds anything, under any of its names."""
        return any(
            says_something(getattr(self, name, None)) or says_something(self.extra.get(name))
            for name in names
        )


def _check_parts(contacts: Any, enquiry: Any) -> None:
    if contacts is not None and not (
        isinstance(contacts, tuple) and all(isinstance(contact, Contact) for contact in contacts)
    ):
        raise InvalidInputError("contacts must be Contacts, or mappings by wire names")
    if enquiry is not None and not isinstance(enquiry, Enquiry):
        raise InvalidInputError("enquiry must be an Enquiry, or a mapping by wire names")


@frozen(kw_only=True, repr=False)
class NewCustomer(CustomerFields):
    """A customer to add: with a name, and a phone number or an e-mail address.

    This is the vendor's own rule (SERVICE.md, section 5). A ``customer_id`` is enough instead:
    then it is a change. For a tenant whose settings demand less, pass :class:`CustomerFields`.
    Its repr shows no value.

    Attributes:
        contacts, enquiry, additional_fields, associate_fields, update, extra, objects: as for
            :class:`CustomerFields`.

    Raises:
        InvalidInputError: the customer has no name or contact, a field has the wrong type, or is
            given twice.
    """

    def _check(self) -> None:
        super()._check()
        if self._says("customer_id"):
            return
        if not self._says("customer_name", "name"):
            raise InvalidInputError(
                "a customer needs a customer_name", fields={"customer_name": ("is missing",)}
            )
        if not self._says("phone", "email_id", "email"):
            text = "phone or email_id must be given with the name"
            raise InvalidInputError(
                "a customer needs a phone or an email_id beside the name",
                fields={"phone": (text,), "email_id": (text,)},
            )


# --- what comes back -----------------------------------------------------------------------------


@define(eq=False, repr=False)
class SavedCustomer(WireModel):
    """The reply to an added or changed customer.

    No sample of it was seen (SERVICE.md, sections 5 and 6): "object with customer id and more".
    The id is taken from the names that the vendor's other replies use; ``raw`` has all.
    """

    _wire_status: str | None = wire("status")
    _wire_message: str | None = wire("message", "words")
    _older_message: str | None = wire("Message", "words")
    _wire_id: str | None = wire("customer_id", "ident")
    _kapture_id: str | None = wire("kapture_customer_id", "ident")
    _older_id: str | None = wire("Kapture Customer Id", "ident")

    @property
    def customer_id(self) -> str | None:
        """Kapture's id of the customer, as text; ``None`` where the reply does not show it."""
        return self.kapture_customer_id or self._wire_id or None

    @property
    def kapture_customer_id(self) -> str | None:
        """The same, but only under a name that makes it Kapture's own id."""
        return self._kapture_id or self._older_id or None

    @property
    def contradicts_itself(self) -> bool:
        """Whether the reply has two Kapture ids that differ."""
        one, other = self._kapture_id, self._older_id
        return bool(one and other) and one != other

    @property
    def message(self) -> str:
        """The service's message."""
        return (self._wire_message or self._older_message or "").strip()

    def __repr__(self) -> str:
        return f"<SavedCustomer customer_id={self.customer_id!r}>"


@define(eq=False, repr=False)
class CustomerContact(WireModel):
    """A person of a customer, as Get Customer gives it (section 7: four keys were seen)."""

    contact_id: str | None = wire("id", "ident", shown=True)
    account_id: str | None = wire("cmId", "ident")
    customer_id: str | None = wire("leadId", "ident", shown=True)
    name: str | None = wire("contactPerson", "words")
    phone: str | None = wire("phone", "ident")


_DETAILS = "Customer Details"


@define(eq=False, repr=False)
class Customer(WireModel):
    """A customer, as Get Customer gives it (SERVICE.md, section 7)."""

    customer_id: str = wire("id", "ident", section=_DETAILS, shown=True, id_of="a customer")
    account_id: str | None = wire("cmId", "ident", section=_DETAILS)
    name: str | None = wire("name", "words", section=_DETAILS)
    phone: str | None = wire("phone", "ident", section=_DETAILS)
    customer_code: str | None = wire("customerCode", section=_DETAILS)
    is_organization: bool | None = wire("isOrganization", "flag", section=_DETAILS)
    is_channel_partner: bool | None = wire("isChannelPartner", "flag", section=_DETAILS)
    status_code: str | None = wire("currentStatus", section=_DETAILS)
    created_at: datetime | None = wire("generationDate", "moment", section=_DETAILS)
    website: str | None = wire("website", section=_DETAILS)
    address: str | None = wire("address", "words", section=_DETAILS)
    city: str | None = wire("city", "words", section=_DETAILS)
    state: str | None = wire("state", "words", section=_DETAILS)
    country: str | None = wire("country", "words", section=_DETAILS)
    pincode: str | None = wire("pinCode", "ident", section=_DETAILS)
    latitude: str | None = wire("latitude", section=_DETAILS)
    longitude: str | None = wire("longitude", section=_DETAILS)
    remarks: str | None = wire("remarks", "words", section=_DETAILS)
    feedback: str | None = wire("feedbackOnCustomer", section=_DETAILS)
    enquiry_count: int | None = wire("totalNoOfEnquiries", "integer", section=_DETAILS)
    creator_id: str | None = wire("creatorId", "ident", section=_DETAILS)
    channel_partner_id: str | None = wire("channelPartnerId", "ident", section=_DETAILS)
    rate_plan_id: str | None = wire("ratePlanId", "ident", section=_DETAILS)
    campaign_id: str | None = wire("campaignId", "ident", section=_DETAILS)
    campaign_item_id: str | None = wire("campaignItemId", "ident", section=_DETAILS)
    campaign_activity_id: str | None = wire("campaignActivityId", "ident", section=_DETAILS)
    _contact_list: list[Any] | None = wire("contacts", "items", section=_DETAILS)

    @property
    def contacts(self) -> list[CustomerContact]:
        """The persons; empty where the reply shows none."""
        found = self._contact_list or []
        return [self._codec.decode(c, CustomerContact) for c in found if isinstance(c, dict)]

    @property
    def details(self) -> Mapping[str, Any]:
        """The object under ``Customer Details`` as it came, every key."""
        details = self.raw[_DETAILS]
        assert isinstance(details, dict)  # checked where these are made
        return details


@define(eq=False, repr=False)
class CustomerRow(WireModel):
    """One row of a pull of customers.

    No sample of it was seen (SERVICE.md, section 8). The typed keys are those of Get Customer;
    where a row names them differently, they are ``None`` and ``raw`` has all.
    """

    customer_id: str | None = wire("id", "ident", shown=True)
    account_id: str | None = wire("cmId", "ident")
    name: str | None = wire("name", "words")
    phone: str | None = wire("phone", "ident")
    customer_code: str | None = wire("customerCode")
    status_code: str | None = wire("currentStatus")
    created_at: datetime | None = wire("generationDate", "moment")
