"""Spans of the conventions for generative AI: what they count, whom it is booked for, and that a re-export is none."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as names
from opentelemetry.trace import Status, StatusCode, Tracer

from billing_pipeline.contract.events import UsageEvent, encode
from billing_pipeline.emit.adapters.opentelemetry import PREFIX, STEPS, SUMS, span_events
from billing_pipeline.emit.adapters.opentelemetry_context import BookingSpanProcessor, booked_for
from billing_pipeline.emit.adapters.opentelemetry_exporter import UsageSpanExporter
from billing_pipeline.errors import ProviderUsageError

Counts = Callable[[Sequence[UsageEvent]], dict[str, int]]
End = Callable[..., ReadableSpan]

BOOKED = {PREFIX + "customer_id": "acme", PREFIX + "project_id": "bot"}
CHAT: dict[str, Any] = {
    names.GEN_AI_OPERATION_NAME: "chat",
    names.GEN_AI_PROVIDER_NAME: "anthropic",
    names.GEN_AI_REQUEST_MODEL: "claude-opus-4-5",
    names.GEN_AI_RESPONSE_MODEL: "claude-opus-4-5-20251101",
    names.GEN_AI_CONVERSATION_ID: "conversation-1",
    names.GEN_AI_USAGE_INPUT_TOKENS: 1000,
    names.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: 600,
    names.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: 150,
    names.GEN_AI_USAGE_OUTPUT_TOKENS: 80,
    names.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: 30,
}
COUNTS = {"input_uncached": 250, "input_cached": 600, "input_cache_write": 150, "output": 80}
END_NANOSECONDS = 1_760_000_000_123_456_789


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exported: InMemorySpanExporter) -> Iterator[Tracer]:
    provider = TracerProvider(resource=Resource(BOOKED))
    provider.add_span_processor(SimpleSpanProcessor(exported))
    yield provider.get_tracer("tests")
    provider.shutdown()


@pytest.fixture
def end(tracer: Tracer, exported: InMemorySpanExporter) -> End:
    """A span of the SDK that has ended."""

    def make(attributes: Mapping[str, Any], status: StatusCode = StatusCode.UNSET) -> ReadableSpan:
        span = tracer.start_span("call", attributes=attributes)
        span.set_status(Status(status))
        span.end(END_NANOSECONDS)
        return exported.get_finished_spans()[-1]

    return make


def test_a_span_counts_each_token_once(end: End, counts: Counts) -> None:
    """Cached and written tokens are taken out of the input, which includes them; reasoning stays in the output."""
    span = end(CHAT)
    events = span_events(span, "traces")
    assert counts(events) == COUNTS
    output = events[-1]
    assert span.context is not None
    trace_id, span_id = f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"
    assert (output.id, output.source) == (f"{trace_id}/{span_id}:output", "traces")
    assert (output.correlation_id, output.session_id) == (trace_id, "conversation-1")
    assert (output.customer_id, output.project_id, output.step) == ("acme", "bot", "completion")
    assert b'"occurred_at":"2025-10-09T08:53:20.123456Z"' in encode(output)
    assert output.dimensions == {
        "model": "claude-opus-4-5-20251101",
        "provider": "anthropic",
        "token_class": "output",
    }


def test_the_parent_is_the_span_that_caused_the_call(tracer: Tracer, exported: InMemorySpanExporter) -> None:
    """And a span without one has no parent."""
    with tracer.start_as_current_span("agent") as agent:
        tracer.start_span("call", attributes=CHAT).end()
    (event, *_) = span_events(exported.get_finished_spans()[0], "traces")
    assert event.parent_id == f"{agent.get_span_context().span_id:016x}"


def test_a_span_counts_under_older_and_newer_names(end: End, counts: Counts) -> None:
    """Cache writes were renamed, and input and output long ago; a span with both names counts once."""
    newer = CHAT | {"gen_ai.usage.cache_write.input_tokens": 150}
    assert counts(span_events(end(newer), "traces")) == COUNTS
    newer.pop(names.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS)
    assert counts(span_events(end(newer), "traces")) == COUNTS
    older = {
        names.GEN_AI_OPERATION_NAME: "embeddings",
        names.GEN_AI_SYSTEM: "az.ai.openai",
        names.GEN_AI_REQUEST_MODEL: "text-embedding-3-small",
        names.GEN_AI_USAGE_PROMPT_TOKENS: 8,
    }
    (event,) = span_events(end(older), "traces")
    assert counts([event]) == {"input_uncached": 8}
    assert event.step == "embedding"
    assert dict(event.dimensions or {})["provider"] == "azure"


def test_audio_has_classes_of_its_own(end: End, counts: Counts) -> None:
    audio = {
        "gen_ai.usage.audio.input_tokens": 300,
        "gen_ai.usage.audio.cache_read.input_tokens": 100,
        "gen_ai.usage.audio.output_tokens": 50,
    }
    assert counts(span_events(end(CHAT | audio), "traces")) == {
        "input_uncached": 50,
        "input_cached": 500,
        "input_audio": 200,
        "cache_audio_read": 100,
        "input_cache_write": 150,
        "output": 30,
        "output_audio": 50,
    }


def test_attributes_of_the_span_come_before_those_of_the_resource(end: End) -> None:
    """So that one process can serve many customers."""
    own = {PREFIX + "customer_id": "globex", PREFIX + "user_id": "ann", PREFIX + "session_id": "run-7"}
    (event, *_) = span_events(end(CHAT | own), "traces")
    assert (event.customer_id, event.project_id) == ("globex", "bot")
    assert (event.user_id, event.session_id) == ("ann", "run-7")


@pytest.mark.parametrize("operation", sorted(SUMS))
def test_a_span_that_sums_others_up_makes_no_event(operation: str, end: End) -> None:
    assert span_events(end(CHAT | {names.GEN_AI_OPERATION_NAME: operation}), "traces") == ()


def test_every_operation_of_the_conventions_is_known() -> None:
    """A new one must be looked at: does its span count, or sum up others?"""
    assert {each.value for each in names.GenAiOperationNameValues} <= STEPS.keys() | SUMS


def test_a_span_of_something_else_makes_no_event(end: End) -> None:
    assert span_events(end({"http.request.method": "GET"}), "traces") == ()


def test_a_span_that_ended_in_an_error_is_not_billable(end: End) -> None:
    events = span_events(end(CHAT, StatusCode.ERROR), "traces")
    assert {(event.billable, event.reason_code) for event in events} == {(False, "provider_error")}


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({names.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: 851}, names.GEN_AI_USAGE_INPUT_TOKENS),
        ({names.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: 81}, names.GEN_AI_USAGE_OUTPUT_TOKENS),
        ({names.GEN_AI_USAGE_OUTPUT_TOKENS: 80.0}, names.GEN_AI_USAGE_OUTPUT_TOKENS),
        ({names.GEN_AI_USAGE_INPUT_TOKENS: -1}, names.GEN_AI_USAGE_INPUT_TOKENS),
        ({names.GEN_AI_USAGE_PROMPT_TOKENS: 999}, names.GEN_AI_USAGE_PROMPT_TOKENS),
        ({names.GEN_AI_OPERATION_NAME: "ponder"}, names.GEN_AI_OPERATION_NAME),
        ({names.GEN_AI_REQUEST_MODEL: "", names.GEN_AI_RESPONSE_MODEL: ""}, "model"),
        ({PREFIX + "customer_id": 7}, PREFIX + "customer_id"),
    ],
)
def test_a_span_that_cannot_be_billed_is_an_error_with_the_attribute(
    attributes: dict[str, Any], field: str, end: End
) -> None:
    with pytest.raises(ProviderUsageError) as caught:
        span_events(end(CHAT | attributes), "traces")
    assert caught.value.field == field


def test_spans_of_an_instrumentation_are_booked_as_the_block_around_them(
    exported: InMemorySpanExporter,
) -> None:
    """Blocks nest, and after a block nothing of it is left."""
    provider = TracerProvider(resource=Resource({}))
    provider.add_span_processor(BookingSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(exported))
    tracer = provider.get_tracer("instrumentation")
    with booked_for(customer_id="acme", project_id="bot"):
        tracer.start_span("first", attributes=CHAT).end()
        with booked_for(project_id="search"), tracer.start_as_current_span("request"):
            tracer.start_span("second", attributes=CHAT).end()
    tracer.start_span("third", attributes=CHAT).end()
    provider.shutdown()
    spans = {span.name: span for span in exported.get_finished_spans()}
    booked = {
        name: {(event.customer_id, event.project_id) for event in span_events(spans[name], "traces")}
        for name in ("first", "second")
    }
    assert booked == {"first": {("acme", "bot")}, "second": {("acme", "search")}}
    with pytest.raises(ProviderUsageError, match=r"billing\.customer_id"):
        span_events(spans["third"], "traces")


def test_the_exporter_emits_what_a_processor_hands_over(recording_client: Any, counts: Counts) -> None:
    """Through the SDK's own batches, and once more is the same events again: ids and bytes."""
    client = recording_client()
    exporter = UsageSpanExporter(client, source="traces")
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource(BOOKED))
    for each in (exporter, kept):
        provider.add_span_processor(BatchSpanProcessor(each))
    with provider.get_tracer("tests").start_as_current_span("call", attributes=CHAT):
        pass
    assert provider.force_flush()
    provider.shutdown()
    assert counts(client.events) == COUNTS
    assert exporter.export(kept.get_finished_spans()) is SpanExportResult.SUCCESS
    first, again = client.events[: len(COUNTS)], client.events[len(COUNTS) :]
    assert [*map(encode, again)] == [*map(encode, first)]


def test_a_span_that_fails_is_told_and_does_not_stop_the_others(
    end: End, recording_client: Any, counts: Counts
) -> None:
    """Neither wrong figures nor a client that is full breaks the product's tracing; the export says that it failed."""
    full = RuntimeError("full")
    client, told = recording_client(full), list[Exception]()
    exporter = UsageSpanExporter(client, source="traces", on_error=told.append)
    wrong = end(CHAT | {names.GEN_AI_USAGE_OUTPUT_TOKENS: -1})
    assert exporter.export([end(CHAT), wrong, end(CHAT)]) is SpanExportResult.FAILURE
    assert told[0] is full
    assert isinstance(told[1], ProviderUsageError)
    assert counts(client.events) == COUNTS


def test_an_error_is_logged_where_nobody_asked_for_it(
    end: End, recording_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    UsageSpanExporter(recording_client(RuntimeError("full")), source="traces").export([end(CHAT)])
    assert "usage was not sent for billing: full" in caplog.text
