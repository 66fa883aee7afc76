"""OpenTelemetry: spans and metrics of what a client does. Extra ``otel``."""

from kapture_async._core.otel import Telemetry as Telemetry
