"""pydantic v2, from JSON bytes straight into models with ``extra="allow"``, and plain orjson."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, create_model

from ..answers import PULL as SAMPLE
from ..answers import sample
from ..job import ADD, PULL, TOKEN, Job, Measured, Pulling, rows
from ..tickets import Passes, tickets
from . import aiohttp_raw

INDIA = timezone(timedelta(hours=5, minutes=30))
MOMENTS = {"date", "taskEnddate", "lastFollowUp", "nextFollowUp", "lastConvesationTime"}


class Tolerant(BaseModel):
    model_config = ConfigDict(extra="allow")


def _moment(value: Any) -> datetime | None:
    if not value:
        return None
    return datetime.strptime(value, "%d-%m-%Y %H:%M").replace(tzinfo=INDIA)


def _ident(value: Any) -> Any:
    return str(value) if isinstance(value, int) else value


def ticket_model(*, as_here: bool = False) -> type[BaseModel]:
    """The 44 fields of a row, as the wire has them; or with ids as text and dates as moments."""
    fields: dict[str, Any] = {}
    for name, value in sample(SAMPLE)["message"][0].items():
        kind: Any = type(value)
        if as_here and name in MOMENTS:
            kind = Annotated[datetime | None, BeforeValidator(_moment)]
        elif as_here and kind is int and name.endswith("Id"):
            kind = Annotated[str, BeforeValidator(_ident)]
        fields[name] = (kind | None, None)
    return create_model("Ticket", __base__=Tolerant, **fields)


def decode(job: Job) -> Measured:
    """``validate_json``, the types of the wire."""
    return _decode(job, ticket_model())


def decode_as_here(job: Job) -> Measured:
    """``validate_json`` with the types this library gives: ids as text, dates as moments."""
    return _decode(job, ticket_model(as_here=True))


def _decode(job: Job, model: Any) -> Measured:
    adapter: TypeAdapter[Any] = TypeAdapter(list[model])
    passes = Passes(tickets(job.rows))
    for data in passes:
        passes.result = adapter.validate_json(data)
    return passes.measured(len(passes.result))


def lossless(job: Job) -> Measured:
    """``validate_json`` and ``dump_json``."""
    model: Any = ticket_model()
    adapter: TypeAdapter[Any] = TypeAdapter(list[model])
    passes = Passes(tickets(job.rows, unknown=True))
    for data in passes:
        passes.result = adapter.dump_json(adapter.validate_json(data))
    return passes.measured(job.rows, lossless=orjson.loads(passes.result) == passes.truth())


def _page_model() -> type[BaseModel]:
    rows: Any = list[ticket_model()]  # type: ignore[misc]
    return create_model(
        "Page", totalCount=(int | None, None), message=(rows, ...), status=(str, ...)
    )


def pull(job: Job) -> Measured:
    """Read the day whole with aiohttp, then ``validate_json``."""
    return job.run(_pull(job))


async def _pull(job: Job) -> Measured:
    page: Any = _page_model()
    page.model_validate_json(b'{"message":[],"status":"success"}')
    async with aiohttp_raw.session_of(job, aiohttp_raw.HEADERS) as session:
        await aiohttp_raw.warm_up(job, session)
        pulling = Pulling(job)
        async with pulling:
            body = await aiohttp_raw.ask_for_day(job, session)
            pulling.took(len(page.model_validate_json(body).message))
    return pulling.measured


def pull_requests(job: Job) -> Measured:
    """Read the day whole with requests, then ``validate_json``: no loop that could stall."""
    import requests  # the other contenders here do without it

    page: Any = _page_model()
    page.model_validate_json(b'{"message":[],"status":"success"}')
    session = requests.Session()
    session.headers["Authorization"] = f"Basic {TOKEN}"
    session.post(job.url + ADD, json=[next(rows(1))], timeout=60).json()
    days = [{"start_date": "2024-04-19", "end_date": "2024-04-19"}]
    pulling = Pulling(job)
    with pulling.clocks():
        body = session.post(job.url + PULL, json=days, timeout=60).content
        pulling.took(len(page.model_validate_json(body).message))
    return pulling.measured
