"""Usage in spans of the OpenTelemetry conventions for generative AI.

By the convention `gen_ai.usage.input_tokens` includes what was read from and written to caches, and
`gen_ai.usage.output_tokens` includes reasoning; each is taken out of the whole once, reasoning stays in `output`.

Only spans of calls to a model count (`chat`, `generate_content`, `text_completion`, `embeddings`). A span of an agent
or a workflow may carry the sum of the calls within it, which would count them twice; those are left out.

Ids are made of trace id, span id and what is counted, so a span that is exported again is a duplicate.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.contract.instants import datetime_of
from billing_pipeline.emit.adapters.attribution import Attribution
from billing_pipeline.emit.adapters.call import Call, usage_events
from billing_pipeline.emit.adapters.provider_names import provider_name
from billing_pipeline.emit.adapters.reading import Report
from billing_pipeline.emit.adapters.token_classes import CACHE_WRITE, Tokens, part_input, part_output
from billing_pipeline.errors import ProviderUsageError

STEPS: Final[Mapping[str, str]] = {
    "chat": "completion",
    "generate_content": "completion",
    "text_completion": "completion",
    "embeddings": "embedding",
}
"""Steps by the operations that are calls to a model."""
SUMS: Final = frozenset(
    {"create_agent", "invoke_agent", "invoke_workflow", "plan", "execute_tool", "retrieval"}
)
"""Operations whose usage, if they carry any, is that of calls within them."""
PREFIX: Final = "billing."
"""Of the attributes, of a span or its resource, that say whom it is booked for: `billing.customer_id` and so on."""

_USAGE = "gen_ai.usage."
_INPUT = ("input_tokens", "prompt_tokens")
_OUTPUT = ("output_tokens", "completion_tokens")
_WRITTEN = ("cache_write.input_tokens", "cache_creation.input_tokens")
"""Names of one count, the newest first."""
_NANOSECONDS = 1_000


class Span(Protocol):
    """What is read of an ended span; the SDK's `ReadableSpan` has it."""

    @property
    def context(self) -> Any: ...  # noqa: D102
    @property
    def parent(self) -> Any: ...  # noqa: D102
    @property
    def attributes(self) -> Any: ...  # noqa: D102
    @property
    def resource(self) -> Any: ...  # noqa: D102
    @property
    def status(self) -> Any: ...  # noqa: D102
    @property
    def end_time(self) -> int | None: ...  # noqa: D102


def span_events(span: Span, source: str) -> tuple[UsageEvent, ...]:
    """The events of a span; none where it is not a call to a model, or tells no usage.

    Whom it is booked for is told by attributes of the span, or where it has none by those of its resource:
    `billing.customer_id`, `billing.project_id`, and where needed `billing.user_id`, `billing.session_id` (else the
    conversation) and `billing.step`. A span that ended in an error is not billable.

    Raises:
        ProviderUsageError: the figures contradict each other, or customer, project, model or operation is not told.
    """
    attributes: Mapping[str, object] = span.attributes or {}
    if not any(name.startswith(_USAGE) for name in attributes):
        return ()
    named = attributes.get("gen_ai.provider.name") or attributes.get("gen_ai.system") or "opentelemetry"
    report = Report(provider_name(str(named)), attributes)
    operation = report.text("gen_ai.operation.name")
    if operation in SUMS:
        return ()
    if operation is None or operation not in STEPS:
        rule = f"be an operation that is known: {', '.join(sorted(STEPS))} count, {', '.join(sorted(SUMS))} do not"
        raise report.error("gen_ai.operation.name", operation, rule)
    trace_id, span_id = f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"
    call = Call(
        provider=report.provider,
        action_id=f"{trace_id}/{span_id}",
        model=report.text("gen_ai.response.model") or report.text("gen_ai.request.model"),
        occurred_at=_end(span, report),
        step=STEPS[operation],
        tokens=token_counts(report),
        correlation_id=trace_id,
    )
    attribution = _attribution(span, report, source)
    failed = span.status is not None and span.status.status_code.name == "ERROR"
    return usage_events(call, attribution.failed() if failed else attribution)


def token_counts(report: Report) -> Tokens:
    """The tokens of a span's attributes by class.

    Raises:
        ProviderUsageError: a count is no whole number, below zero, or less than its parts.
    """
    return part_input(
        report,
        _USAGE + _INPUT[0],
        _count(report, _INPUT),
        cached=report.count(_USAGE + "cache_read.input_tokens"),
        audio=report.count(_USAGE + "audio.input_tokens"),
        cached_audio=report.count(_USAGE + "audio.cache_read.input_tokens"),
        written={CACHE_WRITE: _count(report, _WRITTEN)},
    ) | part_output(
        report,
        _USAGE + _OUTPUT[0],
        _count(report, _OUTPUT),
        audio=report.count(_USAGE + "audio.output_tokens"),
        reasoning=report.count(_USAGE + "reasoning.output_tokens"),
    )


def _count(report: Report, names: tuple[str, str]) -> int:
    """A count that has a newer and an older name; a span may tell it under both."""
    newer, older = (_USAGE + name for name in names)
    count = report.count(newer if report.get(newer) is not None else older)
    if report.get(older) is not None and report.count(older) != count:
        raise report.error(older, report.get(older), f"be what {newer} is ({count})")
    return count


def _attribution(span: Span, report: Report, source: str) -> Attribution:
    resource: Mapping[str, object] = (span.resource.attributes if span.resource else None) or {}

    def told(name: str) -> str | None:
        value = report.get(PREFIX + name) or resource.get(PREFIX + name)
        return value if isinstance(value, str) else None

    def required(name: str) -> str:
        value = told(name)
        if value is None:
            raise ProviderUsageError(
                report.provider, PREFIX + name, None, "be an attribute of the span or its resource"
            )
        return value

    return Attribution(
        source=source,
        customer_id=required("customer_id"),
        project_id=required("project_id"),
        user_id=told("user_id"),
        session_id=told("session_id") or report.text("gen_ai.conversation.id"),
        step=told("step"),
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
    )


def _end(span: Span, report: Report) -> datetime:
    if span.end_time is None:
        raise report.error("end_time", None, "be set: only a span that has ended is billed")
    return datetime_of(span.end_time // _NANOSECONDS)
