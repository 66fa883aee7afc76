"""What the commands around a push must know of this service."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from .._api import ADD_TICKET, INDIA, codec_of
from .._core.cli.pushing import connect_by
from .._core.cli.pushoptions import PushOptions
from .._core.cli.running import program_name
from .._core.cli.service import Service
from .._reference import mark
from ..client import KaptureClient
from ..tickets.models import KNOWN_FIELDS, NewTicket
from ..tickets.push import pack
from .options import KaptureTarget, place_in

if TYPE_CHECKING:
    from .._core.outcome import Outcome
    from ..tickets.models import AddedTicket


def program() -> str:
    """How this program was called, for commands to copy."""
    return program_name("kapture-async", "kapture_async")


def service(options: PushOptions | None = None) -> Service:
    """What is known of pushing tickets; the options of a push change none of it."""
    return Service(
        program=program(),
        operation=ADD_TICKET.name,
        target=KaptureTarget,
        wire_fields=KNOWN_FIELDS,
        required=("title",),
        build=NewTicket.from_mapping,
        check=_check_encoding,
        connect=connect_by(KaptureClient),
        look_up=f"{program()} pull --from {datetime.now(INDIA).date()} --out seen.jsonl",
        place_in=place_in,
        pack=lambda ticket: pack(ticket.to_wire(), codec_of(INDIA)),
        wire=lambda ticket, reference, place: mark(ticket.to_wire(), reference, place),
        answer=_answer,
    )


def _answer(outcome: Outcome) -> dict[str, str | None]:
    """What the service said of a ticket that it added."""
    added: AddedTicket = outcome.result  # type: ignore[attr-defined]
    return {"ticket id": added.ticket_id, "title": added.title, "url": added.url}


def _check_encoding(ticket: NewTicket) -> None:
    """Raise ``InvalidInputError`` for a ticket that cannot be written as JSON."""
    from .._core.transport.request import json_body

    json_body(dict(ticket.to_wire()))
