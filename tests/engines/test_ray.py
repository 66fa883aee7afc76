"""Ray Data pushes a data set, and a worker is killed in the middle of its block."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from .conftest import ROOT, ROWS, Helpdesk, descendants, kill_one_of

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[data]'")

import ray

from kapture_async.ray import KaptureDatasink

pytestmark = pytest.mark.filterwarnings("default")  # many are Ray's own


@pytest.fixture
def cluster(helpdesk: Helpdesk) -> Iterator[None]:
    names = ("KAPTURE_BASE_URL", "KAPTURE_TOKEN", "PGPASSWORD")
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={
            "env_vars": {**{name: os.environ[name] for name in names}, "PYTHONPATH": str(ROOT)}
        },
    )
    yield
    ray.shutdown()


def workers() -> list[int]:
    """Ray names a process after the task that it has."""
    return [pid for pid, command in descendants().items() if "Write" in command]


async def test_a_worker_that_is_killed_costs_no_ticket_and_makes_none_twice(
    cluster: None, helpdesk: Helpdesk
) -> None:
    killed: list[int] = []

    def push() -> KaptureDatasink:
        sink = KaptureDatasink(**helpdesk.options)
        data = ray.data.from_items(helpdesk.rows(), override_num_blocks=4)
        data.write_datasink(sink, concurrency=4)
        return sink

    def kill() -> None:
        helpdesk.wait_for(ROWS // 4)
        killed.append(kill_one_of(workers))

    killer = threading.Thread(target=kill)
    killer.start()
    sink = push()
    killer.join()
    assert killed
    assert sink.counts is not None
    assert max(helpdesk.executed().values()) == 1, "the task that was tried again sent none twice"
    assert len(helpdesk.executed()) > ROWS // 2
    await helpdesk.settle(push)
