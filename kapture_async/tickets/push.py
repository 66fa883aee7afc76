"""Pushed tickets and updates: how a row is encoded, marked and looked up, and what answers repeat.

An update appears in no list: its ticket has to be fetched. A comment comes back as a note of the
ticket (SERVICE.md, section 3: ``conversation_type.notes[].detail``).
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import date, datetime, tzinfo
from functools import partial
from operator import attrgetter
from typing import Any, Protocol

import orjson
from attrs import evolve, frozen

from .._api import ADD_TICKET, UPDATE_TICKET
from .._core.codec import Codec
from .._core.errors import (
    EndpointNotFoundError,
    HelpdeskError,
    InvalidInputError,
    NotFoundError,
    RejectedError,
)
from .._core.journal.reference import append_marker, references_in
from .._core.pull.pages import Pages
from .._core.push.answers import AnswerRule, Texts
from .._core.push.operation import JournaledOperation, build_row, content_of, read_row
from .._core.push.rows import Row
from .._core.reconcile.candidates import beginning, clues_in
from .._core.reconcile.doctor import TITLE, trial_text
from .._core.reconcile.evidence import ListedTicket, ListEnd, ListTickets
from .._core.reconcile.lookup import AskedRow, AskRows, RowAnswer
from .._core.requestor import ApiRequestor
from .._core.transport.request import sorted_json
from .._reference import TEXT, Field, ReferencePlace, describe, field_values, mark, with_field
from .._validation import checked_id
from .models import (
    KNOWN_FIELDS,
    UPDATE_FIELDS,
    AddedTicket,
    NewTicket,
    TicketDetail,
    TicketRow,
    TicketUpdate,
    UpdatedTicket,
)


def added_tickets(
    requestor: ApiRequestor,
    place: ReferencePlace,
    pull: Callable[[datetime, datetime], Pages[TicketRow]],
    send: Callable[[ApiRequestor, dict[str, Any]], Awaitable[AddedTicket]],
) -> JournaledOperation[dict[str, Any], AddedTicket]:
    """New tickets: in a journal they are their bodies; the days of a pull show them."""
    codec = requestor.codec
    return JournaledOperation(
        requestor=requestor,
        name=ADD_TICKET.name,
        place=describe(place, "ticket_details"),
        read=ticket_body,
        pack=partial(pack, codec=codec),
        unpack=orjson.loads,
        mark=partial(mark, place=place),
        send=send,
        lookup=tickets_listed(pull, codec, place),
        texts_of=_packed_texts,
        clues_of=_packed_clues,
        day_of=lambda at: datetime.fromtimestamp(at, codec.zone).date(),
        trial=lambda traits, like: NewTicket(
            title=TITLE, ticket_details=trial_text(traits)
        ).to_wire(),
        answers=ADDED,
    )


def updated_tickets(
    requestor: ApiRequestor,
    place: ReferencePlace,
    get_many: GetMany,
    send: Callable[[ApiRequestor, TicketUpdate], Awaitable[UpdatedTicket]],
    *,
    read: Callable[[Any], TicketUpdate],
    by_ticket: bool,
) -> JournaledOperation[TicketUpdate, UpdatedTicket]:
    """Updates: in a journal they are whole, with what the bulk has in common.

    Args:
        requestor: makes the calls.
        place: where references travel.
        get_many: gets tickets by their ids.
        send: sends one.
        read: a row as an update.
        by_ticket: the rows' keys are the ids of their tickets.
    """
    return JournaledOperation(
        requestor=requestor,
        name=UPDATE_TICKET.name,
        place=describe(place, "comment"),
        read=read,
        pack=partial(pack_update, codec=requestor.codec),
        unpack=_unpack,
        mark=partial(mark_update, place=place),
        send=send,
        lookup=answers_for(get_many, place, by_ticket=by_ticket),
        answers=UPDATED,
    )


def pack(body: dict[str, Any], codec: Codec) -> bytes:
    """A ticket's body as bytes, always the same for the same content."""
    return sorted_json(codec.encode(body))


