"""What the OpenTelemetry bridge makes of calls and pushes, read back with the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import define
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from kapture_async import KaptureClient, NoReplyError
from kapture_async.otel import Telemetry
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

from ..conftest import QUICK


@define
class Collected:
    """What a backend would have received."""

    spans: InMemorySpanExporter
    reader: InMemoryMetricReader
    telemetry: Telemetry

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans.get_finished_spans() if span.name == name]

    def points(self, name: str) -> dict[tuple[Any, ...], Any]:
        """The points of a metric, by the values of their attributes in the order of the names."""
        data = self.reader.get_metrics_data()
        assert data is not None
        found = {}
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            attributes = point.attributes or {}
                            found[tuple(attributes[key] for key in sorted(attributes))] = point
        return found


def collect(**settings: Any) -> Collected:
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider([reader])
    telemetry = Telemetry(tracer_provider=tracers, meter_provider=meters, **settings)
    return Collected(spans, reader, telemetry)


@pytest.fixture
def collected() -> Collected:
    return collect()


@pytest.fixture
async def client(emulator: KaptureEmulator, collected: Collected) -> AsyncIterator[KaptureClient]:
    async with KaptureClient(
        base_url=emulator.url,
        token=emulator.token,
        retry=QUICK,
        on_event=collected.telemetry,
    ) as client:
        yield client


async def test_a_call_is_a_span_and_so_is_each_attempt(
    emulator: KaptureEmulator, client: KaptureClient, collected: Collected
) -> None:
    emulator.faults = FaultPlan.script([Fault("status", status=429, retry_after="0"), None])
    await client.tickets.add(title="a secret")
    (call,) = collected.named("tickets.add")
    assert call.attributes == {"http.request.resend_count": 1}
    assert call.status.status_code is StatusCode.UNSET
    attempts = [span for span in collected.spans.get_finished_spans() if span is not call]
    assert [span.kind for span in attempts] == [SpanKind.CLIENT] * 2
    assert all(span.parent is not None for span in attempts)
    assert {span.parent.span_id for span in attempts if span.parent} == {call.context.span_id}
    refused, sent = (dict(span.attributes or {}) for span in attempts)
    assert refused["error.type"] == "429"
    assert "error.type" not in sent
    assert sent["http.request.resend_count"] == 1
    assert (sent["http.request.method"], sent["http.response.status_code"]) == ("POST", 200)
    assert (sent["server.address"], sent["server.port"]) == ("127.0.0.1", emulator.port)
    assert call.start_time is not None
    assert call.end_time is not None
    assert call.start_time <= attempts[0].start_time <= attempts[1].end_time <= call.end_time
    assert "secret" not in "".join(span.to_json() for span in collected.spans.get_finished_spans())


async def test_calls_outside_a_push_are_all_measured(emulator: KaptureEmulator) -> None:
    collected = collect(spans_per_second=1.0)
    async with KaptureClient(
        base_url=emulator.url, token=emulator.token, on_event=collected.telemetry
    ) as client:
        for number in range(5):
            await client.tickets.add(title=f"t{number}")
    (durations,) = collected.points("http.client.request.duration").values()
    assert durations.count == 5
    assert len(collected.named("tickets.add")) < 5


async def test_a_call_without_an_answer_says_so(
    emulator: KaptureEmulator, client: KaptureClient, collected: Collected
) -> None:
    emulator.faults = FaultPlan.script(["close_after"])
    with pytest.raises(NoReplyError):
        await client.tickets.add(title="t")
    (call,) = collected.named("tickets.add")
    assert call.status.status_code is StatusCode.ERROR
    assert (call.attributes or {})["error.type"] == "NoReplyError"
    ((key, point),) = collected.points("http.client.request.duration").items()
    assert key == ("no_answer", "POST", "127.0.0.1", emulator.port)
    assert point.count == 1


async def test_a_push_is_a_span_above_the_calls_of_its_rows(
    emulator: KaptureEmulator, client: KaptureClient, collected: Collected
) -> None:
    rows = [{"title": f"t{n}"} for n in range(300)]
    report = await client.tickets.push(rows, on_event=collected.telemetry).run()
    assert report.accepted == 300
    (push,) = collected.named("push tickets.add")
    assert (push.attributes or {})["kapture_async.push.accepted"] == 300
    calls = collected.named("tickets.add")
    assert 0 < len(calls) < 300, "not every row has a span"
    assert {call.parent.span_id for call in calls if call.parent} == {push.context.span_id}
    ((key, point),) = collected.points("kapture_async.push.rows").items()
    assert (key, point.value) == (("tickets.add", "accepted"), 300)
    (durations,) = collected.points("http.client.request.duration").values()
    assert durations.count == len(calls), "and of a push, durations are a sample"


async def test_doubts_and_refusals_of_a_push_are_counted(
    emulator: KaptureEmulator, client: KaptureClient, collected: Collected
) -> None:
    emulator.faults = FaultPlan.script([None, "close_after", "failed"])
    rows = [{"title": f"t{n}"} for n in range(10)]
    report = await client.tickets.push(rows, on_event=collected.telemetry).run()
    assert (report.accepted, report.unknown, report.rejected) == (8, 1, 1)
    counted = {
        key[1]: point.value for key, point in collected.points("kapture_async.push.rows").items()
    }
    assert counted == {"accepted": 8, "unknown": 1, "rejected": 1}
    assert collected.points("kapture_async.push.doubts")[()].value == 1


async def test_two_pushes_at_once_keep_to_themselves(
    emulator: KaptureEmulator, client: KaptureClient, collected: Collected
) -> None:
    both = [
        client.tickets.push([{"title": "t"}] * count, on_event=collected.telemetry).run()
        for count in (20, 30)
    ]
    await asyncio.gather(*both)
    spans = collected.named("push tickets.add")
    assert sorted((span.attributes or {})["kapture_async.push.rows"] for span in spans) == [20, 30]
