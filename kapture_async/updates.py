"""What a bulk update sends for each ticket. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from attrs import evolve, field, frozen

from ._bodies import callback_text, checked_id, checked_text, merge_extra, merge_given
from ._core.errors import InvalidInputError
from ._core.given import given, members
from ._core.journal.reference import append_marker
from ._core.requestor import Payload
from ._outgoing import check_names, frozen_mapping
from ._reference import Field, ReferencePlace, with_field

UPDATE_FIELDS = (
    "ticket_id",
    "sub_status",
    "queue",
    "comment",
    "callback_time",
    "disposition",
    "status",
)
"""The fields of an update (SERVICE.md, section 2; ``status`` is sent by live clients)."""
_DEFAULTED = UPDATE_FIELDS[1:]


@frozen(kw_only=True, repr=False)
class TicketUpdate:
    """A change to one ticket, for ``tickets.update_many``. Its repr shows no text of it.

    Attributes:
        ticket_id: the ticket.
        sub_status: the key of the sub-status, such as ``"CL"``; tenants define their own
            (SERVICE.md, sections 2 and 15). The service wants one: where a row has
            none, that of the whole bulk is sent.
        comment: text to add.
        callback_time: when to call back; a datetime, or text as ``YYYY-MM-DD HH:MM:SS``.
        queue: the key of the queue.
        disposition: the folder path.
        status: display label such as ``"Complete"``; not documented, sent by live clients.
        extra: further fields by their wire names, such as the tenant's associate objects; also
            one of the others that is not given, to be sent as it is.

    Raises:
        InvalidInputError: the ticket id is missing or is none, a field has the wrong type, or
            ``extra`` names one again that is given.
    """

    ticket_id: str = field(converter=checked_id)
    sub_status: str | None = field(default=None, converter=given)
    comment: str | None = field(default=None, converter=given)
    callback_time: datetime | str | None = field(default=None, converter=given)
    queue: str | None = field(default=None, converter=given)
    disposition: str | None = field(default=None, converter=given)
    status: str | None = field(default=None, converter=given)
    extra: Mapping[str, Any] = field(factory=dict, converter=frozen_mapping)

    def __attrs_post_init__(self) -> None:
        for name in _DEFAULTED:
            value = getattr(self, name)
            moment = name == "callback_time" and isinstance(value, datetime)
            if value is not None and not isinstance(value, str) and not moment:
                text = f"must be text, not {type(value).__name__}"
                raise InvalidInputError(f"{name} {text}", fields={name: (text,)})
        given = [name for name in UPDATE_FIELDS if getattr(self, name) is not None]
        check_names("extra", self.extra, dict.fromkeys(given))

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> TicketUpdate:
        """An update from a mapping of wire names: what is not an update's own becomes ``extra``.

        Raises:
            InvalidInputError: as the class itself.
        """
        row = members(row)
        if row.get("ticket_id") is None:
            raise InvalidInputError("ticket_id is missing", fields={"ticket_id": ("is missing",)})
        extra = {name: value for name, value in row.items() if name not in UPDATE_FIELDS}
        return cls(**{name: row[name] for name in UPDATE_FIELDS if name in row}, extra=extra)

    def to_wire(self, zone: tzinfo) -> dict[str, Any]:
        """The fields by their wire names, without those that are ``None``; not yet encoded.

        Raises:
            InvalidInputError: there is no sub-status, or the call-back time has another form.
        """
        if self.sub_status is None and "sub_status" not in self.extra:
            raise InvalidInputError("sub_status is missing", fields={"sub_status": ("is missing",)})
        body = Payload(ticket_id=self.ticket_id)
        if self.sub_status is not None:
            body["sub_status"] = checked_text("sub_status", self.sub_status)
        if self.callback_time is not None:
            body["callback_time"] = callback_text(self.callback_time, zone)
        merge_given(
            body,
            comment=self.comment,
            queue=self.queue,
            disposition=self.disposition,
            status=self.status,
        )
        merge_extra(body, self.extra)
        return body

    def __repr__(self) -> str:
        given = [name for name in _DEFAULTED if getattr(self, name) is not None]
        return f"<TicketUpdate of {self.ticket_id!r} with {', '.join([*given, *self.extra])}>"

    def __reduce__(self) -> Any:
        # A mapping proxy does not pickle, so the fields are passed through the constructor.
        fields = {name: getattr(self, name) for name in UPDATE_FIELDS}
        return _new_update, (fields, dict(self.extra))


def _new_update(fields: dict[str, Any], extra: dict[str, Any]) -> TicketUpdate:
    return TicketUpdate(**fields, extra=extra)


@frozen(repr=False)
class Defaults:
    """What all rows of a bulk get that lack it.

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
        """A row of the bulk as the update it stands for.

        Raises:
            InvalidInputError: it is none, or cannot be sent as it is.
        """
        update = row if isinstance(row, TicketUpdate) else update_from(row)
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


def update_from(row: Any) -> TicketUpdate:
    """A row of a bulk as an update. Whatever the mapping raises is the row's own problem."""
    if not isinstance(row, Mapping):
        raise InvalidInputError(
            f"a row must be a TicketUpdate or a mapping, not {type(row).__name__}"
        )
    try:
        return TicketUpdate.from_mapping(row)
    except InvalidInputError:
        raise
    except Exception as error:  # whatever a mapping of somebody else's may raise
        raise InvalidInputError(f"the row cannot be read ({type(error).__name__})") from None


def ticket_of(row: Any) -> str:
    """The ticket that a row is for.

    Raises:
        InvalidInputError: it names none.
    """
    if isinstance(row, TicketUpdate):
        return row.ticket_id
    if isinstance(row, Mapping):
        try:
            ticket_id = row.get("ticket_id")
        except Exception:  # whatever a mapping of somebody else's may raise
            ticket_id = None
        if ticket_id is not None:
            return checked_id(ticket_id)
    return update_from(row).ticket_id


def mark_update(update: TicketUpdate, reference: str, place: ReferencePlace) -> TicketUpdate:
    """The update with its reference: at the end of its comment, if it has one, or in a field.

    Raises:
        InvalidInputError: the place is taken by the update's own data.
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
