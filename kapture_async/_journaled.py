"""What a journal must know of Kapture's tickets: their bytes, their mark, and how to find them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from functools import partial
from typing import Any

import orjson

from ._api import ADD_TICKET
from ._bodies import ticket_body
from ._core.codec import Codec
from ._core.journal.records import Job
from ._core.pull.pages import Pages
from ._core.push.beginnings import beginning
from ._core.push.candidates import clues_in
from ._core.push.journaling import RowCodec
from ._core.push.lookup import ListEnd, Look, Seen
from ._core.transport.bodies import sorted_json
from ._core.transport.settings import TransportSettings
from ._reference import TEXT, Field, ReferencePlace, content_of, describe, mark, references_of
from .models import TicketRow


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


def records_of(job: Job, codec: Codec, place: ReferencePlace) -> RowCodec[dict[str, Any]]:
    """How new tickets stand in a journal: as their bodies."""

    def ready(row: Any) -> dict[str, Any]:
        body = ticket_body(row)
        if isinstance(place, Field):
            mark(body, "", place)  # before it is noted as one that can be sent
        return body

    return RowCodec(
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

    async def look(since: float, until: float) -> AsyncIterator[Seen | ListEnd]:
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

    return look


def _seen(row: TicketRow, place: ReferencePlace) -> Seen:
    return Seen(
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


def packed_beginning(payload: bytes) -> tuple[str, str]:
    """What is compared of a row whose reference may have been cut off."""
    body = orjson.loads(payload)
    return beginning(body.get("title"), body.get("ticket_details"))


def packed_clues(payload: bytes) -> frozenset[str]:
    """What a ticket may share with a row; see :mod:`._core.push.candidates`."""
    body = orjson.loads(payload)
    texts = [text for text in body.values() if isinstance(text, str)]
    for value in body.values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                texts += [text for text in inner.values() if isinstance(text, str)]
    return clues_in(body.get("title"), body.get("ticket_details"), marks=texts)


def packed_content(payload: bytes) -> str:
    """What is compared of a row where no reference travels."""
    body = orjson.loads(payload)
    return content_of(body.get("title"), body.get("ticket_details"))
