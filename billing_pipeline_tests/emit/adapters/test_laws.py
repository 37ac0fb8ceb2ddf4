"""What holds of every adapter and all figures: nothing lost, nothing twice, no event of nothing, the same bytes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.contract.events import UsageEvent, encode
from billing_pipeline.emit.adapters import anthropic, litellm, openai, opentelemetry
from billing_pipeline.emit.adapters.attribution import Attribution

ATTRIBUTION = Attribution(
    source="s",
    customer_id="acme",
    project_id="bot",
    occurred_at=datetime(2026, 10, 20, tzinfo=UTC),
    model="m",
)
TOKENS = st.one_of(st.just(0), st.integers(0, 10**6), st.integers(0, 10**27))
PARTS = st.fixed_dictionaries(
    dict.fromkeys(("uncached", "cached", "cached_audio", "audio", "written", "hour"), TOKENS)
    | dict.fromkeys(("text_out", "audio_out", "reasoning"), TOKENS)
)
Parts = Mapping[str, int]


def total_input(parts: Parts) -> int:
    return sum(parts[name] for name in ("uncached", "cached", "cached_audio", "audio", "written", "hour"))


def total_output(parts: Parts) -> int:
    return parts["text_out"] + parts["audio_out"] + parts["reasoning"]


def of_openai(parts: Parts) -> tuple[UsageEvent, ...]:
    return openai.response_events({"id": "r", "usage": chat_usage(parts)}, ATTRIBUTION)


def of_openai_responses(parts: Parts) -> tuple[UsageEvent, ...]:
    chat = chat_usage(parts)
    renamed = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    usage = {
        next((name.replace(old, new) for old, new in renamed.items() if old in name), name): value
        for name, value in chat.items()
    }
    event = {"type": "response.completed", "response": {"id": "r", "usage": usage}}
    return openai.stream_events([event], ATTRIBUTION)


def of_litellm(parts: Parts) -> tuple[UsageEvent, ...]:
    payload = {"id": "r", "model": "m", "startTime": 1.5, "metadata": {"usage_object": chat_usage(parts)}}
    arguments = {"standard_logging_object": payload}
    return litellm.callback_events(
        arguments, None, source="s", defaults={"customer_id": "acme", "project_id": "bot"}
    )


def of_opentelemetry(parts: Parts) -> tuple[UsageEvent, ...]:
    figures = {
        "input_tokens": total_input(parts),
        "cache_read.input_tokens": parts["cached"] + parts["cached_audio"],
        "audio.input_tokens": parts["audio"] + parts["cached_audio"],
        "audio.cache_read.input_tokens": parts["cached_audio"],
        "cache_write.input_tokens": parts["written"] + parts["hour"],
        "output_tokens": total_output(parts),
        "audio.output_tokens": parts["audio_out"],
        "reasoning.output_tokens": parts["reasoning"],
    }
    attributes = {f"gen_ai.usage.{name}": value for name, value in figures.items()} | {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "billing.customer_id": "acme",
        "billing.project_id": "bot",
    }
    span: Any = SimpleNamespace(
        attributes=attributes,
        context=SimpleNamespace(trace_id=1, span_id=2),
        parent=None,
        resource=None,
        status=None,
        end_time=1_500,
    )
    return opentelemetry.span_events(span, "s")


def of_anthropic(parts: Parts) -> tuple[UsageEvent, ...]:
    return anthropic.message_events({"id": "r", "usage": message_usage(parts)}, ATTRIBUTION)


def of_anthropic_stream(parts: Parts) -> tuple[UsageEvent, ...]:
    usage = message_usage(parts)
    start = usage | {"output_tokens": 1, "input_tokens": 0, "output_tokens_details": None}
    delta = {name: usage[name] for name in ("input_tokens", "output_tokens", "output_tokens_details")}
    events = [
        {"type": "message_start", "message": {"id": "r", "usage": start}},
        {"type": "message_delta", "usage": {"output_tokens": 1}},
        {"type": "message_delta", "usage": delta},
    ]
    return anthropic.stream_events(events, ATTRIBUTION)


def chat_usage(parts: Parts) -> dict[str, Any]:
    return {
        "prompt_tokens": total_input(parts),
        "completion_tokens": total_output(parts),
        "total_tokens": total_input(parts) + total_output(parts),
        "prompt_tokens_details": {
            "cached_tokens": parts["cached"] + parts["cached_audio"],
            "audio_tokens": parts["audio"] + parts["cached_audio"],
            "cached_tokens_details": {"audio_tokens": parts["cached_audio"]},
            "cache_write_tokens": parts["written"] + parts["hour"],
            "cache_creation_token_details": {"ephemeral_1h_input_tokens": parts["hour"]},
        },
        "completion_tokens_details": {
            "audio_tokens": parts["audio_out"],
            "reasoning_tokens": parts["reasoning"],
        },
    }


def message_usage(parts: Parts) -> dict[str, Any]:
    return {
        "input_tokens": parts["uncached"] + parts["audio"],
        "cache_read_input_tokens": parts["cached"] + parts["cached_audio"],
        "cache_creation_input_tokens": parts["written"] + parts["hour"],
        "cache_creation": {
            "ephemeral_5m_input_tokens": parts["written"],
            "ephemeral_1h_input_tokens": parts["hour"],
        },
        "output_tokens": total_output(parts),
        "output_tokens_details": {"thinking_tokens": parts["reasoning"]},
    }


ADAPTERS: Sequence[Callable[[Parts], tuple[UsageEvent, ...]]] = (
    of_openai,
    of_openai_responses,
    of_anthropic,
    of_anthropic_stream,
    of_opentelemetry,
    of_litellm,
)


@pytest.mark.parametrize("adapter", ADAPTERS)
@given(parts=PARTS)
def test_the_events_of_a_call_sum_to_what_the_provider_counted(
    adapter: Callable[[Parts], tuple[UsageEvent, ...]], parts: Parts
) -> None:
    """Input and output each; no event is of nothing or less; identities differ; the same report is the same bytes."""
    events = adapter(parts)
    quantities = {event.id: int(str(event.quantity)) for event in events}
    output = sum(count for name, count in quantities.items() if ":output" in name)
    assert output == total_output(parts)
    assert sum(quantities.values()) - output == total_input(parts)
    assert all(count > 0 for count in quantities.values())
    assert len(quantities) == len(events)
    assert [*map(encode, adapter(parts))] == [*map(encode, events)]


@given(parts=PARTS)
def test_the_adapters_of_one_form_agree(parts: Parts) -> None:
    """A call counts the same by whichever way it is reported."""

    def classes(events: Sequence[UsageEvent]) -> dict[str, str]:
        return {dict(event.dimensions or {})["token_class"]: str(event.quantity) for event in events}

    assert classes(of_openai(parts)) == classes(of_openai_responses(parts)) == classes(of_litellm(parts))
    assert classes(of_anthropic(parts)) == classes(of_anthropic_stream(parts))


@given(texts=st.permutations(["region", "tier", "zone"]))
def test_dimensions_in_any_order_are_the_same_bytes(texts: list[str]) -> None:
    usage = {"id": "r", "usage": {"prompt_tokens": 1}}
    events = openai.response_events(usage, replace(ATTRIBUTION, dimensions=dict.fromkeys(texts, "a")))
    ordered = openai.response_events(
        usage, replace(ATTRIBUTION, dimensions=dict.fromkeys(sorted(texts), "a"))
    )
    assert encode(events[0]) == encode(ordered[0])
