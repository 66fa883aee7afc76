"""requests: with threads, one call after the other, and uploads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import requests
from requests.adapters import HTTPAdapter

from ..job import ADD, CREATE, FORM, TOKEN, Job, Measured, Moments, rows, some_file

HEADERS = {"Authorization": f"Basic {TOKEN}"}


def session_of(job: Job, *, trust_env: bool = True) -> requests.Session:
    session = requests.Session()
    session.headers.update(HEADERS)
    session.trust_env = trust_env
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=job.concurrency)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    if job.cafile:
        session.verify = job.cafile
    return session


def in_threads(job: Job, measured: Measured, send: Callable[[Any], bool], source: Any) -> None:
    """Let threads take from one source until it ends."""
    lock = threading.Lock()
    moments = Moments(job)

    def work(source: Iterator[Any]) -> None:
        while True:
            with lock:
                item = next(source, None)
            if item is None:
                return
            try:
                good = send(item)
            except requests.RequestException as error:
                good = False
                measured.values["error"] = str(error)[:200]
            with lock:
                measured.count(good)
                moments.note()

    threads = [threading.Thread(target=work, args=(source,)) for _ in range(job.concurrency)]
    with measured.clocks(), moments:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    moments.tell(measured)


def push(job: Job) -> Measured:
    """As its documentation shows it: ``session.post(url, json=...).json()``, in threads."""
    measured = Measured(sent=job.rows)
    session, url = session_of(job), job.url + ADD

    def send(row: dict[str, str]) -> bool:
        answer = session.post(url, json=[row], timeout=60)
        answer.json()
        return answer.status_code == 200

    in_threads(job, measured, send, rows(job.rows))
    return measured


def push_tuned(job: Job) -> Measured:
    """As fast as it goes: orjson on both ways, and no look at the environment."""
    measured = Measured(sent=job.rows)
    session, url = session_of(job, trust_env=False), job.url + ADD
    session.headers["Content-Type"] = "application/json"

    def send(row: dict[str, str]) -> bool:
        answer = session.post(url, data=orjson.dumps([row]), timeout=60)
        orjson.loads(answer.content)
        return answer.status_code == 200

    in_threads(job, measured, send, rows(job.rows))
    return measured


def upload(job: Job) -> Measured:
    """``files=`` with an open file, in threads."""
    size = job.options["size"]
    measured = Measured(sent=job.rows, values={"bytes": job.rows * size})
    session, url = session_of(job, trust_env=False), job.url + CREATE

    def send(path: Path) -> bool:
        with path.open("rb") as file:
            answer = session.post(url, data=FORM, files={"attachment": file}, timeout=60)
        answer.json()
        return answer.status_code == 200

    with some_file(job, size) as path:
        in_threads(job, measured, send, iter([path] * job.rows))
    return measured


def calls(job: Job) -> Measured:
    """One blocking call after the other, over one session that stays open."""
    measured = Measured(sent=job.rows + 1)
    session, url = session_of(job), job.url + ADD
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


def zenpy_style(job: Job) -> Measured:
    """One call after the other with a check of each answer, as helpdesk SDKs such as Zenpy do."""
    measured = Measured(sent=job.rows)
    session, url = session_of(job), job.url + ADD
    with measured.clocks():
        for row in rows(job.rows):
            answer = session.post(url, json=[row], timeout=60)
            answer.raise_for_status()
            measured.count(answer.json().get("status") == "success")
    return measured
