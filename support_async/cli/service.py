"""What the commands around a push must know of this service."""

from __future__ import annotations

from kapture_async._core.cli.pushing import connect_by
from kapture_async._core.cli.pushoptions import PushOptions
from kapture_async._core.cli.running import program_name
from kapture_async._core.cli.service import Service

from .._api import Operations
from ..tickets.models import WIRE_FIELDS
from ..tickets.push import pack
from .calls import client_of
from .options import SupportPushOptions, SupportTarget, place_in
from .rows import check_encoding, row_builder, wire_of

CREATES = Operations().create_ticket.name


def program() -> str:
    """How this program was called, for commands to copy."""
    return program_name("support-async", "support_async")


def service(options: PushOptions | None = None) -> Service:
    """What is known of this service, and of what the options of a push make of rows."""
    assert options is None or isinstance(options, SupportPushOptions)
    return Service(
        program=program(),
        operation=CREATES,
        target=SupportTarget,
        wire_fields=WIRE_FIELDS,
        required=("subject", "comment"),
        fills={} if options is None else options.fills,
        build=row_builder(None if options is None else options.attachments),
        check=check_encoding,
        connect=connect_by(client_of),
        look_up=f"{program()} history --all --out seen.jsonl",
        place_in=place_in,
        pack=pack,
        wire=wire_of,
        answer=lambda outcome: {"ticket id": "the service tells none"},
    )
