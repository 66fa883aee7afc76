"""Tickets: add, update, get, pull, export, push."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from attrs import evolve

from .._api import ADD_TICKET, UPDATE_TICKET, WINDOW_KEYS, service_day
from .._core.arguments import (
    Payload,
    check_callable,
    check_flag,
    check_mapping,
    check_whole,
    check_words,
)
from .._core.errors import InvalidInputError
from .._core.pull.arrow import ArrowStream
from .._core.pull.export import Exported, PullObserver
from .._core.pull.pages import Pages
from .._core.push.events import PushObserver
from .._core.push.operation import JournaledOperation, JournaledResource
from .._core.push.push import Push
from .._core.push.rows import Row, Source
from .._core.push.settings import PushSettings
from .._core.push.sources.arrow import as_rows
from .._core.reconcile.doctor import Diagnosis, long_text
from .._core.reconcile.reconcile import ReconcileObserver
from .._core.reconcile.results import Reconciliation, Verification
from .._core.reconcile.verify import VerifyObserver
from .._core.requestor import ApiRequestor
from .._core.secret import Secret
from .._core.transport.settings import check_headers
from .._reference import TEXT, ReferencePlace, check_place
from .._responses import older_names
from .._validation import checked_id, checked_text, merge_extra, merge_given
from .export import export_tickets, pull_windows, windows_between
from .models import (
    KNOWN_FIELDS,
    UPDATE_FIELDS,
    AddedTicket,
    NewTicket,
    TicketDetail,
    TicketLookup,
    TicketRow,
    TicketUpdate,
    UpdatedTicket,
)
from .push import (
    BY_TICKET,
    Defaults,
    EachOnce,
    added_tickets,
    ids_of,
    ticket_of,
    ticket_update,
    updated_tickets,
)
from .search import search, search_many, switches_of

TRIAL_TITLE = "Trial of an import, please ignore"
TRIAL_TEXT = "It tests whether tickets can be found again. It can be closed."


class Tickets(JournaledResource):
    """The tickets of one tenant: ``client.tickets``."""

    def __init__(self, caller: ApiRequestor) -> None:
        self._requestor = caller

    async def add(
        self,
        ticket: NewTicket | None = None,
        *,
        title: str | None = None,
        ticket_details: str | None = None,
        due_date: str | date | datetime | None = None,
        email_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> AddedTicket:
        """Add one ticket, given whole or by its fields.

        It is never sent again once it may have reached the service, since the service has no
        idempotency key (SERVICE.md, sections 0 and 17).

        Args:
            ticket: the ticket; then no field may be given.
            title: the title.
            ticket_details: the description.
            due_date: the desired closing date; a naive datetime counts as in the client's time
                zone.
            email_id: e-mail address of the customer to attach.
            extra: further fields by their wire names, such as the tenant's associate objects.
            headers: headers of this call only.

        Returns:
            The added ticket; ``ticket_id`` is its id, as text.

        Raises:
            InvalidInputError: the data cannot be sent as it is; nothing was sent.
            NotSentError: it never left this machine; safe to send again.
            RejectedError: the service refused it; no ticket was made.
            OutcomeUnknownError: the ticket may or may not exist; look it up, do not send it
                again blindly.
        """
        if ticket is None:
            if title is None:
                raise InvalidInputError("title is missing", fields={"title": ("is missing",)})
            ticket = NewTicket(
                title=title,
                ticket_details=ticket_details,
                due_date=due_date,
                email_id=email_id,
                extra=extra,
            )
        elif (title, ticket_details, due_date, email_id, extra) != (None,) * 5:
            raise InvalidInputError("give either a whole ticket or its fields, not both")
        if not isinstance(ticket, NewTicket):
            raise InvalidInputError(
                f"ticket must be a NewTicket, not {type(ticket).__name__}",
                next_step="Give the fields of a mapping as arguments: add(**fields).",
            )
        headers = check_headers(headers)
        return await self._add(self._requestor, ticket.to_wire(), headers)

    async def update(
        self,
        ticket_id: str,
        *,
        sub_status: str,
        comment: str | None = None,
        callback_time: datetime | str | None = None,
        queue: str | None = None,
        disposition: str | None = None,
        status: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> UpdatedTicket:
        """Change a ticket, and add a comment to it.

        Counts as a write: it is never sent again once it may have arrived, as a comment
        would then be there twice.

        Args:
            ticket_id: the ticket.
            sub_status: the key of the sub-status, such as ``"PS"``; tenants define their own
                (SERVICE.md, sections 2 and 15).
            comment: text to add.
            callback_time: when to call back. A datetime is sent in the client's time zone as
                ``YYYY-MM-DD HH:MM:SS``; text must have that form. (The vendor writes ``hh``,
                which could mean twelve hours; 24 is unverified: section 2.)
            queue: the key of the queue.
            disposition: the folder path.
            status: display label such as ``"Complete"``; not documented, sent by live clients.
            extra: further fields by their wire names.
            headers: headers of this call only.

        Raises:
            InvalidInputError: the data cannot be sent as it is; nothing was sent.
            NotFoundError: the service does not know the ticket.
            NotSentError: it never left this machine; safe to send again.
            RejectedError: the service refused it; nothing was changed.
            OutcomeUnknownError: it may or may not have been changed, or the answer names another
                ticket; get the ticket to find out.
        """
        update = TicketUpdate(
            ticket_id=ticket_id,
            sub_status=checked_text("sub_status", sub_status),
            comment=comment,
            callback_time=callback_time,
            queue=queue,
            disposition=disposition,
            status=status,
            extra=extra,
        )
        headers = check_headers(headers)
        return await self._update(self._requestor, update, headers)

    async def get(
        self,
        ticket_id: str,
        *,
        conversation_type: str | None = None,
        history_type: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> TicketDetail:
        """Get one ticket.

        Args:
            ticket_id: the ticket.
            conversation_type: which conversations to include; ``"notes"`` and ``"all"`` were
                seen (SERVICE.md, section 3).
            history_type: ``"all"`` was seen.
            extra: further switches by their wire names (``include_emailbody``, ...).
            headers: headers of this call only.

        Raises:
            NotFoundError: the service does not know the ticket.
            HelpdeskError: the call failed; being a read, it is safe to repeat.
        """
        switches = switches_of(conversation_type, history_type, extra)
        headers = check_headers(headers)
        ticket_id = checked_id(ticket_id)
        return (await search(self._requestor, [ticket_id], switches, headers))[0]

    async def get_many(
        self,
        ticket_ids: Iterable[str],
        *,
        conversation_type: str | None = None,
        history_type: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
        concurrency: int = 4,
    ) -> TicketLookup:
        """Get many tickets: 50 ids a call, several calls at once.

        The service may answer a batch with fewer tickets than requested, without saying which are
        missing (SERVICE.md, section 3). So each id that did not come back is requested again by
        itself before it counts as missing.

        Args:
            ticket_ids: the ids; duplicates are requested once.
            conversation_type, history_type, extra, headers: as for :meth:`get`.
            concurrency: the most calls in flight.

        Returns:
            What was found, what is missing, and what failed.

        Raises:
            InvalidInputError: an id is empty or holds a comma.
            HelpdeskError: no id could be requested; the first error is raised.
        """
        if isinstance(ticket_ids, (str, bytes)) or not isinstance(ticket_ids, Iterable):
            raise InvalidInputError(
                f"ticket_ids must be several ids, not {type(ticket_ids).__name__}"
            )
        ids = list(dict.fromkeys(checked_id(ticket_id) for ticket_id in ticket_ids))
        check_whole("concurrency", concurrency, 1)
        switches = switches_of(conversation_type, history_type, extra)
        headers = check_headers(headers)
        return await search_many(self._requestor, ids, switches, headers, concurrency)

    def pull(
        self,
        start: date | datetime | str | None = None,
        end: date | datetime | str | None = None,
        *,
        limit: int | str | None = None,
        offset: int | str | None = None,
        customer_code: str | None = None,
        status: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
        ahead: int = 4,
    ) -> Pages[TicketRow]:
        """Pull the tickets created on the days from ``start`` to ``end``, both included.

        One call per day of the service's own calendar, since a call may cover 24 hours
        (SERVICE.md, section 4); up to ``ahead`` days in flight, rows in
        the order of the days, repeats dropped by ticket id. Without dates it is one call with
        the other filters alone, as live clients use it to list a customer's tickets.

        Rows are decoded and handed out while their day is still arriving, in flat memory: a day
        ahead of its turn waits with a quarter MiB, and lends its connection slot meanwhile.
        The service's success status comes after the rows, so a day counts as read only at its
        end: a bad end raises. An interrupted day is requested again as the client's retry policy
        says, and rows that were handed out are not handed out again.

        Args:
            start: first day: a date, text such as ``"2024-04-19"``, or a datetime (its day in
                the client's time zone).
            end: last day; ``start`` if left out.
            limit: rows per page, for this pull; the client's ``page_size`` if left out. The service
                documents it as "required if pagination is enabled" and no more. Pages are asked for
                by ``offset`` until nothing new comes, so a day is whole whatever the limit is.
            offset: rows to skip; not documented, seen in live clients. With it, each day is one
                call, and rows beyond ``limit`` are not asked for.
            customer_code: passed through; not documented, seen in live clients.
            status: passed through, a code such as ``"P"``; not documented, seen in live clients.
            extra: further fields by their wire names. ``start_date`` and ``end_date`` here stand
                for the day's own, for a window of another form; then it is one day only.
            headers: headers of every call.
            ahead: days fetched at a time.

        Returns:
            An async iterator over the rows; ``next_page()`` gives a day at a time.

        Raises:
            InvalidInputError: at once, if a day or another argument is invalid.
            HelpdeskError: while iterating; every earlier day was delivered whole, of this one
                perhaps a part, and being a read, it is safe to repeat.
        """
        zone = self._requestor.codec.zone
        filters = Payload()
        check_words(limit=limit, offset=offset, customer_code=customer_code, status=status)
        merge_given(filters, limit=limit, offset=offset, customer_code=customer_code, status=status)
        merge_extra(filters, extra)
        checked = check_headers(headers)
        if start is not None:
            first = service_day(start, zone, name="start")
            last = first if end is None else service_day(end, zone, name="end")
            windows = windows_between(first, last, filters)
        elif end is not None:
            raise InvalidInputError("an end needs a start")
        elif not filters:
            raise InvalidInputError("a pull needs a start, or a filter such as customer_code")
        else:
            windows = [""]
        return pull_windows(self._requestor, windows, filters, checked, ahead)

    async def export(
        self,
        out: str | os.PathLike[str],
        *,
        start: date | datetime | str | None = None,
        end: date | datetime | str | None = None,
        state: str | os.PathLike[str] | None = None,
        format: str | None = None,
        overwrite: bool = False,
        overlap: int = 1,
        recheck_open: bool = False,
        customer_code: str | None = None,
        status: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
        ahead: int = 4,
        excel: bool = False,
        on_progress: PullObserver | None = None,
    ) -> Exported:
        """Pull tickets into a file, in flat memory; with a state, only what is new since the last.

        The file is written beside its place and renamed into it, in one step, once it is complete
        and on the disk. Only its owner may read it.

        With a state, each run writes the tickets that no earlier run has written: the outputs of
        all runs together hold each ticket once. A run that is killed at any moment either happened
        or did not; the next one finds out, and completes it. The service cannot be asked for what
        changed, so a run reads the last days again; a ticket that is listed later than ``overlap``
        days after a newer one was seen is missed (SERVICE.md, section 4). A day for which the
        service gave fewer tickets than it counts is read again by every run until it is complete;
        each run lists such days in ``incomplete``. The state is a file of days and ids: those of
        the days that are read again and, once ``recheck_open`` was asked for, of all open tickets.

        Args:
            out: the file to write.
            start: first day; required, unless the state has one.
            end: last day; ``start`` if left out, or with a state as far as there are tickets.
            state: the file that remembers what was handed out; created by the first run.
            format: ``"jsonl"`` (the rows as they came), ``"csv"`` or ``"parquet"`` (needs the
                extra ``arrow``); by default from the file name.
            overwrite: replace an existing file. Refused with a state: a killed run may leave the
                only file with its rows to the next run.
            overlap: days before the newest known ticket that are read once more. More than that
                of the run before takes effect from the next run on.
            recheck_open: also read the days of tickets that were open when they were last handed
                out, and write those that have changed since, but for ``tat``, ``sla`` and
                ``slaStatus``, which change with time. Tickets that were handed out before the first
                run with it are watched from then on, as far as their days are read.
            customer_code, status, extra: filters, as for :meth:`pull`.
            headers: headers of every call.
            ahead: days fetched at a time.
            excel: begin a CSV file with a byte order mark, which Excel needs to read UTF-8.
            on_progress: called with every block of rows; an error that it raises ends the export.

        Returns:
            What was written.

        Raises:
            InvalidInputError: at once, if an argument is invalid or the file already exists.
            ConfigurationError: the format needs pyarrow, which is not installed.
            StateError: the state is damaged, in use, or for another tenant or other filters; or the
                rows of a finished run were lost before they were renamed into place.
            HelpdeskError: a day failed. Nothing was written; it is safe to start again.
            OSError: the disk failed. The same.
        """
        codec = self._requestor.codec
        filters = Payload()
        check_words(customer_code=customer_code, status=status)
        check_flag("overwrite", overwrite)
        check_callable("on_progress", on_progress)
        merge_given(filters, customer_code=customer_code, status=status)
        merge_extra(filters, extra)
        if filters.keys() & WINDOW_KEYS:
            raise InvalidInputError(
                "an export's days are start and end, and not start_date and end_date in extra",
                next_step="If the tenant's end_date is exclusive, say exclusive_end=True of the "
                "client.",
            )
        checked = check_headers(headers)
        first = None if start is None else service_day(start, codec.zone, name="start")
        last = None if end is None else service_day(end, codec.zone, name="end")
        return await export_tickets(
            lambda days: pull_windows(self._requestor, days, filters, checked, ahead),
            codec,
            str(self._requestor.transport.settings.base_url),
            out=out,
            start=first,
            end=last,
            state=state,
            filters=filters,
            format_=format,
            overwrite=overwrite,
            overlap=overlap,
            recheck_open=recheck_open,
            on_progress=on_progress,
            excel=excel,
        )

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
    ) -> Push[AddedTicket]:
        """Add many tickets, and report the outcome of each.

        ::

            async with client.tickets.push(rows) as outcomes:
                async for outcome in outcomes:
                    ...

        A row that cannot be sent, or that the service refuses, never stops the others. What never
        left this machine is sent again as the client's retry policy says; what may have arrived is
        never sent again. When the service asks to slow down, all workers wait.

        What an answer repeats is compared with its row. An answer with the content of another row,
        or with the id of another row's ticket, makes the row ``Unknown``
        (:class:`AnswerMismatchError`); the second such answer stops the push. If two rows get one
        id and nothing else tells them apart, the row that was accepted before is in doubt, too: the
        event :class:`RowDoubted` says so, and the journal, if there is one.
        :attr:`Accepted.checked` tells whether an answer repeated anything of its row.

        Args:
            source: any iterable or async iterable of :class:`NewTicket`, of mappings by wire names,
                or of :class:`Row` around either. It is read as fast as the service takes the rows,
                never ahead of that. Or a data frame: anything with an ``__arrow_c_stream__``, as
                polars, pandas, pyarrow and duckdb have it (the extra ``arrow``); a null or ``NaN``
                is not given, and a number is sent as text.
            key: returns the row's name for its outcome; a :class:`Row` brings its own. Of a data
                frame also the name of a column.
            map: of a data frame, which column is sent as which field, such as
                ``{"title": "Subject"}``; ``"object.field"`` is a field of an object
                that your tenant defines. No other column is sent. Without it, every column must
                have the name of a documented field.
            max_concurrency: the most requests in flight; by default the client's number of
                connections. Up to that, the push finds the best number by itself.
            max_rate: the most requests per second, for a service whose limit is known.
            patience: the most seconds that one row is retried later, because the service asks to
                slow down or cannot be reached after it had worked; then the row counts as rejected
                or not sent.
            give_up_after: stop after this many consecutive rows failed for reasons that are not
                their own (service unreachable or silent, credentials refused); ``None``: never.
            keep_going: refusals never stop the push. Without it, a push stops at the first row if
                its credentials are refused or nothing accepts the call at its address; and later
                after 50 consecutive refusals that are alike and not documented as refusals of the
                row's own data ("Auth Key Expired", "limit exceeded"). Until the first row is
                accepted, one request is sent at a time.
            on_event: called with every outcome, pause and stop.
            journal: the journal's file, created if it does not exist. With a journal the push
                survives crashes: what was accepted is not sent again, nor is what is in doubt (see
                :meth:`reconcile`), and everything else resumes. A row is recognized by its key, or
                by its content if it has none. The same row again under one key is one ticket; a
                different row under that key is not sent, and the journal lists it. Without a
                journal, keys are not remembered: every row is sent.
            reference: where to put a row's reference, by which a lost answer is looked up:
                ``"text"``, a line at the end of ``ticket_details``; a :class:`Field` of an
                associate object; or ``None``: then a doubt becomes "probable" at best. Used only
                with a journal.
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
            A push, not yet running; see :class:`Push`.

        Raises:
            InvalidInputError: the source is not iterable, or a setting is out of range.
            JournalError: when it is entered: the journal cannot be used. Nothing was sent.
            ConfirmationNeededError: another journal sent these rows; see ``new_journal``. Or,
                from the iteration, after its last outcome: see ``new_keys``.
            PushStoppedError: from the iteration, after its last outcome: the push stopped early.
        """
        rows, key = as_rows(source, map, key, fields=KNOWN_FIELDS)
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

    def update_many(
        self,
        source: Source[TicketUpdate | Mapping[str, Any] | Row[Any]] | ArrowStream,
        *,
        sub_status: str | None = None,
        comment: str | None = None,
        callback_time: datetime | str | None = None,
        queue: str | None = None,
        disposition: str | None = None,
        status: str | None = None,
        extra: Mapping[str, Any] | None = None,
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
    ) -> Push[UpdatedTicket]:
        """Change many tickets, and report the outcome of each.

        ::

            rows = [{"ticket_id": "713516551148", "comment": "Solved by phone."}]
            async with client.tickets.update_many(rows, sub_status="CL", journal=path) as outcomes:
                async for outcome in outcomes:
                    ...

        It is :meth:`push`, for updates. Each ticket is updated once: a row whose ticket id was in
        an earlier row is not sent, unless ``key`` says otherwise. With a journal, such a row is
        listed there, unless it is the very same update.

        With a journal, a comment ends with one more line, ``[ref:...]``, by which a lost answer is
        looked up. A row without a comment carries no reference, since an added comment would be a
        change of its own: if its answer is lost, it stays in doubt until you have looked at the
        ticket (see :meth:`resolve`). It is never sent again blindly, as that could undo what
        was changed in between. For rows without comments that must be provable, use a
        :class:`Field` as ``reference``.

        Args:
            source: any iterable or async iterable of :class:`TicketUpdate`, of mappings by wire
                names (``ticket_id``, ``sub_status``, ``comment``, ...), or of :class:`Row`
                around either; or a data frame, as for :meth:`push`.
            sub_status, comment, callback_time, queue, disposition, status, extra: what each row
                gets that lacks it; see :meth:`update`. Every row needs a sub-status.
            key: returns a row's name, by which a journal recognizes it. By default it is the ticket
                id, unless a :class:`Row` brings a key of its own. Of a data frame also the name
                of a column.
            map: of a data frame, which column is sent as which field, as for :meth:`push`.
            max_concurrency, max_rate, patience, give_up_after, keep_going, on_event: as for
                :meth:`push`.
            journal: the journal's file, created if it does not exist; as for :meth:`push`.
            reference: where to put a row's reference: ``"text"``, a line at the end of
                ``comment``; a :class:`Field` of an associate object; or ``None``. Used only
                with a journal.
            payloads: keep in the journal what is needed to send a row again, until the ticket is
                updated. Without, the source must be given again, and a doubt never counts as
                absent, since it is not known whether the row had a comment.
            from_journal, restored, new_journal, keys_exact, new_keys: as for :meth:`push`.

        Returns:
            A push, not yet running; see :class:`Push`.

        Raises:
            InvalidInputError: the source is not iterable, or a setting is out of range.
            JournalError: when it is entered: the journal cannot be used. Nothing was sent.
            ConfirmationNeededError: another journal sent these rows; see ``new_journal``. Or,
                from the iteration, after its last outcome: see ``new_keys``.
            PushStoppedError: from the iteration, after its last outcome: the push stopped early.
        """
        given = Payload(
            sub_status=sub_status,
            comment=comment,
            callback_time=callback_time,
            queue=queue,
            disposition=disposition,
            status=status,
        )
        check_mapping("extra", extra)
        defaults = Defaults(given, Payload(extra or {}), self._requestor.codec.zone)
        by_ticket = key is None
        rows, key = as_rows(source, map, key, fields=UPDATE_FIELDS)
        updated = self._updated(reference, read=defaults.apply, by_ticket=by_ticket)
        return updated.push(
            EachOnce(remember=journal is None).of(rows) if by_ticket else rows,
            PushSettings(
                keys=BY_TICKET if by_ticket else None,
                journal=journal,
                payloads=payloads,
                from_journal=from_journal,
                restored=restored,
                new_journal=new_journal,
                keys_exact=keys_exact,
                new_keys=new_keys,
                key=ticket_of if by_ticket else key,
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

        Waits until the settle time is over, then looks for the references; what is not found is
        looked for a second time. Absent rows can be sent again, by the same push. A lookup that
        shows no other row of the journal proves nothing and leaves rows open, and so does a ticket
        without a reference that starts with the same text (the row is then probable).

        For the tickets of a :meth:`push` it pulls the days concerned; for an :meth:`update_many` it
        gets each unconfirmed ticket with its conversations. This holds as long as pulls list every
        ticket (or tickets show every note) within the settle time, references come back with them,
        and nothing else writes them; for pushes, :meth:`doctor` tests that.

        Args:
            journal: the file.
            reference: as for the push.
            settle: seconds from the last sign of an unconfirmed row to the first lookup. Default
                300, or twice the time for a call if that is more, and no less. The longer call
                counts, of this client or of the one that pushed.
            assume_complete: count rows as absent although the lookups could have missed them; see
                :attr:`Reconciliation.unconfirmed`.
            probe: where nothing else keeps rows open, create ONE ticket that says it is a trial,
                with a neutral text like theirs, and look for it: if it is found, the lists show
                rows like these. Close it afterwards; its id is in :attr:`Reconciliation.trial`. No
                trial ticket is ever created without this.
            on_event: called with waits and lookups.

        Returns:
            What happened to each row.

        Raises:
            InvalidInputError: ``settle`` is too short, or ``probe`` could prove nothing: for
                updates, or without a reference.
            JournalError: the journal cannot be used, or belongs to another push.
            HelpdeskError: a lookup failed. What was resolved before is in the journal, and
                :meth:`Reconciliation.before` returns it.
        """
        operation = await self._operation_of(
            journal, reference, settle, on_event, assume_complete=assume_complete, probe=probe
        )
        return await operation.reconcile(
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

        For the tickets of a :meth:`push` it pulls the days on which anything was sent; for an
        :meth:`update_many` it gets each ticket with its conversations.

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
        operation = await self._operation_of(journal, reference, settle, on_event)
        return await operation.verify(journal, settle=settle, on_event=on_event)

    async def doctor(
        self,
        trial: NewTicket | None = None,
        *,
        long: int | None = None,
        reference: ReferencePlace = TEXT,
        patience: float = 120.0,
    ) -> Diagnosis:
        """Find out with one trial ticket what a push with a journal can guarantee here.

        Creates a ticket that says it is a trial, and looks for its reference until it comes back.
        Close the ticket afterwards.

        Args:
            trial: your own trial ticket, where the tenant requires certain fields.
            long: characters of the trial's text, best as many as your longest row has. The
                reference is at the end: where the service shortens a text it is lost, and such a
                row would count as absent.
            reference: as for the push.
            patience: the most seconds to wait for the reference.

        Returns:
            The guarantee that holds, and why.

        Raises:
            InvalidInputError: references do not travel, or an argument is wrong.
            HelpdeskError: the trial ticket was not created, or that is in doubt.
        """
        operation = self._added(reference)
        if trial is not None and not isinstance(trial, NewTicket):
            raise InvalidInputError(f"trial must be a NewTicket, not {type(trial).__name__}")
        if trial is not None and long is not None:
            raise InvalidInputError("long is for the built-in trial ticket, not for your own")
        text = TRIAL_TEXT if long is None else long_text(TRIAL_TEXT, long)
        ticket = trial or NewTicket(title=TRIAL_TITLE, ticket_details=text)
        found = await operation.doctor(ticket.to_wire(), patience=patience)
        if long is None:
            return found
        return evolve(found, why=f"{found.why}, with a text of {long:,} characters")

    # --- below: no public names ----------------------------------------------------------------

    def _added(self, reference: ReferencePlace) -> JournaledOperation[dict[str, Any], AddedTicket]:
        check_place(reference)
        return added_tickets(self._requestor, reference, self.pull, self._add)

    def _updated(
        self, reference: ReferencePlace, *, read: Callable[[Any], TicketUpdate], by_ticket: bool
    ) -> JournaledOperation[TicketUpdate, UpdatedTicket]:
        check_place(reference)
        return updated_tickets(
            self._requestor, reference, self.get_many, self._update, read=read, by_ticket=by_ticket
        )

    async def _operation_of(
        self,
        journal: str | os.PathLike[str],
        reference: ReferencePlace,
        settle: float | None,
        on_event: object,
        **flags: bool,
    ) -> JournaledOperation[Any, Any]:
        """The operation that a journal is for."""
        added = self._added(reference)
        stored = await added.stored_job(journal, settle, on_event, **flags)
        if stored.operation == UPDATE_TICKET.name:
            by_ticket = stored.keys == BY_TICKET
            return self._updated(reference, read=ticket_update, by_ticket=by_ticket)
        return added

    async def _add(
        self,
        caller: ApiRequestor,
        body: dict[str, Any],
        headers: Mapping[str, Secret] | None = None,
    ) -> AddedTicket:
        codec = caller.codec
        response = await caller.call(ADD_TICKET, body, headers=headers)
        body = response.body
        added = codec.decode(body, AddedTicket)
        ticket, given = body.get("ticket"), body.get("ticket_id")
        if (
            given.__class__ is str
            and given.strip()  # pyright: ignore[reportOptionalMemberAccess]
            and body.get("Ticket Id", given) == given
            and ticket.__class__ is dict
            and ticket.get("ticketId", given) == given  # pyright: ignore[reportOptionalMemberAccess]
        ):
            return added  # nearly always
        if not added.ticket_id:
            added = codec.decode(older_names(response.body), AddedTicket)
        if not added.ticket_id:
            raise response.unreadable("the answer says success but names no ticket id")
        if len(ids_of(response.body)) > 1:
            raise response.mismatch("the answer says success and gives two ticket ids that differ")
        return added

    async def _update(
        self,
        caller: ApiRequestor,
        update: TicketUpdate,
        headers: Mapping[str, Secret] | None = None,
    ) -> UpdatedTicket:
        asked = update.ticket_id
        response = await caller.call(
            UPDATE_TICKET, update.to_wire(caller.codec.zone), headers=headers
        )
        updated = caller.codec.decode(response.body, UpdatedTicket)
        named = (updated.ticket_id or "").strip()
        if named and named != asked.strip():
            raise response.mismatch(
                "the answer says success but names another ticket than the updated one "
                "(the two may have been merged): either may have been changed",
                named,
            )
        return updated
