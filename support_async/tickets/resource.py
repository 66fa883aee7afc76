"""Tickets: create, find, list, get, update, reply, close, reopen, push."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kapture_async._core.arguments import Payload, query_of
from kapture_async._core.errors import InvalidInputError, UnreadableReplyError
from kapture_async._core.pull.arrow import ArrowStream
from kapture_async._core.pull.pages import OffsetPaginator, Pages
from kapture_async._core.push.events import PushObserver
from kapture_async._core.push.operation import JournaledOperation, JournaledResource
from kapture_async._core.push.push import Push
from kapture_async._core.push.rows import Row, Source
from kapture_async._core.push.settings import PushSettings
from kapture_async._core.push.sources.arrow import as_rows
from kapture_async._core.reconcile.doctor import Diagnosis
from kapture_async._core.reconcile.reconcile import ReconcileObserver
from kapture_async._core.reconcile.results import Reconciliation, Verification
from kapture_async._core.reconcile.verify import VerifyObserver
from kapture_async._core.requestor import ApiRequestor
from kapture_async._core.secret import Secret
from kapture_async._core.transport.settings import check_headers

from .._api import SERVICE, Installation, object_of, rows_of
from .._files import AttachmentLike, read_attachment
from .._validation import (
    checked_category,
    checked_code,
    checked_comment,
    checked_count,
    checked_priority,
    checked_subject,
    checked_tags,
    checked_ticket,
)
from .create_and_find import find_created
from .models import (
    WIRE_FIELDS,
    CreatedTicket,
    NewTicket,
    Status,
    TicketDetail,
    TicketRow,
    create_form,
    detail_form,
    reply_form,
    status_form,
    ticket_of,
    update_form,
)
from .push import TEXT, ReferencePlace, check_place, created_tickets

PAGE = 50
"""Rows of a page: as many as the service gives by itself (SERVICE.md, section 3.3)."""


class Tickets(JournaledResource):
    """The tickets of one user: ``client.tickets``."""

    def __init__(self, caller: ApiRequestor, installation: Installation) -> None:
        self._requestor = caller
        self._installation = installation

    def __repr__(self) -> str:
        return f"<Tickets of {self._requestor.transport.settings.base_url}>"

    async def create(
        self,
        ticket: NewTicket | None = None,
        *,
        subject: str | None = None,
        comment: str | None = None,
        category: str | int | None = None,
        priority: str | int | None = None,
        attachment: AttachmentLike | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> None:
        """Create one ticket, given whole or by its fields.

        The service does not return the new ticket's id (SERVICE.md, B4); :meth:`create_and_find`
        searches for it. A create is never sent again once it may have reached the service, which
        has no idempotency key (B18).

        Args:
            ticket: the ticket; then no field may be given.
            subject: at most 500 characters.
            comment: the text.
            category: a category's id, from ``client.categories.list()``.
            priority: a code, see :class:`Priority`; or ``"low"``, ``"medium"`` or ``"high"``.
            attachment: one file of at most 2 MiB: a path, bytes, an open binary file, or a pair
                of a name and one of these.
            headers: headers of this call only.

        Raises:
            InvalidInputError: the data cannot be sent as it is; nothing was sent.
            NotSentError: it never left this machine; safe to send again.
            OpenTicketLimitError: the user has too many open tickets; no ticket was made.
            AttachmentTooLargeError: the service or a proxy before it refused the file.
            RejectedError: the service refused it; no ticket was made.
            OutcomeUnknownError: the ticket may or may not exist; look it up, do not send it
                again blindly.
        """
        fields = Payload(
            subject=subject,
            comment=comment,
            category=category,
            priority=priority,
            attachment=attachment,
        )
        await self._create(self._requestor, ticket_of(ticket, fields), check_headers(headers))

    async def create_and_find(
        self,
        ticket: NewTicket | None = None,
        *,
        subject: str | None = None,
        comment: str | None = None,
        category: str | int | None = None,
        priority: str | int | None = None,
        attachment: AttachmentLike | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> CreatedTicket:
        """Create one ticket, and search the history for its id.

        The history is read before and after; the new ticket is the one that was not there
        before and has the same subject, comment, category and priority (SERVICE.md, B4). This
        is a race: an equal ticket that is created for the same user in between cannot be told
        apart, and then there is no id but both are candidates. It takes three calls or more.
        An id that is given is most likely the right one, and no more than that: where the history
        is read from a copy of the data that lags behind (a replica), it may show an equal ticket
        of another origin and not yet this one, or an equal one that was there before.

        The look-up never hides the result of the create: a create in doubt is looked for, too,
        and the doubt stands in the result; a look-up that fails leaves ``ticket_id`` empty.

        Args:
            ticket, subject, comment, category, priority, attachment, headers: as for
                :meth:`create`.

        Returns:
            The result; see :class:`CreatedTicket`.

        Raises:
            HelpdeskError: from the search *before* the create; nothing was created.
            NotSentError, RejectedError: as for :meth:`create`; no ticket was made.
        """
        fields = Payload(
            subject=subject,
            comment=comment,
            category=category,
            priority=priority,
            attachment=attachment,
        )
        ticket = ticket_of(ticket, fields)
        checked = check_headers(headers)

        async def look(offset: int) -> list[TicketRow]:
            filters = Payload(category=ticket.category)
            return await self._history(offset, PAGE, filters, headers=checked)

        async def create() -> None:
            await self._create(self._requestor, ticket, checked)

        return await find_created(ticket, create, look)

    async def history(
        self,
        *,
        offset: int = 0,
        limit: int = PAGE,
        subject: str | None = None,
        category: str | int | None = None,
        status: str | int | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> list[TicketRow]:
        """One page of the user's tickets, newest first as it seems (SERVICE.md, B5).

        Args:
            offset: tickets to skip.
            limit: the most tickets; the service's own limit is not documented.
            subject: only tickets with this subject, or with it in their subject: which of the
                two is not documented (B7).
            category: only tickets of this category.
            status: only tickets in this status; see :class:`Status`.
            headers: headers of this call only.

        Raises:
            InvalidInputError: an argument is invalid; nothing was sent.
            HelpdeskError: the call failed; being a read, it is safe to repeat.
        """
        given = Payload(subject=subject, category=category, status=status)
        checked_count("offset", offset, least=0)
        checked_count("limit", limit, least=1)
        checked = check_headers(headers)
        return await self._history(offset, limit, _filters(given), headers=checked)

    def iter(
        self,
        *,
        subject: str | None = None,
        category: str | int | None = None,
        status: str | int | None = None,
        limit: int = PAGE,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> Pages[TicketRow]:
        """All of the user's tickets, page by page, each once.

        Tickets that are created meanwhile move the others to later pages; what was seen is
        dropped. With ``status``, tickets that change theirs while they are listed may be
        missed: the list then shrinks under the reader. So whoever closes or answers what is
        listed reads the whole list first::

            for row in await client.tickets.iter(status="1").all():
                await client.tickets.close(row.ticket_id)

        Args:
            subject, category, status: as for :meth:`history`.
            limit: tickets per call.
            headers: headers of every call.

        Returns:
            An async iterator over the tickets; ``next_page()`` gives a page at a time.

        Raises:
            InvalidInputError: at once, if an argument is invalid.
            HelpdeskError: while iterating; being a read, it is safe to repeat.
        """
        given = Payload(subject=subject, category=category, status=status)
        checked_count("limit", limit, least=1)
        filters = _filters(given)
        checked = check_headers(headers)

        async def ask(offset: int) -> list[TicketRow]:
            return await self._history(offset, limit, filters, headers=checked)

        def not_moving() -> Exception:
            return UnreadableReplyError(
                "the service returns the same tickets at every offset, so the end cannot be found",
                service=SERVICE,
                operation=self._installation.operations.ticket_history.name,
                effect="read",
                next_step="Ask with history() for as many tickets as there are, in one page.",
            )

        reader = OffsetPaginator(ask, id_of=_id_of, not_moving=not_moving)
        return Pages(
            reader.windows(),
            reader.fetch,
            id_of=lambda row: None,
            ahead=1,
            of="tickets",
            where=_from_offset,
        )

    async def get(
        self,
        ticket_id: str | int,
        *,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> TicketDetail:
        """One ticket with its replies and the ids of its files (SERVICE.md, section 3.6).

        Args:
            ticket_id: the ticket.
            headers: headers of this call only.

        Raises:
            NotFoundError: the service does not know the ticket.
            PermissionDeniedError: it belongs to another user.
            HelpdeskError: the call failed; being a read, it is safe to repeat.
        """
        ticket_id = checked_ticket(ticket_id)
        where = self._installation.ticket_id_in
        response = await self._requestor.call(
            self._installation.operations.get_ticket,
            detail_form(ticket_id) if where != "query" else None,
            query=query_of(ticket_id=ticket_id) if where != "body" else (),
            headers=check_headers(headers),
        )
        ticket = self._requestor.decode(response, object_of(response), TicketDetail)
        if ticket.ticket_id != ticket_id:
            raise response.unreadable("the answer holds another ticket than the requested one")
        return ticket

    async def update(
        self,
        ticket_id: str | int,
        *,
        tags: Iterable[str | int],
        priority: str | int | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> None:
        """Replace a ticket's tags, and perhaps change its priority (SERVICE.md, section 3.5).

        Args:
            ticket_id: the ticket.
            tags: the ids of all tags it shall have, one at least; most likely they replace
                those it has (B2a). From ``client.tags.list()``.
            priority: a code or its word, as for :meth:`create`. Left out, it stays. The service
                takes none without tags; see :meth:`set_priority`.
            headers: headers of this call only.

        Raises:
            InvalidInputError: there is no tag, or the data cannot be sent; nothing was sent.
            NotFoundError: the service does not know the ticket.
            PermissionDeniedError: it belongs to another user.
            NotSentError: it never left this machine; safe to send again.
            RejectedError: the service refused it; nothing was changed.
            OutcomeUnknownError: it may or may not have been changed; get the ticket to find out.
        """
        form = update_form(
            checked_ticket(ticket_id),
            checked_tags(tags),
            None if priority is None else checked_priority(priority),
        )
        operation = self._installation.operations.update_ticket
        await self._requestor.call(operation, form, headers=check_headers(headers))

    async def set_priority(
        self,
        ticket_id: str | int,
        priority: str | int,
        *,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> None:
        """Change only a ticket's priority: read its tags, and send them back with it.

        The service has no call for the priority alone (SERVICE.md, B2). So whoever changes the
        tags between the two calls loses that change, and a ticket without tags cannot be
        changed this way at all.

        Args:
            ticket_id: the ticket.
            priority: a code, see :class:`Priority`; or ``"low"``, ``"medium"`` or ``"high"``.
            headers: headers of both calls.

        Raises:
            InvalidInputError: the ticket has no tags; nothing was changed.
            HelpdeskError: as for :meth:`get` and :meth:`update`.
        """
        priority = checked_priority(priority)
        ticket = await self.get(ticket_id, headers=headers)
        if ticket.tags is None or any(words.startswith("tags:") for words in ticket.problems):
            raise UnreadableReplyError(
                f"not all tags of ticket {ticket.ticket_id} can be read, and those that are not "
                "sent back would be lost",
                service=SERVICE,
                operation=self._installation.operations.get_ticket.name,
                effect="read",
                next_step="Name all its tags with update(ticket_id, tags=..., priority=...).",
            )
        if not ticket.tags:
            raise InvalidInputError(
                f"ticket {ticket.ticket_id} has no tags, and the service changes a priority only "
                "together with tags",
                service=SERVICE,
                operation=self._installation.operations.update_ticket.name,
                effect="write",
                next_step="Give it tags with update(ticket_id, tags=..., priority=...).",
            )
        await self.update(ticket_id, tags=ticket.tags, priority=priority, headers=headers)

    async def reply(
        self,
        ticket_id: str | int,
        comment: str,
        *,
        attachment: AttachmentLike | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> None:
        """Add a reply to a ticket (SERVICE.md, section 3.8). The service does not return the
        reply's id.

        Args:
            ticket_id: the ticket. Whether a closed one takes replies is not documented.
            comment: the text.
            attachment: one file; as for :meth:`create`.
            headers: headers of this call only.

        Raises:
            InvalidInputError: the data cannot be sent as it is; nothing was sent.
            NotFoundError: the service does not know the ticket.
            PermissionDeniedError: it belongs to another user.
            AttachmentTooLargeError: the service or a proxy before it refused the file.
            NotSentError: it never left this machine; safe to send again.
            RejectedError: the service refused it; there is no reply.
            OutcomeUnknownError: the reply may or may not be there; get the ticket to find out.
        """
        ticket_id = checked_ticket(ticket_id)
        checked_comment(comment)
        checked = check_headers(headers)
        limit = self._installation.max_attachment_bytes
        file = await read_attachment(attachment, limit)
        form = reply_form(ticket_id, comment, file)
        operation = self._installation.operations.reply_to_ticket
        await self._requestor.call(operation, form, headers=checked)

    async def close(
        self, ticket_id: str | int, *, headers: Mapping[str, str | Secret | None] | None = None
    ) -> None:
        """Close a ticket (SERVICE.md, sections 3.9 and 4.2).

        Args:
            ticket_id: the ticket.
            headers: headers of this call only.

        Raises:
            ConflictError: it is closed already. After an earlier close whose answer was lost,
                that is a success.
            NotFoundError: the service does not know the ticket.
            PermissionDeniedError: it belongs to another user.
            NotSentError: it never left this machine; safe to send again.
            RejectedError: the service refused it; nothing was changed.
            OutcomeUnknownError: it may or may not be closed; get the ticket to find out.
        """
        await self._set_status(ticket_id, Status.CLOSED, headers)

    async def reopen(
        self, ticket_id: str | int, *, headers: Mapping[str, str | Secret | None] | None = None
    ) -> None:
        """Open a closed ticket again: it then counts as being processed
        (SERVICE.md, sections 3.9 and 4.2).

        Args:
            ticket_id: the ticket.
            headers: headers of this call only.

        Raises:
            ConflictError: it is open or being processed already.
            HelpdeskError: as for :meth:`close`.
        """
        await self._set_status(ticket_id, Status.PROCESSING, headers)

    def push(
        self,
        source: Source[NewTicket | Mapping[str, Any] | Row[Any]] | ArrowStream,
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
    ) -> Push[None]:
        """Create many tickets, and report the outcome of each.

        ::

            async with client.tickets.push(rows) as outcomes:
                async for outcome in outcomes:
                    ...

        A row that cannot be sent, or that the service refuses, never stops the others. What never
        left this machine is sent again as the client's retry policy says; what may have arrived is
        never sent again. When the service asks to slow down, all workers wait. An attachment that
        is a path is read when its row is sent.

        The answers of this service repeat nothing of a row, not even an id. So the answer to
        another row, as a proxy that is one answer behind may give it, cannot be told from the right
        one: :attr:`Accepted.checked` is false, and only a lookup proves more.

        Args:
            source: any iterable or async iterable of :class:`NewTicket`, of mappings by wire names,
                or of :class:`Row` around either. It is read as fast as the service takes the rows,
                never ahead of that. Or a data frame: anything with an ``__arrow_c_stream__``, as
                polars, pandas, pyarrow and duckdb have it (the extra ``arrow``); a null or ``NaN``
                is not given, and a number is sent as text.
            key: returns the row's name for its outcome; a :class:`Row` brings its own. Of a data
                frame also the name of a column.
            map: of a data frame, which column is sent as which field, such as
                ``{"title": "Subject"}``; No other column is sent. Without it, every column must
                have the name of a documented field.
            max_concurrency: the most requests in flight; by default the client's number of
                connections. Up to that, the push finds the best number by itself.
            max_rate: the most requests per second, for a service whose limit is known.
            patience: the most seconds that one row is retried later, because the service asks to
                slow down or cannot be reached after it had worked; then the row counts as rejected
                or not sent.
            give_up_after: stop after this many consecutive rows failed for reasons that are not
                their own (service unreachable or silent, credentials refused, too many open
                tickets); ``None``: never.
            keep_going: refusals never stop the push. Without it, a push stops at the first row if
                its credentials are refused or nothing accepts the call at its address; and later
                after 50 consecutive refusals that are alike and not documented as refusals of the
                row's own data ("Auth Key Expired", "limit exceeded"). Until the first row is
                accepted, one request is sent at a time.
            on_event: called with every outcome, pause and stop.
            journal: the journal's file, created if it does not exist. With a journal the push
                survives crashes: what was accepted is not sent again, nor is what is in doubt (see
                :meth:`reconcile`), and everything else resumes. A row is recognized by its key, or
                by its content if it has none. Attachments must be paths then.
            reference: where to put a row's reference, by which a lost answer is looked up:
                ``"text"``, a line at the end of the comment; or ``None``: then a doubt becomes
                "probable" at best. Used only with a journal.
            payloads: keep in the journal what is needed to send a row again, until the row is in
                the helpdesk. Without, the source must be given again.
            from_journal: after the source, send what only the journal still holds.
            restored: the journal is an older copy, from a backup, or lost its ``-wal`` file: each
                row is looked up by its reference before it is sent. A row that is found is
                accepted; one that is not proven absent is in doubt. A copy that is older than what
                this machine has seen of the journal is noticed without this setting; what another
                machine sent with another copy is not. Push with no other copy, and wait five
                minutes after the last push with one.
            new_journal: start a new journal although another one on this machine has sent these
                rows to the same place: they are sent again.
            keys_exact: with a journal, a variant spelling of an earlier key (``1`` for ``0001``,
                upper or lower case, blanks) is a new row. Otherwise such a row is not sent if its
                content equals that of the earlier row, or if the source no longer has the earlier
                spelling; a row that cannot be decided alone waits until the end of the source.
            new_keys: with a journal, rows with new keys are sent even if their contents are known
                under other keys. Otherwise more than 50 of the first 100 such rows stop the push
                before any of them is sent.

        Returns:
            A push, not yet running; see :class:`Push`. Its accepted outcomes have no ticket id,
            as the service returns none.

        Raises:
            InvalidInputError: the source is not iterable, or a setting is out of range.
            JournalError: when it is entered: the journal cannot be used. Nothing was sent.
            ConfirmationNeededError: another journal sent these rows; see ``new_journal``. Or,
                from the iteration, after its last outcome: see ``new_keys``.
            PushStoppedError: from the iteration, after its last outcome: the push stopped early.
        """
        rows, key = as_rows(source, map, key, fields=WIRE_FIELDS)
        return self._created(reference).push(
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
        probe: bool = False,
        on_event: ReconcileObserver | None = None,
    ) -> Reconciliation:
        """Look up the unconfirmed rows of a journal, and record there what happened to them.

        Waits until the settle time is over, reads the user's whole history, and looks for the
        references; what is not found is looked for a second time. Absent rows can be sent again, by
        the same push. A lookup that shows no other row of the journal proves nothing and leaves
        rows open, and so does a ticket without a reference that starts with the same text (the row
        is then probable). This holds as long as the history lists every ticket within the settle
        time, comments come back whole, and nothing else writes the references; :meth:`doctor`
        tests that.

        Args:
            journal: the file.
            reference: as for the push.
            settle: seconds from the last sign of an unconfirmed row to the first lookup. Default
                300, or twice the time for a call if that is more, and no less. The longer call
                counts, of this client or of the one that pushed.
            assume_complete: count rows as absent although the lookups could have missed them; see
                :attr:`Reconciliation.unconfirmed`.
            probe: where nothing else keeps rows open, create ONE ticket that says it is a trial,
                with a neutral text like theirs, in the category of one of them, and look for it: if
                it is found, the history shows rows like these. Close it afterwards. No trial ticket
                is ever created without this.
            on_event: called with waits and lookups.

        Returns:
            What happened to each row.

        Raises:
            InvalidInputError: ``settle`` is too short, or there is no reference that ``probe``
                could look for.
            JournalError: the journal cannot be used, or belongs to another push.
            HelpdeskError: a lookup failed. What was resolved before is in the journal, and
                :meth:`Reconciliation.before` returns it.
        """
        return await self._created(reference).reconcile(
            journal, settle=settle, assume_complete=assume_complete, probe=probe, on_event=on_event
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

        It reads the user's whole history.

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
        return await self._created(reference).verify(journal, settle=settle, on_event=on_event)

    async def doctor(
        self, trial: NewTicket, *, reference: ReferencePlace = TEXT, patience: float = 120.0
    ) -> Diagnosis:
        """Find out with one trial ticket what a push with a journal can guarantee here.

        Creates the ticket, and looks for its reference until it comes back. Close the ticket
        afterwards.

        Args:
            trial: the ticket; best one that says it is a trial.
            reference: as for the push.
            patience: the most seconds to wait for the reference.

        Returns:
            The guarantee that holds, and why.

        Raises:
            InvalidInputError: references do not travel, or an argument is wrong.
            HelpdeskError: the trial ticket was not created, or that is in doubt.
        """
        created = self._created(reference)
        if not isinstance(trial, NewTicket):
            raise InvalidInputError(f"trial must be a NewTicket, not {type(trial).__name__}")
        return await created.doctor(trial, patience=patience)

    # --- below: no public names ----------------------------------------------------------------

    def _created(self, reference: ReferencePlace) -> JournaledOperation[NewTicket, None]:
        check_place(reference)
        operation = self._installation.operations.create_ticket.name
        return created_tickets(self._requestor, operation, reference, self.iter, self._create)

    async def _create(
        self,
        caller: ApiRequestor,
        ticket: NewTicket,
        headers: Mapping[str, Secret] | None = None,
    ) -> None:
        file = None
        if ticket.attachment is not None:
            limit = self._installation.max_attachment_bytes
            file = await read_attachment(ticket.attachment, limit)
        form = create_form(ticket, file)
        await caller.call(self._installation.operations.create_ticket, form, headers=headers)

    async def _history(
        self,
        offset: int,
        limit: int,
        filters: Payload,
        *,
        headers: Mapping[str, Secret],
    ) -> list[TicketRow]:
        query = query_of(offset=offset, limit=limit, **filters)
        operation = self._installation.operations.ticket_history
        response = await self._requestor.call(operation, query=query, headers=headers)
        decode = self._requestor.decode
        return [decode(response, row, TicketRow) for row in rows_of(response, "TicketList")]

    async def _set_status(
        self, ticket_id: str | int, status: str, headers: Mapping[str, str | Secret | None] | None
    ) -> None:
        form = status_form(checked_ticket(ticket_id), status)
        operation = self._installation.operations.set_status
        await self._requestor.call(operation, form, headers=check_headers(headers))


def _filters(given: Payload) -> Payload:
    if given["subject"] is not None:
        checked_subject(given["subject"])
    if given["category"] is not None:
        given["category"] = checked_category(given["category"])
    if given["status"] is not None:
        given["status"] = checked_code("status", given["status"])
    return given


def _from_offset(offset: int) -> str:
    return f"while reading the tickets from offset {offset} on; earlier pages were delivered whole"


def _id_of(row: TicketRow) -> str:
    return row.ticket_id