def tickets_listed(
    pull: Callable[[datetime, datetime], Pages[TicketRow]], codec: Codec, place: ReferencePlace
) -> ListTickets:
    """How to see every ticket of a time: the days concerned, in the service's calendar."""

    async def list_tickets(since: float, until: float) -> AsyncIterator[ListedTicket | ListEnd]:
        first, last = (datetime.fromtimestamp(moment, codec.zone) for moment in (since, until))
        ends: list[ListEnd] = []
        async with pull(first, last) as rows:
            rows.on_end = lambda day, count, total: ends.append(
                ListEnd(date.fromisoformat(day), count, total)
            )
            while (some := await rows.next_rows()) is not None:
                day = date.fromisoformat(rows.window)
                for end in ends:
                    if end.day != day:  # that has ended, perhaps without rows, before these came
                        yield end
                for row in some:
                    yield _seen(row, place)
                for end in ends:
                    if end.day == day:
                        yield end
                ends.clear()
            for end in ends:
                yield end

    return list_tickets


def _seen(row: TicketRow, place: ReferencePlace) -> ListedTicket:
    return ListedTicket(
        row.ticket_id or None,
        references_of(row, place),
        content_of(row.title, row.detail) if place is None else None,
        beginning(row.title, row.detail) if place == TEXT else None,
        merged_into=row.merged_into,
        created_at=None if row.created_at is None else row.created_at.timestamp(),
        made_by=(row.creator_id or row.creator_name, row.primary_source),
        clues=lambda: clues_in(
            row.title, row.detail, marks=(row.email, row.phone, row.customer_phone)
        ),
    )


def _packed_texts(payload: bytes) -> tuple[str | None, str | None]:
    body = orjson.loads(payload)
    return body.get("title"), body.get("ticket_details")


def _packed_clues(payload: bytes) -> frozenset[str]:
    body = orjson.loads(payload)
    texts = [text for text in body.values() if isinstance(text, str)]
    for value in body.values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                texts += [text for text in inner.values() if isinstance(text, str)]
    return clues_in(body.get("title"), body.get("ticket_details"), marks=texts)


def references_of(row: TicketRow, place: ReferencePlace) -> frozenset[str]:
    """The references a pulled ticket carries."""
    if not isinstance(place, Field):
        return frozenset(references_in(row.detail or ""))
    return field_values(row.associate_fields, place)


def ticket_body(row: Any) -> dict[str, Any]:
    """A row of a push as a body.

    Raises:
        InvalidInputError: it is neither a ticket nor a mapping that makes one.
    """
    if isinstance(row, NewTicket):
        return row.to_wire()
    if row.__class__ is dict:
        return NewTicket.wire_of(row)
    if isinstance(row, Mapping):
        return build_row(row, NewTicket.wire_of)
    raise InvalidInputError(f"a row must be a NewTicket or a mapping, not {type(row).__name__}")


BY_TICKET = "the ticket id"
"""What tells rows apart, in the words of a journal whose keys are ticket ids."""
_AT_ONCE = 500
"""Tickets in memory at a time."""
_MAY_BE_CUT = "no ticket shows more notes than its own, so there may be a limit that cut it off"
_SURE = 30
"""Characters that a cut comment must still have to count as the one that was sent."""


def pack_update(update: TicketUpdate, codec: Codec) -> bytes:
    """An update as bytes, always the same for the same content."""
    return sorted_json(codec.encode(update.to_wire(codec.zone)))


def _unpack(payload: bytes) -> TicketUpdate:
    """An update as it was packed: its call-back time is in the service's own form by now."""
    content = orjson.loads(payload)
    ready = {name: content.pop(name) for name in ("callback_time",) if name in content}
    update = TicketUpdate.from_mapping(content)
    return evolve(update, extra={**update.extra, **ready}) if ready else update


# --- each ticket once ----------------------------------------------------------------------------


