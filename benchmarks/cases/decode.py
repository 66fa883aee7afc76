"""JSON into models, and back: no network."""

from __future__ import annotations

from . import Case, Contender

PYDANTIC = ("pydantic",)
CASES = [
    Case(
        name="decode",
        title="{rows} tickets of 44 fields, from JSON into models",
        contenders=(
            Contender(
                "pydantic", "pydantic validate_json", "pydantic_models", "decode", needs=PYDANTIC
            ),
            Contender("codec", "this library", "kapture", "decode"),
            Contender("read", "this library, every field read", "kapture", "decode_read"),
            Contender(
                "pydantic-typed",
                "pydantic, types as here",
                "pydantic_models",
                "decode_as_here",
                needs=PYDANTIC,
            ),
            Contender("dicts", "orjson, dicts only", "plain_orjson", "decode"),
        ),
        rows=10_000,
        quick=2_000,
        unit="milli",
        over="",
        note="a model of this library is a view: it reads a field when that is asked for; 'types "
        "as here': ids as text, dates as aware datetimes, as this library gives them",
    ),
    Case(
        name="lossless",
        title="The same with six unknown keys each, into models and back to JSON",
        contenders=(
            Contender(
                "pydantic",
                "pydantic validate_json, dump_json",
                "pydantic_models",
                "lossless",
                needs=PYDANTIC,
            ),
            Contender("codec", "this library", "kapture", "lossless"),
            Contender("dicts", "orjson, dicts only", "plain_orjson", "lossless"),
        ),
        rows=10_000,
        quick=2_000,
        unit="milli",
        over="",
        columns=(("lossless", "nothing lost"),),
        note="'nothing lost': 1 if the JSON that came out says what went in",
    ),
]
