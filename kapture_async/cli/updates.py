"""The command ``update-many``: tickets are updated from a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import click
from attrs import evolve, frozen

from .._api import INDIA, UPDATE_TICKET, codec_of
from .._core.cli.options import Decorator, Target, given_again, pairs, target_options
from .._core.cli.pushfile import push_file
from .._core.cli.pushing import connect_by
from .._core.cli.pushoptions import PushOptions, push_options
from .._core.cli.service import Service
from .._core.push.sources import Columns
from ..client import KaptureClient
from ..tickets.models import UPDATE_FIELDS, TicketUpdate
from ..tickets.push import BY_TICKET, mark_update, pack_update
from .options import KapturePushOptions, KaptureTarget, extra_pairs, place_in
from .service import program

if TYPE_CHECKING:
    from .._core.outcome import Outcome

_ID = "ticket_id"
_FILLED: Mapping[str, tuple[str, str]] = {
    "sub_status": ("KEY", "The sub-status of rows that have none, such as CL; tenants differ."),
    "comment": ("TEXT", "The comment of rows that have none."),
    "queue": ("KEY", "The queue of rows that have none."),
    "disposition": ("PATH", "The folder of rows that have none."),
    "callback_time": ("TIME", "YYYY-MM-DD HH:MM:SS, for rows that have none."),
    "status": ("LABEL", "The label of rows that have none, such as Complete; not documented."),
}


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@frozen(kw_only=True)
class UpdateOptions(KapturePushOptions):
    """With what rows get that lack it. A row is named by its ticket."""

    key_help: ClassVar[str] = (
        "Names each row for good, where a ticket is to be updated more than once.  "
        "[default: the column of the ticket id]"
    )
    reference_means: ClassVar[str] = "the comment, if there is one"
    own_options: ClassVar[tuple[Decorator, ...]] = (
        *(
            click.option(_option(name), metavar=metavar, help=text)
            for name, (metavar, text) in _FILLED.items()
        ),
        *KapturePushOptions.own_options,
    )

    sub_status: str | None
    comment: str | None
    queue: str | None
    disposition: str | None
    callback_time: str | None
    status: str | None

    @property
    def _column(self) -> str:
        """The column with the ticket ids."""
        return pairs(self.map, option="--map").get(_ID, _ID)

    @property
    def columns(self) -> Columns:
        """Which column goes where; a row's key is its ticket id unless --key names another."""
        return Columns(
            fields=pairs(self.map, option="--map"),
            extra=extra_pairs(self.extra),
            extra_as_list=self.extra_shape == "array",
            key=self.key or self._column,
        )

    @property
    def keys(self) -> str | None:
        """What tells rows apart, as a journal has it."""
        return BY_TICKET if self.key in (None, self._column) else self.key

    @property
    def fills(self) -> dict[str, str | None]:
        """What rows get that lack it; a sub-status they must have."""
        given = {name: getattr(self, name) for name in _FILLED}
        needed = {"sub_status": self.sub_status}
        return needed | {name: value for name, value in given.items() if value is not None}

    def own_arguments(self) -> list[str]:
        """See :class:`.PushOptions`."""
        given = given_again({_option(name): getattr(self, name) for name in _FILLED})
        return [*super().own_arguments(), *given]


@click.command("update-many", short_help="Update the tickets of a file.")
@push_options(UpdateOptions)
@target_options(KaptureTarget)
def update_many(options: PushOptions, target: Target) -> None:
    """Update the tickets that a FILE names: their comments, sub-status, and whatever else.

    It is `push`, for updates: with the same files, the same journal, and the same commands
    around it. Columns named ticket_id, sub_status, comment, queue, disposition, callback_time
    and status are sent, or whichever --map names; what a row lacks, options fill in. Each
    ticket is updated once, however often its id stands in FILE; of two different updates of one
    ticket the second is not sent, and listed by `rejects`, until --key gives each a name.

    A comment ends with one line more, by which a lost answer is looked up. A row without a
    comment carries none: if its answer is lost, it is for you to judge, unless --reference
    OBJECT.FIELD names a place for it.
    """
    sys.exit(push_file(options, target, update_service(options)))


def update_service(options: PushOptions | None = None) -> Service:
    """What it takes to update many tickets."""
    assert options is None or isinstance(options, UpdateOptions)
    return Service(
        program=program(),
        command="update-many",
        operation=UPDATE_TICKET.name,
        target=KaptureTarget,
        wire_fields=UPDATE_FIELDS,
        required=(_ID,),
        fills={} if options is None else options.fills,
        build=_build({} if options is None else options.fills),
        check=_check_encoding,
        connect=connect_by(KaptureClient, lambda made: made.tickets.update_many),
        look_up=f"{program()} get TICKET_ID --json",
        place_in=place_in,
        pack=lambda update: pack_update(update, codec_of(INDIA)),
        wire=lambda update, reference, place: mark_update(update, reference, place).to_wire(INDIA),
        answer=_answer,
    )


def _build(fills: Mapping[str, str | None]) -> Callable[[dict[str, Any]], TicketUpdate]:
    def build(content: dict[str, Any]) -> TicketUpdate:
        update = TicketUpdate.from_mapping(content)
        missing: dict[str, Any] = {
            name: value for name, value in fills.items() if getattr(update, name) is None
        }
        update = evolve(update, **missing) if missing else update
        update.to_wire(INDIA)  # whatever is wrong with it is told with its line
        return update

    return build


def _check_encoding(update: TicketUpdate) -> None:
    """Raise ``InvalidInputError`` for an update that cannot be written as JSON."""
    from .._core.transport.request import json_body

    json_body(dict(update.to_wire(INDIA)))


def _answer(outcome: Outcome) -> dict[str, str | None]:
    """What the service said of a ticket that it updated."""
    updated: Any = outcome.result  # type: ignore[attr-defined]
    return {"ticket id": updated.ticket_id, "message": updated.message}