class EachOnce:
    """Names rows by their tickets.

    Args:
        remember: refuse a ticket that came before; a journal does that by itself.
    """

    def __init__(self, *, remember: bool) -> None:
        self._seen: set[str] | None = set() if remember else None

    def of(self, source: Any) -> Any:
        """The same source, its rows named. Anything else is returned as it is."""
        if isinstance(source, (str, bytes, dict)):
            return source
        if isinstance(source, AsyncIterable):
            return self._later(source)
        return self._now(source) if isinstance(source, Iterable) else source

    def _now(self, source: Iterable[Any]) -> Iterator[Any]:
        for row in source:
            yield self._named(row)

    async def _later(self, source: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        rows = aiter(source)
        try:
            async for row in rows:
                yield self._named(row)
        finally:
            if isinstance(rows, AsyncGenerator):
                await rows.aclose()

    def _named(self, row: Any) -> Any:
        given = row if isinstance(row, Row) else Row(row)
        if given.problem is not None:
            return row
        key = given.key if given.keyed else None
        try:
            ticket_id = ticket_of(given.value)
        except InvalidInputError as error:
            return row if key is not None else evolve(given, problem=error)
        # A key that is the ticket id with blanks around it must not make another row of it.
        name = ticket_id if key is None or key.strip() == ticket_id else key
        problem = None
        if self._seen is not None:
            if name in self._seen:
                what = "ticket id" if name == ticket_id else "key"
                problem = InvalidInputError(f"its {what} was in an earlier row of this push")
            self._seen.add(name)
        if problem is None and given.keyed and key in (None, name):
            return row  # so that its outcome holds the very object given
        return evolve(given, key=name, keyed=True, problem=problem)


# --- looking up an update ------------------------------------------------------------------------


class GetMany(Protocol):
    """Gets tickets by their ids."""

    def __call__(self, ticket_ids: Iterable[str], *, conversation_type: str) -> Awaitable[Any]:
        """Gives a :class:`.TicketLookup`."""
        ...


def answers_for(get_many: GetMany, place: ReferencePlace, *, by_ticket: bool) -> AskRows:
    """How to look up updates: by their tickets, with all conversations.

    A ticket that the service does not return proves nothing: it may have been merged into another.

    Args:
        get_many: gets tickets.
        place: where references travel.
        by_ticket: rows' keys are the ids of their tickets.
    """

    async def ask(rows: Sequence[AskedRow]) -> AsyncIterator[RowAnswer]:
        answers: list[tuple[RowAnswer, bool]] = []
        notes: dict[str, int] = {}
        places: dict[int, str] = {}
        named = [(one, _ticket_of(one, by_ticket=by_ticket)) for one in rows]
        asked = [(one, ticket_id) for one, ticket_id in named if ticket_id]
        for start in range(0, len(asked), _AT_ONCE):
            some = asked[start : start + _AT_ONCE]
            ids = [ticket_id for _, ticket_id in some]
            try:
                lookup = await get_many(ids, conversation_type="all")
            except EndpointNotFoundError:
                raise
            except NotFoundError:
                continue  # not one of them is known
            _raise_first(lookup.failed)
            for ticket_id, ticket in lookup.found.items():
                notes[ticket_id] = max(map(len, _conversations(ticket)), default=0)
            places.update((one.row, ticket_id) for one, ticket_id in some)
            answers += [
                _answer_of(one, lookup.found[ticket_id], ticket_id, place)
                for one, ticket_id in some
                if ticket_id in lookup.found
            ]
        # Where references are seen to come back, a ticket without a list of notes has no notes.
        shows = any(one.proven and one.ticket_ids for one, _ in answers)
        most = max(notes.values(), default=0)
        for one, listed in answers:
            count = notes[places[one.row]]
            if not (listed or shows):
                yield evolve(one, telling=False)
            elif count == most > 1 and place == TEXT and one.telling and not one.ticket_ids:
                # No ticket shows more, so this may be a limit, and ours the next. No service
                # shows one note only.
                yield evolve(one, telling=False, why=_MAY_BE_CUT)
            else:
                yield one

    return AskRows(ask)


def _raise_first(failed: Mapping[str, HelpdeskError]) -> None:
    """A refusal is about its ticket, which stays in doubt; any other error ends the lookup."""
    for error in failed.values():
        if not isinstance(error, RejectedError) or isinstance(error, EndpointNotFoundError):
            raise error


def _ticket_of(asked: AskedRow, *, by_ticket: bool) -> str | None:
    if asked.payload is not None:
        ticket_id: str = orjson.loads(asked.payload)["ticket_id"]
        return ticket_id
    return asked.key if by_ticket else asked.ticket_id


def _answer_of(
    asked: AskedRow, ticket: TicketDetail, ticket_id: str, place: ReferencePlace
) -> tuple[RowAnswer, bool]:
    """What a ticket shows of an update, and whether it shows the place of a reference."""
    row, mine = asked.row, asked.reference
    if isinstance(place, Field):
        values = field_values(ticket.associate_fields, place)
        others = tuple((value, ticket_id) for value in sorted(values - {mine}))
        if mine in values:
            return RowAnswer(row=row, ticket_ids=(ticket_id,), others=others), True
        # Another value may have replaced ours.
        return (
            RowAnswer(row=row, telling=not values, others=others),
            ticket.associate_fields is not None,
        )
    lists = _conversations(ticket)
    if place == TEXT:
        times = _times(lists)
        others = tuple((ref, ticket_id) for ref in times.elements() if ref != mine)
        if times[mine]:
            return RowAnswer(row=row, ticket_ids=(ticket_id,) * times[mine], others=others), True
    else:
        others = ()
    if asked.payload is None and asked.marked and place == TEXT:
        return RowAnswer(row=row, others=others), bool(lists)
    body = {} if asked.payload is None else orjson.loads(asked.payload)
    comment = body.get("comment") or ""
    if not has_comment(comment):
        return RowAnswer(row=row, telling=False, others=others), True
    sent = append_marker(comment, asked.reference) if place == TEXT else comment
    if any(_is_alike(text, comment, sent) for texts in lists for text in texts):
        return RowAnswer(row=row, ticket_ids=(ticket_id,), proven=False, others=others), True
    return RowAnswer(row=row, telling=place == TEXT, others=others), bool(lists)


def _conversations(ticket: TicketDetail) -> list[list[str]]:
    """The texts of each kind of conversation: notes, and whatever else there is."""
    found = []
    for entries in (ticket.conversations or {}).values():
        if isinstance(entries, list):
            texts = (
                entry.get("detail") if isinstance(entry, Mapping) else entry for entry in entries
            )
            found.append([text for text in texts if isinstance(text, str)])
    return found


def _times(lists: list[list[str]]) -> Counter[str]:
    """How often each reference occurs; the same note may be in several lists."""
    times: Counter[str] = Counter()
    for texts in lists:
        times |= Counter(reference for text in texts for reference in references_in(text))
    return times


def _is_alike(text: str, comment: str, sent: str) -> bool:
    """Whether a note may be the comment without its reference: taken off, or cut off."""
    if references_in(text):
        return False  # it is another row's
    note, whole, own = (" ".join(html.unescape(t).split()) for t in (text, sent, comment))
    return whole.startswith(note) and len(note) >= min(len(own), _SURE)


@frozen(repr=False)
class Defaults:
    """What each row of a push gets where it lacks it.

    Raises:
        InvalidInputError: a value could not be sent.
    """

    fields: Mapping[str, Any]
    extra: Mapping[str, Any]
    zone: tzinfo

    def __attrs_post_init__(self) -> None:
        sub_status = self.fields.get("sub_status")
        fields = {"sub_status": "any" if sub_status is None else sub_status}
        trial = TicketUpdate(ticket_id="any", **{**self.fields, **fields}, extra=self.extra)
        trial.to_wire(self.zone)

    def apply(self, row: Any) -> TicketUpdate:
        """A row of the push as an update.

        Raises:
            InvalidInputError: it makes none, or cannot be sent as it is.
        """
        update = ticket_update(row)
        missing = {
            name: value
            for name, value in self.fields.items()
            if value is not None and getattr(update, name) is None and name not in update.extra
        }
        if self.extra:
            own = {name for name in UPDATE_FIELDS if getattr(update, name) is not None}
            more = {name: value for name, value in self.extra.items() if name not in own}
            missing["extra"] = {**more, **update.extra}
        return evolve(update, **missing) if missing else update


def ticket_update(row: Any) -> TicketUpdate:
    """A row of a push as an update.

    Raises:
        InvalidInputError: it makes none.
    """
    return read_row(row, TicketUpdate, TicketUpdate.from_mapping, "TicketUpdate")


def ticket_of(row: Any) -> str:
    """The ticket that a row is for.

    Raises:
        InvalidInputError: it names none.
    """
    if isinstance(row, TicketUpdate):
        return row.ticket_id
    if isinstance(row, Mapping):
        ticket_id = build_row(row, lambda given: given.get("ticket_id"))
        if ticket_id is not None:
            return checked_id(ticket_id)
    return ticket_update(row).ticket_id


def mark_update(update: TicketUpdate, reference: str, place: ReferencePlace) -> TicketUpdate:
    """The update with its reference: at the end of its comment, if it has one, or in a field.

    Raises:
        InvalidInputError: the place holds the update's own data.
    """
    if place is None:
        return update
    if isinstance(place, Field):
        return evolve(update, extra=with_field(update.extra, reference, place))
    if not has_comment(update.comment):
        return update  # a comment where none was wanted would be a change of its own
    return evolve(update, comment=append_marker(update.comment, reference))


def has_comment(comment: str | None) -> bool:
    """Whether a comment is one that the service would add."""
    return bool(comment and comment.strip())


_KNOWN = frozenset((*KNOWN_FIELDS, "phone"))


def _ticket_sent(value: Any) -> Texts:
    if value.__class__ is not dict:
        value = value.to_wire() if isinstance(value, NewTicket) else dict(value)
    get = value.get
    fields = None
    if not _KNOWN.issuperset(value):
        fields = value.copy()
        for name in _KNOWN:
            if name in fields:
                del fields[name]
    return get("title"), get("ticket_details"), get("email_id"), get("phone"), fields


def _ticket_told(added: AddedTicket) -> Texts:
    raw = added.raw
    ticket, fields = raw.get("ticket"), raw.get("Additional_details")
    title, detail, email, phone = raw.get("title"), None, None, None
    if isinstance(ticket, dict):
        get = ticket.get
        detail, email, phone = get("detail"), get("email"), get("phone")
        title = title or get("taskTitle")
    if fields.__class__ is not dict:
        fields = None
    return title, detail, email, phone, fields


def _no_id(answer: Any) -> None:
    return None


def ids_of(body: Mapping[str, Any]) -> set[str]:
    """The ids that an answer to Add Ticket has in its three places: one, if all is well."""
    ticket = body.get("ticket")
    within = ticket.get("ticketId") if isinstance(ticket, dict) else None
    given = (body.get("ticket_id"), body.get("Ticket Id"), within)
    return {str(one).strip() for one in given if one} - {""}


ADDED = AnswerRule(
    names=("title", "description", "e-mail address", "phone number", "associate field"),
    sent=_ticket_sent,
    answered=_ticket_told,
    id_of=attrgetter("ticket_id"),
)


def _update_sent(value: Any) -> Texts:
    return (ticket_of(value),)


def _update_told(updated: UpdatedTicket) -> Texts:
    return (updated.ticket_id,)


UPDATED = AnswerRule(
    names=("ticket id",), sent=_update_sent, answered=_update_told, id_of=_no_id, by_id=True
)
