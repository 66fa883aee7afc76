"""Pushing tickets to a service that takes 100 ms for each: how much in flight pays off."""

from __future__ import annotations

from dataclasses import replace

from . import Case
from .push import PLAIN, REQUESTS, R

MILLISECONDS = 100
ROUND_TRIPS = {64: 40, 256: 40, 1024: 24}
THREADED_ROWS = 480


def _case(in_flight: int, round_trips: int) -> Case:
    rows = in_flight * round_trips
    moments = {"moments": True}
    return Case(
        name=f"latency-{in_flight}",
        title=f"Push to a server that takes {MILLISECONDS} ms, {in_flight:,} in flight",
        contenders=(
            replace(R, concurrency=in_flight, options=moments),
            replace(PLAIN, concurrency=in_flight, options=moments),
            replace(REQUESTS, share=THREADED_ROWS / rows, options=moments),
        ),
        rows=rows,
        quick=in_flight * 12 if in_flight < 1000 else 0,
        unit="settled",
        path=f"/after/{MILLISECONDS}",
        columns=(("whole", "whole run"),),
        note="per second once the start is over; 'whole run' has the start in it",
    )


CASES = [_case(in_flight, round_trips) for in_flight, round_trips in ROUND_TRIPS.items()]
