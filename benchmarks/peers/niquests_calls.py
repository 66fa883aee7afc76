"""niquests: one call after the other. It replaces urllib3, so it has a Python of its own."""

from __future__ import annotations

import time

import niquests

from ..job import ADD, TOKEN, Job, Measured, rows


def calls(job: Job) -> Measured:
    """One blocking call after the other, over one session that stays open."""
    measured = Measured(sent=job.rows + 1)
    url = job.url + ADD
    with niquests.Session() as session:
        session.headers["Authorization"] = f"Basic {TOKEN}"
        session.post(url, json=[next(rows(1))], timeout=60).json()
        times = []
        with measured.clocks():
            for row in rows(job.rows):
                started = time.perf_counter()
                answer = session.post(url, json=[row], timeout=60)
                answer.json()
                times.append(time.perf_counter() - started)
                measured.count(answer.status_code == 200)
    measured.calls(times)
    return measured
