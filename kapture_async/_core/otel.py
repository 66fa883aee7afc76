"""OpenTelemetry: traces and metrics from the events of a client. Extra ``otel``."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Mapping
from typing import Any

from .events import (
    CallFinished,
    PushEvent,
    PushFinished,
    PushPaused,
    PushStarted,
    RowDoubted,
    RowFinished,
    RowKnown,
    TransportEvent,
)
from .phase import Attempt, Phase
from .version import __version__

try:
    from opentelemetry import context as otel_context
    from opentelemetry import metrics, trace
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode
except ImportError as error:
    words = "this needs OpenTelemetry's API (the extra otel): pip install opentelemetry-api"
    raise ImportError(words) from error

_NAME = "kapture_async"
_USUAL = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Bounds in seconds that the semantic conventions recommend for the duration of a request."""
_FLUSH_ROWS = 200
"""Outcomes are added up before they are counted: counting each would cost a push 3 %."""


class Telemetry:
    """An observer that makes spans and metrics of what a client does.

    Give it as ``on_event=`` to a client, and to its pushes::

        telemetry = Telemetry()
        async with KaptureClient("acme", on_event=telemetry) as client:
            await client.tickets.push(rows, on_event=telemetry).run()

    A call is a span with the name of its operation (``tickets.add``), and each of its attempts a
    client span below it. A push is a span, and the calls of its rows are below it. Spans carry
    what the semantic conventions for HTTP clients name, and no payload, no id and no credential.
    No header is added to requests.

    Metrics: ``http.client.request.duration`` (seconds, for each attempt; of a push a sample: the
    attempts of those calls that get spans, as each record takes about 13 microseconds),
    ``kapture_async.push.rows`` (by ``outcome``; ``earlier`` were known to the journal),
    ``kapture_async.push.doubts``, ``kapture_async.push.pauses`` and
    ``kapture_async.push.paused_time`` (seconds).

    One of these may serve any number of clients of one thread.

    Args:
        tracer_provider: where spans go; the global one by default.
        meter_provider: where metrics go; the global one by default.
        spans_per_second: the most calls per second that get spans, as spans of every row would
            slow a push down. Calls that ended with an error always get theirs.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        spans_per_second: float = 20.0,
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
        meter = metrics.get_meter(_NAME, __version__, meter_provider)
        self._duration = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_USUAL,
        )
        self._rows = meter.create_counter(
            f"{_NAME}.push.rows", unit="{row}", description="Rows of pushes, by outcome."
        )
        self._doubts = meter.create_counter(
            f"{_NAME}.push.doubts", unit="{row}", description="Rows of which nobody knows."
        )
        self._pauses = meter.create_counter(
            f"{_NAME}.push.pauses", unit="{pause}", description="Times a push had to wait."
        )
        self._paused = meter.create_counter(
            f"{_NAME}.push.paused_time", unit="s", description="Seconds for which a push waited."
        )
        self._spans_per_second = spans_per_second
        self._spans_left, self._filled_at = spans_per_second, time.monotonic()
        self._attributes: dict[tuple[str, str, int | None, int | None, str], Attributes] = {}

    def __call__(self, event: TransportEvent | PushEvent) -> None:
        """Take an event; this is what ``on_event=`` calls."""
        if isinstance(event, CallFinished):
            self._end_call(event)
        elif isinstance(event, RowFinished):
            self._count(event.outcome.name)
        elif isinstance(event, RowKnown):
            self._count("earlier")
        elif isinstance(event, RowDoubted):
            self._doubts.add(1)
        elif isinstance(event, PushPaused):
            self._pauses.add(1)
            self._paused.add(event.seconds)
        elif isinstance(event, PushStarted):
            span = self._tracer.start_span(
                f"push {event.operation}", attributes={"kapture_async.service": event.service}
            )
            # For the task of this push and for those it starts, which end with it.
            otel_context.attach(trace.set_span_in_context(span))
            _push.set(_Push(event.operation, span))
        elif isinstance(event, PushFinished):
            self._end_push(event)

    # --- calls ---------------------------------------------------------------------------------

    def _end_call(self, call: CallFinished) -> None:
        traced = call.error is not None or self._may_trace()
        if traced or _push.get() is None:
            for attempt in call.attempts:
                self._duration.record(attempt.elapsed, self._attributes_of(call, attempt))
        if not traced or not call.attempts:
            return
        first, last = call.attempts[0], call.attempts[-1]
        span = self._tracer.start_span(
            call.operation,
            start_time=_nanoseconds(first.started_at),
            attributes={"http.request.resend_count": len(call.attempts) - 1},
        )
        if span.is_recording():
            below = trace.set_span_in_context(span)
            for attempt in call.attempts:
                attributes = self._attributes_of(call, attempt)
                self._end(
                    self._tracer.start_span(
                        f"{call.method} {call.path}",
                        below,
                        SpanKind.CLIENT,
                        {
                            **attributes,
                            "url.template": call.path,
                            "http.request.resend_count": attempt.number - 1,
                        },
                        start_time=_nanoseconds(attempt.started_at),
                    ),
                    attempt,
                    attributes.get("error.type"),
                )
            if call.error is not None:
                span.set_attribute("error.type", call.error)
        self._end(span, last, call.error or _error_type(last))

    @staticmethod
    def _end(span: Span, attempt: Attempt, error: Any) -> None:
        if error is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(_nanoseconds(attempt.started_at + attempt.elapsed))

    def _may_trace(self) -> bool:
        now, most = time.monotonic(), self._spans_per_second
        left = min(most, self._spans_left + (now - self._filled_at) * most)
        self._filled_at = now
        if left < 1.0:
            self._spans_left = left
            return False
        self._spans_left = left - 1.0
        return True

    def _attributes_of(self, call: CallFinished, attempt: Attempt) -> Attributes:
        error = _error_type(attempt)
        key = (call.method, call.host, call.port, attempt.status, error or "")
        attributes = self._attributes.get(key)
        if attributes is None:
            made: dict[str, str | int] = {
                "http.request.method": call.method,
                "server.address": call.host,
            }
            if call.port is not None:
                made["server.port"] = call.port
            if attempt.status is not None:
                made["http.response.status_code"] = attempt.status
            if error is not None:
                made["error.type"] = error
            attributes = self._attributes[key] = made
        return attributes

    # --- pushes --------------------------------------------------------------------------------

    def _count(self, outcome: str) -> None:
        push = _push.get()
        if push is None:  # this observer was given to the push alone, in another context
            self._rows.add(1, {"outcome": outcome})
            return
        push.rows[outcome] = push.rows.get(outcome, 0) + 1
        push.waiting += 1
        if push.waiting >= _FLUSH_ROWS:
            self._flush(push)

    def _flush(self, push: _Push) -> None:
        for outcome, rows in push.rows.items():
            self._rows.add(rows, {"operation": push.operation, "outcome": outcome})
        if doubts := push.rows.get("unknown"):
            self._doubts.add(doubts)
        push.rows, push.waiting = {}, 0

    def _end_push(self, event: PushFinished) -> None:
        push = _push.get()
        if push is None:
            return
        self._flush(push)
        span, counts = push.span, event.counts
        for name in ("rows", "accepted", "rejected", "not_sent", "unknown", "earlier"):
            span.set_attribute(f"{_NAME}.push.{name}", getattr(counts, name))
        if event.stop_reason is not None:
            span.set_status(Status(StatusCode.ERROR, event.stop_reason))
        span.end()
        _push.set(None)


Attributes = Mapping[str, str | int]


class _Push:
    """A push under way: its span, and outcomes that were not counted yet."""

    __slots__ = ("operation", "rows", "span", "waiting")

    def __init__(self, operation: str, span: Span) -> None:
        self.operation = operation
        self.span = span
        self.rows: dict[str, int] = {}
        self.waiting = 0


_push: contextvars.ContextVar[_Push | None] = contextvars.ContextVar("push", default=None)


def _error_type(attempt: Attempt) -> str | None:
    """What the semantic conventions call the type of an error: a word of a short list."""
    if attempt.failure is not None:
        return "not_sent" if attempt.phase < Phase.SENDING else "no_answer"
    if attempt.status is not None and attempt.status >= 400:
        return str(attempt.status)
    return None


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
