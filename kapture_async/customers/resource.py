"""Customers: add, update, get, pull, push."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from attrs import evolve

from .._api import (
    ADD_CUSTOMER,
    GET_CUSTOMER,
    PULL_CUSTOMERS,
    UPDATE_CUSTOMER,
    format_day,
    service_day,
)
from .._core.arguments import Payload, check_words
from .._core.errors import InvalidInputError, NotFoundError, RejectedError, UnreadableReplyError
from .._core.jsontext import dumps
from .._core.pull.arrow import ArrowStream
from .._core.pull.pages import LEARNED_LIMIT, Pages, days_between
from .._core.push.events import PushObserver
from .._core.push.operation import JournaledOperation, JournaledResource
from .._core.push.push import Push
from .._core.push.rows import Row, Source
from .._core.push.settings import PushSettings
from .._core.push.sources.arrow import as_rows
from .._core.reconcile.reconcile import ReconcileObserver
from .._core.reconcile.results import Reconciliation, Verification
from .._core.reconcile.verify import VerifyObserver
from .._core.requestor import ApiRequestor
from .._core.response import ResponseContext
from .._core.secret import Secret
from .._core.transport.request import Operation
from .._core.transport.settings import check_headers
from .._reference import TEXT, ReferencePlace, check_place
from .._responses import (
    PAGE,
    Found,
    Listed,
    is_nothing_found,
    older_names,
    refusal,
    rows_in,
    wants_limit,
)
from .._validation import (
    account_id,
    checked_id,
    merge_extra,
    merge_given,
    number_of,
    says_something,
    wire_names,
)
from .models import (
    Contact,
    Customer,
    CustomerFields,
    CustomerRow,
    Enquiry,
    NewCustomer,
    SavedCustomer,
)
from .push import added_customers

Contacts = Iterable[Contact | Mapping[str, Any]]
"""Persons of a customer, as :class:`Contact` or as mappings by wire names."""


class Customers(JournaledResource):
    """The customers of one tenant: ``client.customers``."""

    def __init__(self, caller: ApiRequestor) -> None:
        self._requestor = caller

    async def add(
        self,
        customer: CustomerFields | None = None,
        *,
        customer_name: str | None = None,
        phone: str | None = None,
        email_id: str | None = None,
        customer_code: str | None = None,
        contacts: Contacts | None = None,
        enquiry: Enquiry | Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> SavedCustomer:
        """Add one customer, given whole or by its fields (SERVICE.md, section 5).

        It is never sent again once it may have reached the service. The service calls this "add
        or update", and does not say how it recognizes a customer it already has.

        Args:
            customer: the customer; then no field may be given. A :class:`NewCustomer`
                needs a name, and a phone or an e-mail address; a bare :class:`CustomerFields`
                is sent as it is, for tenants whose settings require less.
            customer_name: the name.
            phone: the phone number, as text.
            email_id: the e-mail address.
            customer_code: your own code for the customer.
            contacts: the persons, :class:`Contact` or mappings by wire names.
            enquiry: an :class:`Enquiry`, or a mapping by wire names.
            extra: further fields of ``customer_info`` by their wire names, documented or not.
            headers: headers of this call only.

        Returns:
            The service's answer. Its form was never seen, so ``customer_id`` may be ``None``
            although the customer was added.

        Raises:
            InvalidInputError: the data cannot be sent as it is; nothing was sent.
            NotSentError: it never left this machine; safe to send again.
            RejectedError: the service refused it; no customer was made.
            OutcomeUnknownError: the customer may or may not exist; get it by its phone or
                e-mail address, do not send it again blindly.
        """
        given = Payload(
            customer_name=customer_name,
            phone=phone,
            email_id=email_id,
            customer_code=customer_code,
            contact_info=contacts,
            enquiry_info=enquiry,
            extra=extra,
        )
        whole = _one_of(customer, given, NewCustomer)
        headers = check_headers(headers)
        return await self._save(self._requestor, ADD_CUSTOMER, whole, headers)

    async def update(
        self,
        customer_id: str,
        changes: CustomerFields | None = None,
        *,
        customer_name: str | None = None,
        phone: str | None = None,
        email_id: str | None = None,
        customer_code: str | None = None,
        contacts: Contacts | None = None,
        enquiry: Enquiry | Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> SavedCustomer:
        """Change one customer (SERVICE.md, section 6). Only what is given is sent.

        Counts as a write: it is never sent again once it may have arrived.

        Args:
            customer_id: Kapture's id of the customer.
            changes: the changes; then no field may be given.
            customer_name, phone, email_id, customer_code: the new values.
            contacts: the persons, :class:`Contact` or mappings by wire names. What the service
                does with contacts it already has is not documented.
            enquiry: an :class:`Enquiry`, or a mapping by wire names.
            extra: further fields of ``customer_info`` by their wire names, documented or not,
                such as the flag ``update``, which the vendor does not explain.
            headers: headers of this call only.

        Returns:
            The service's answer; its form was never seen.

        Raises:
            InvalidInputError: the data cannot be sent as it is, or there is nothing to change;
                nothing was sent.
            NotSentError: it never left this machine; safe to send again.
            RejectedError: the service refused it; nothing was changed.
            OutcomeUnknownError: it may or may not have been changed, or the answer names another
                customer; get it to find out.
        """
        given = Payload(
            customer_name=customer_name,
            phone=phone,
            email_id=email_id,
            customer_code=customer_code,
            contact_info=contacts,
            enquiry_info=enquiry,
            extra=extra,
        )
        number = checked_id(customer_id, what="customer")
        whole = with_id(_one_of(changes, given, CustomerFields), number)
        headers = check_headers(headers)
        return await self._save(self._requestor, UPDATE_CUSTOMER, whole, headers, changing=number)

    async def get(
        self,
        kapture_customer_id: str | None = None,
        *,
        email_id: str | None = None,
        phone: str | None = None,
        customer_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> Customer:
        """Get one customer by id, e-mail address or phone number (SERVICE.md, section 7).

        What the service does with several of them that do not match is not documented.

        Args:
            kapture_customer_id: Kapture's id.
            email_id: the e-mail address.
            phone: the phone number.
            customer_id: your own id; not documented, sent by a live client.
            extra: further fields by their wire names.
            headers: headers of this call only.

        Raises:
            InvalidInputError: no criterion is given, or one is not text; nothing was sent.
            NotFoundError: the service does not know the customer.
            HelpdeskError: the call failed; being a read, it is safe to repeat.
        """
        given = Payload(
            kapture_customer_id=kapture_customer_id,
            email_id=email_id,
            phone=phone,
            customer_id=customer_id,
            extra=extra,
        )
        marks = _marks(given)
        headers = check_headers(headers)
        response = await self._requestor.call(GET_CUSTOMER, marks, headers=headers)
        return self._customer_in(response, kapture_customer_id)

    def pull(
        self,
        start: date | datetime | str,
        end: date | datetime | str | None = None,
        *,
        cm_id: int | str,
        name: str | None = None,
        phone: str | None = None,
        email: str | None = None,
        customer_id: str | None = None,
        customer_code: str | None = None,
        limit: int | str | None = None,
        offset: int | str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
        ahead: int = 4,
    ) -> Pages[CustomerRow]:
        """Pull the customers created on the days from ``start`` to ``end``, both included.

        A call may cover 24 hours, so each day is asked for by itself, page by page until a page
        is empty, since a page has 100 rows by default (SERVICE.md, section 8). The reply was
        not seen: the rows are taken from its only list of objects, and a reply without that, or
        one that leaves a choice, is an error. A day of which fewer rows came than the reply
        counts (``totalCount``) is in ``incomplete`` of the pages.

        Args:
            start: first day: a date, text such as ``"2024-04-19"``, or a datetime (its day in
                the client's time zone).
            end: last day; ``start`` if left out.
            cm_id: the id of the tenant's account.
            name, phone, email, customer_id, customer_code: filters.
            limit, offset: passed through, and then each day is one call, whatever it leaves out.
            extra: further filters by their wire names, such as ``isOrganisation``, ``zoneIdStr``
                or ``attr1``. ``createStartDate`` and ``createEndDate`` here stand for the day's
                own, for a window of another form.
            headers: headers of every call.
            ahead: days fetched at a time.

        Returns:
            An async iterator over the rows; ``next_page()`` gives a day at a time.

        Raises:
            InvalidInputError: at once, if a day, the account or another argument is invalid.
            HelpdeskError: while iterating; every earlier day was delivered whole, and being a
                read, it is safe to repeat.
        """
        zone = self._requestor.codec.zone
        check_words(
            name=name,
            phone=phone,
            email=email,
            customer_id=customer_id,
            customer_code=customer_code,
            limit=limit,
            offset=offset,
        )
        given = Payload(
            name=name,
            phone=phone,
            email=email,
            customer_id=customer_id,
            customerCode=customer_code,
            limit=None if limit is None else str(limit),
            offset=None if offset is None else str(offset),
        )
        filters = Payload(cm_id=account_id("cm_id", cm_id))
        merge_given(filters, **given)
        merge_extra(filters, extra)
        checked = check_headers(headers)
        first = service_day(start, zone, name="start")
        last = first if end is None else service_day(end, zone, name="end")
        if filters.keys() & {"createStartDate", "createEndDate"} and last != first:
            raise InvalidInputError("a window in extra applies to one day only")
        paged = "limit" not in filters and "offset" not in filters
        skipped = number_of(filters.get("offset", 0))
        size = self._requestor.page_size

        async def ask(day: str, skip: int) -> Found[CustomerRow]:
            body = Payload({"createStartDate": day, "createEndDate": day} | filters)
            if skip:
                body["offset"] = str(skip)
            if paged and size.rows is not None:
                body["limit"] = str(size.rows)
            codec = self._requestor.codec
            try:
                response = await self._requestor.call(PULL_CUSTOMERS, body, headers=checked)
            except RejectedError as error:
                if paged and size.rows is None and wants_limit(error):
                    size.rows = LEARNED_LIMIT
                    return await ask(day, skip)
                if is_nothing_found(error, self._requestor.words):
                    return [], 0
                raise
            rows, total = rows_in(response, skipped=None if skip else skipped)
            return [codec.decode(row, CustomerRow) for row in rows], total

        def fetch(day: str) -> Listed[CustomerRow]:
            if not paged:
                return Listed(one_page(ask(day, 0), filters.get("limit"), filters.get("offset")))
            return Listed(every_row(lambda skip: ask(day, skip), not_moving=self._not_moving))

        days = map(format_day, days_between(first, last))
        return Pages(days, fetch, id_of=lambda row: row.customer_id, ahead=ahead, of="customers")

    def push(
        self,
        source: Source[CustomerFields | Mapping[str, Any] | Row[Any]] | ArrowStream,
        *,
        key: str | Callable[[Any], str] | None = None,
        map: Mapping[str, str] | None = None,
        max_concurrency: int | None = None,
        max_rate: float | None = None,
        patience: float = 300.0,
        give_up_after: int | None = 100,
        keep_going: bool = False,
        on_event: PushObserver | None = None,
        journal: str | os.PathLike[str] | None = None,
        reference: ReferencePlace = TEXT,
        payloads: bool = True,
        from_journal: bool = False,
        restored: bool = False,
        new_journal: bool = False,
        keys_exact: bool = False,
        new_keys: bool = False,
    ) -> Push[SavedCustomer]:
        """Add many customers, and report the outcome of each.

        ::

            async with client.customers.push(rows, journal="customers.journal") as outcomes:
                async for outcome in outcomes:
                    ...

        It is :meth:`Tickets.push`, for customers. The service calls its endpoint "add or
        update" (SERVICE.md, section 5) and does not say how it recognizes a customer: it
        may merge a row into one with the same phone number or e-mail address. So "exactly
        once" means here that each row is sent once, not that each makes a customer of its
        own; two rows of one person may end up as one customer, with the remarks of the
        later row.

        Args:
            source: any iterable or async iterable of :class:`NewCustomer`, of mappings by wire
                names (see :meth:`NewCustomer.from_mapping`), or of :class:`Row` around either; or
                a data frame, as for :meth:`Tickets.push`.
            key: returns the row's name for its outcome; a :class:`Row` brings its own. Of a data
                frame also the name of a column.
            map: of a data frame, which column is sent as which field, such as
                ``{"title": "Subject"}``; ``"object.field"`` is a field of an object
                that your tenant defines. No other column is sent. Without it, every column must
                have the name of a documented field.
            max_concurrency, max_rate, patience, give_up_after, keep_going, on_event: as for
                :meth:`Tickets.push`.
            journal: the journal's file, created if it does not exist; as for
                :meth:`Tickets.push`.
            reference: where to put a row's reference: ``"text"``, a line at the end of
                ``remarks``, which come back (section 7); a :class:`Field`, of an object of
                ``customer_info`` that your tenant's Get Customer gives back; or ``None``. Used
                only with a journal.
            payloads: keep in the journal what is needed to send a row again, until the row is in
                the helpdesk. Without, the source must be given again, and doubts stay, since it is
                not known which customer to look up.
            from_journal, restored, new_journal, keys_exact, new_keys: as for
                :meth:`Tickets.push`.

        Returns:
            A push, not yet running; see :class:`Push`. ``ticket_id`` of an outcome is the
            customer's id, where the reply shows one.

        Raises:
            InvalidInputError: the source is not iterable, or a setting is out of range.
            JournalError: when it is entered: the journal cannot be used. Nothing was sent.
            ConfirmationNeededError: another journal sent these rows; see ``new_journal``. Or,
                from the iteration, after its last outcome: see ``new_keys``.
            PushStoppedError: from the iteration, after its last outcome: the push stopped early.
        """
        fields = tuple(wire_names(NewCustomer))
        rows, key = as_rows(source, map, key, fields=fields, as_list=False)
        return self._added(reference).push(
            rows,
            PushSettings(
                journal=journal,
                payloads=payloads,
                from_journal=from_journal,
                restored=restored,
                new_journal=new_journal,
                keys_exact=keys_exact,
                new_keys=new_keys,
                key=key,
                max_concurrency=max_concurrency,
                max_rate=max_rate,
                patience=patience,
                give_up_after=give_up_after,
                keep_going=keep_going,
                on_event=on_event,
            ),
        )

    async def reconcile(
        self,
        journal: str | os.PathLike[str],
        *,
        reference: ReferencePlace = TEXT,
        settle: float | None = None,
        assume_complete: bool = False,
        on_event: ReconcileObserver | None = None,
    ) -> Reconciliation:
        """Look up the unconfirmed rows of a :meth:`push`, and record what happened to them.

        Waits until the settle time is over, then looks up each row by its phone number and its
        e-mail address. A customer with the row's reference: present. No customer, in two lookups:
        absent, and the next push sends the row. A customer without the reference proves nothing, as
        the service may have merged the row into a customer it had: the row is "probable" if the
        name is the same, and otherwise stays open (see :meth:`resolve`).

        Args:
            journal: the file.
            reference: as for the push.
            settle: seconds from the last sign of an unconfirmed row to the first lookup; as for
                :meth:`Tickets.reconcile`.
            assume_complete: count rows as absent although the lookups have shown no other row of
                this journal; see :attr:`Reconciliation.unconfirmed`.
            on_event: called with waits and lookups.

        Returns:
            What happened to each row; ``ticket_ids`` are ids of customers.

        Raises:
            InvalidInputError: ``settle`` is too short.
            JournalError: the journal cannot be used, or belongs to another push.
            HelpdeskError: a lookup failed. What was resolved before is in the journal, and
                :meth:`Reconciliation.before` returns it.
        """
        return await self._added(reference).reconcile(
            journal, settle=settle, assume_complete=assume_complete, on_event=on_event
        )

    async def verify(
        self,
        journal: str | os.PathLike[str],
        *,
        reference: ReferencePlace = TEXT,
        settle: float | None = None,
        on_event: VerifyObserver | None = None,
    ) -> Verification:
        """Check every row of a journal against the helpdesk: proof that a push did what its
        journal says.

        It looks up each row by the customer's id, or else by phone number and e-mail address.

        Nothing is sent. A doubt that is found once is present from then on, and a contradiction of
        an outcome is recorded in the journal, as :meth:`reconcile` does. A row that was not seen is
        *missing* only if the lookup could not have overlooked it (the list was complete, and showed
        comparable rows of the same day); otherwise it is *not seen*, with the reason.

        Args:
            journal: the file.
            reference: as for the push.
            settle: seconds until what was sent has to be visible: a younger row that was not seen
                is not yet visible. Default 300, or twice the time for a call if that is more, and
                no less.
            on_event: called with the progress.

        Returns:
            The counts, the first rows of each kind by name, and every row from
            :meth:`Verification.rows`. Close it when done, or let it go: the rows are in a temporary
            file.

        Raises:
            InvalidInputError: ``settle`` is too short.
            JournalError: the journal cannot be used, or belongs to another push.
            HelpdeskError: the lookup failed. Contradictions found by then are in the
                journal. It is safe to verify again.
        """
        return await self._added(reference).verify(journal, settle=settle, on_event=on_event)

    # --- below: no public names ----------------------------------------------------------------

    def _added(
        self, reference: ReferencePlace
    ) -> JournaledOperation[CustomerFields, SavedCustomer]:
        check_place(reference)
        return added_customers(self._requestor, reference, self.get, self._add)

    async def _add(self, requestor: ApiRequestor, customer: CustomerFields) -> SavedCustomer:
        return await self._save(requestor, ADD_CUSTOMER, customer, None)

    async def _save(
        self,
        caller: ApiRequestor,
        operation: Operation,
        customer: CustomerFields,
        headers: Mapping[str, Secret] | None,
        *,
        changing: str | None = None,
    ) -> SavedCustomer:
        body = Payload(customer.to_wire())
        if not body:
            raise InvalidInputError("the customer has no fields")
        response = await caller.call(operation, body, headers=headers)
        saved = caller.codec.decode(older_names(response.body), SavedCustomer)
        if saved.contradicts_itself:
            raise response.mismatch(
                "the answer says success and gives two customer ids that differ"
            )
        if changing is None and says_something(customer.customer_id):
            changing = (customer.customer_id or "").strip()
        if changing is not None and saved.kapture_customer_id not in (None, changing):
            raise response.mismatch(
                "the answer names another customer than the changed one: it may have been added",
                saved.kapture_customer_id,
            )
        return saved

    def _customer_in(self, response: ResponseContext, asked: str | None) -> Customer:
        body = older_names(response.body) if isinstance(response.body, dict) else {}
        details = body.get("Customer Details")
        if isinstance(details, str) and details.strip():
            # Where no customer was found, the same key holds a text (section 7).
            error = refusal(response, details)
            if type(error) is RejectedError:
                error = response.error(
                    NotFoundError, "the service does not know this customer", words=details
                )
            raise error
        if not isinstance(details, dict):
            raise response.unreadable("the answer holds no customer")
        customer = self._requestor.decode(response, body, Customer)
        if says_something(asked) and customer.customer_id != (asked or "").strip():
            raise response.unreadable("the answer holds a customer that was not requested")
        return customer

    def _not_moving(self) -> UnreadableReplyError:
        return UnreadableReplyError(
            "the service returns the same customers at every offset, so the rest of the day cannot "
            "be read",
            service=self._requestor.transport.settings.service,
            operation=PULL_CUSTOMERS.name,
            effect="read",
        )


def _one_of(
    whole: CustomerFields | None, given: Payload, cls: type[CustomerFields]
) -> CustomerFields:
    """A customer that is given whole, or made of its fields; never both."""
    fields = Payload()
    merge_given(fields, **{name: value for name, value in given.items() if name != "extra"})
    merge_extra(fields, given["extra"])
    if "customer_info" in fields:
        raise InvalidInputError("extra holds fields of customer_info, not customer_info itself")
    if whole is None:
        return cls.from_mapping(fields)
    if fields:
        raise InvalidInputError("give either a whole customer or its fields, not both")
    if not isinstance(whole, CustomerFields):
        raise InvalidInputError(
            f"a customer must be a NewCustomer or CustomerFields, not {type(whole).__name__}"
        )
    return whole


def _marks(given: Payload) -> Payload:
    """What a customer is found by."""
    marks = Payload()
    merge_given(marks, **{name: value for name, value in given.items() if name != "extra"})
    for name, value in marks.items():
        if type(value) is not str:
            raise InvalidInputError(f"{name} must be text, not {type(value).__name__}")
    merge_extra(marks, given["extra"])
    if not any(map(says_something, marks.values())):
        raise InvalidInputError(
            "give at least one of kapture_customer_id, email_id, phone and customer_id"
        )
    return marks


def with_id(changes: CustomerFields, customer_id: str) -> CustomerFields:
    """The changes, with the customer's id.

    Raises:
        InvalidInputError: they are for another customer, or change nothing.
    """
    if changes.customer_id is not None and changes.customer_id.strip() not in ("", customer_id):
        raise InvalidInputError("the changes name another customer_id")
    body = changes.to_wire()
    if not body.pop("customer_info", {}).keys() - {"customer_id"} and not body:
        raise InvalidInputError("there is nothing to change")
    return evolve(changes, customer_id=customer_id)


async def one_page(
    found: Awaitable[Found[CustomerRow]], limit: Any, offset: Any
) -> Found[CustomerRow]:
    """The rows of a call whose limit and offset the caller gave, and how many it should have."""
    rows, total = await found
    most = PAGE if limit is None else number_of(limit)
    skipped = 0 if offset is None else number_of(offset)
    if most is None or skipped is None:
        return rows, 0
    return rows, min(most, max(0, total - skipped))


async def every_row(
    ask: Callable[[int], Awaitable[Found[CustomerRow]]], *, not_moving: Callable[[], Exception]
) -> Found[CustomerRow]:
    """All rows of a list that is read by offset, each once, and how many the service counts.

    The end is a page without rows, and not one that is shorter than another: a service may have
    a limit of its own, and then a short page is no end. A service that does not look at the
    offset gives the first page again: that is the end if the page was shorter than the
    documented one, and an error otherwise.

    Args:
        ask: returns the rows from an offset on.
        not_moving: makes the error for a list that gives the same rows at every offset.
    """
    found: dict[bytes, CustomerRow] = {}
    offset = total = 0
    while True:
        rows, said = await ask(offset)
        total = max(total, said)
        if not rows:
            break
        before = len(found)
        for row in rows:
            found.setdefault(dumps(row.raw, sort_keys=True), row)
        if len(found) == before:
            if before < PAGE:
                break
            raise not_moving()
        offset += len(rows)
    # Equal rows are one here, and were two in the service's count.
    return list(found.values()), max(0, total - (offset - len(found)))
