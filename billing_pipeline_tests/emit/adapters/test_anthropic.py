"""Anthropic's usage: the cache is beside the input, not within it, and a stream's figures are cumulative."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic
from anthropic.types import Message, Usage
from anthropic.types.beta import BetaMessage

from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.emit.adapters.anthropic import message_events, stream_events
from billing_pipeline.emit.adapters.attribution import Attribution
from billing_pipeline.errors import ProviderUsageError

Counts = Callable[[Sequence[UsageEvent]], dict[str, int]]

MESSAGE: dict[str, Any] = {
    "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-5-20251101",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 21,
        "cache_creation_input_tokens": 700,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 500},
        "cache_read_input_tokens": 188_086,
        "output_tokens": 393,
        "output_tokens_details": {"thinking_tokens": 250},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        "service_tier": "standard",
    },
}
COUNTS = {
    "input_uncached": 21,
    "input_cached": 188_086,
    "input_cache_write": 200,
    "input_cache_write_1h": 500,
    "output": 393,
    "web_search": 2,
}


def streamed(*, start: dict[str, Any], deltas: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    begun = MESSAGE | {"content": [], "stop_reason": None, "usage": start}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        *(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": delta,
            }
            for delta in deltas
        ),
        {"type": "message_stop"},
    ]


def client(events: Sequence[dict[str, Any]]) -> Anthropic:
    """The package's client, talking to a server that streams these events."""
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, text=body, headers={"content-type": "text/event-stream"})

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return Anthropic(api_key="none", base_url="http://127.0.0.1", http_client=transport)


@pytest.mark.parametrize("form", [MESSAGE, Message.model_validate(MESSAGE)], ids=["json", "object"])
def test_a_message_counts_the_cache_beside_the_input(
    form: object, attribution: Attribution, counts: Counts
) -> None:
    """Thinking stays in the output; a search is an event of unit `call`."""
    events = message_events(form, attribution)
    assert counts(events) == COUNTS
    (output,) = (event for event in events if event.id.endswith(":output"))
    assert output.id == "msg_01XFDUDYJgAACzvnptvVoYEL:output"
    assert output.dimensions == {
        "model": "claude-opus-4-5-20251101",
        "provider": "anthropic",
        "service_tier": "standard",
        "token_class": "output",
    }
    (search,) = (event for event in events if event.unit == "call")
    assert search.dimensions == {"provider": "anthropic", "service_tier": "standard", "tool": "web_search"}


def test_a_usage_object_alone_takes_the_rest_from_the_attribution(
    attribution: Attribution, counts: Counts
) -> None:
    told = replace(attribution, action_id="call-1", model="claude-opus-4-5")
    assert counts(message_events(Usage.model_validate(MESSAGE["usage"]), told)) == COUNTS


def test_a_message_tells_no_time_so_the_attribution_must(attribution: Attribution) -> None:
    with pytest.raises(ProviderUsageError, match="occurred_at"):
        message_events(MESSAGE, replace(attribution, occurred_at=None))


def test_a_stream_counts_the_last_of_each_figure(attribution: Attribution, counts: Counts) -> None:
    """Input of `message_start` and output of several deltas are not added up, by the package's stream or by ours."""
    usage = MESSAGE["usage"]
    start = usage | {"output_tokens": 3, "output_tokens_details": None, "server_tool_use": None}
    last = {name: usage[name] for name in ("output_tokens", "output_tokens_details", "server_tool_use")}
    events = streamed(start=start, deltas=[{"output_tokens": 100}, last])
    assert counts(stream_events(events, attribution)) == COUNTS
    raw = client(events).messages.create(model="m", max_tokens=1, messages=[], stream=True)
    assert stream_events(raw, attribution) == message_events(MESSAGE, attribution)
    with client(events).messages.stream(model="m", max_tokens=1, messages=[]) as stream:
        whole = stream.get_final_message()
    assert counts(message_events(whole, attribution)) == COUNTS


def test_input_that_grows_in_a_stream_counts_as_it_ended(attribution: Attribution, counts: Counts) -> None:
    """Searches add input; the breakdown is not told again, so what was written since is the five-minute class."""
    start = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 500,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 500},
        "output_tokens": 1,
    }
    delta = {"input_tokens": 40, "cache_creation_input_tokens": 900, "output_tokens": 50}
    assert counts(stream_events(streamed(start=start, deltas=[delta]), attribution)) == {
        "input_uncached": 40,
        "input_cache_write": 400,
        "input_cache_write_1h": 500,
        "output": 50,
    }


def test_compaction_and_advisor_are_calls_of_their_own(attribution: Attribution) -> None:
    """Their tokens are not in the message's figures; what an advisor used is under the advisor's model."""
    apart = {
        "input_tokens": 5,
        "output_tokens": 7,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    }
    iterations = [
        MESSAGE["usage"] | {"type": "message", "model": MESSAGE["model"]},
        apart | {"type": "compaction"},
        apart | {"type": "advisor_message", "model": "claude-opus-4-6"},
    ]
    message = MESSAGE | {"usage": MESSAGE["usage"] | {"iterations": iterations}}
    expected = [
        ("compaction.1.input_uncached", MESSAGE["model"]),
        ("compaction.1.output", MESSAGE["model"]),
        ("advisor_message.2.input_uncached", "claude-opus-4-6"),
        ("advisor_message.2.output", "claude-opus-4-6"),
    ]
    for form in (message, BetaMessage.model_validate(message)):
        events = message_events(form, attribution)
        found = [(event.id.partition(":")[2], dict(event.dimensions or {})["model"]) for event in events[6:]]
        assert found == expected
        assert len({event.id for event in events}) == len(events)
    renamed = message_events(message, replace(attribution, model="opus"))
    models = [dict(event.dimensions or {}).get("model") for event in renamed]
    assert models == ["opus"] * 5 + [None] + ["opus"] * 2 + ["claude-opus-4-6"] * 2


@pytest.mark.parametrize(
    ("usage", "field"),
    [
        ({"input_tokens": None}, "usage.input_tokens"),
        ({"input_tokens": -1}, "usage.input_tokens"),
        ({"cache_read_input_tokens": 1.5}, "usage.cache_read_input_tokens"),
        ({"cache_creation_input_tokens": 699}, "usage.cache_creation_input_tokens"),
        ({"output_tokens": 249}, "usage.output_tokens"),
        ({"server_tool_use": {"web_search_requests": "2"}}, "usage.server_tool_use.web_search_requests"),
    ],
)
def test_figures_that_contradict_each_other_are_an_error_with_the_field(
    usage: dict[str, Any], field: str, attribution: Attribution
) -> None:
    with pytest.raises(ProviderUsageError) as caught:
        message_events(MESSAGE | {"usage": MESSAGE["usage"] | usage}, attribution)
    assert caught.value.field == field
