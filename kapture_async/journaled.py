"""What a journal must know of Kapture's tickets: their bytes, their mark, and how to find them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from ._core.codec import Codec
from ._core.pull.pages import Pages
from ._core.push.journal.facts import Job
from ._core.push.looks import Look, Seen, beginning
from ._core.push.recorder import Records
from ._core.transport.bodies import sorted_json
from ._core.transport.settings import TransportSettings
from .bodies import ticket_body
from .models import TicketRow
from .references import TEXT, Field, ReferencePlace, content_of, describe, mark, references_of
from .service import ADD_TICKET


def job_of(
    settings: TransportSettings,
    place: ReferencePlace,
    *,
    payloads: bool = True,
    keys: str | None = None,
    source: str | None = None,
    longest_call: float | None = None,
) -> Job:
    """What a journal of new tickets is for."""
    return Job(
        service=settings.service,
        operation=ADD_TICKET.name,
        target=str(settings.base_url),
        place=describe(place),
        keys=keys,
        payloads=payloads,
        source=source,
        longest_call=longest_call,
    )


def records_of(job: Job, codec: Codec, place: ReferencePlace) -> Records[dict[str, Any]]:
    """How new tickets stand in a journal: as their bodies."""

    def ready(row: Any) -> dict[str, Any]:
        body = ticket_body(row)
        if isinstance(place, Field):
            mark(body, "", place)  # before it is noted as one that can be sent
        return body

    return Records(
        job=job,
        ready=ready,
        pack=partial(pack, codec=codec),
        unpack=orjson.loads,
        mark=partial(mark, place=place),
    )


def pack(body: dict[str, Any], codec: Codec) -> bytes:
    """A ticket's body as bytes, always the same for the same content."""
    return sorted_json(codec.encode(body))


def look_of(
    pull: Callable[[datetime, datetime], Pages[TicketRow]], codec: Codec, place: ReferencePlace
) -> Look:
    """How to see every ticket of a time: the days concerned, in the service's calendar."""

    async def look(since: float, until: float) -> AsyncIterator[Seen]:
        first, last = (datetime.fromtimestamp(moment, codec.zone) for moment in (since, until))
        async with pull(first, last) as rows:
            async for row in rows:
                yield Seen(
                    row.ticket_id or None,
                    references_of(row, place),
                    content_of(row.title, row.detail) if place is None else None,
                    beginning(row.title, row.detail) if place == TEXT else None,
                    row.merged_into,
                )

    return look


def packed_beginning(payload: bytes) -> tuple[str, str]:
    """What is compared of a row whose reference may have been cut off."""
    body = orjson.loads(payload)
    return beginning(body.get("title"), body.get("ticket_details"))


def packed_content(payload: bytes) -> str:
    """What is compared of a row where no reference travels."""
    body = orjson.loads(payload)
    return content_of(body.get("title"), body.get("ticket_details"))
