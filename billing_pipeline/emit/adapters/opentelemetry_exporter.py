"""A span exporter that sends the usage of spans for billing. Needs the package `opentelemetry-sdk`."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from billing_pipeline.emit.adapters.emitter import Emitter, OnError, log_error
from billing_pipeline.emit.adapters.opentelemetry import span_events


class UsageSpanExporter(SpanExporter):
    """Emits the usage events of each span; hand it to a span processor beside the exporter for traces.

    Spans that are not sampled do not come here and are not billed: sample all that shall be. The client keeps what it
    could not send yet, and is the product's to close.
    """

    def __init__(self, client: Emitter, *, source: str, on_error: OnError = log_error) -> None:
        self._client = client
        self._source = source
        self._on_error = on_error

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Emit the usage of the spans. One that cannot be billed is told to `on_error` and does not stop the others."""
        result = SpanExportResult.SUCCESS
        for span in spans:
            try:
                for event in span_events(span, self._source):
                    self._client.emit(event)
            except Exception as error:  # noqa: BLE001 - whatever a client raises may not break the product's tracing
                self._on_error(error)
                result = SpanExportResult.FAILURE
        return result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True at once: nothing is kept here, and to flush the client is the product's."""
        del timeout_millis
        return True
