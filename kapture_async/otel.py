"""OpenTelemetry: spans and metrics of what a client does. Extra ``otel``."""

from ._core.otel import Telemetry as Telemetry
