"""OpenAI's usage: cached, audio and reasoning tokens are parts of a whole, and each is counted once."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from openai.types import CompletionUsage, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response, ResponseUsage

from billing_pipeline.contract.events import UsageEvent, encode
from billing_pipeline.emit.adapters.attribution import Attribution
from billing_pipeline.emit.adapters.openai import response_events, stream_events
from billing_pipeline.errors import ProviderUsageError

Counts = Callable[[Sequence[UsageEvent]], dict[str, int]]

CHAT: dict[str, Any] = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "object": "chat.completion",
    "created": 1_760_000_000,
    "model": "gpt-5.2-2026-02-11",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hello", "refusal": None},
        }
    ],
    "service_tier": "default",
    "usage": {
        "prompt_tokens": 2600,
        "completion_tokens": 300,
        "total_tokens": 2900,
        "prompt_tokens_details": {"cached_tokens": 2000, "audio_tokens": 0, "cache_write_tokens": 400},
        "completion_tokens_details": {
            "reasoning_tokens": 192,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 10,
            "rejected_prediction_tokens": 20,
        },
    },
}
CHAT_COUNTS = {"input_uncached": 200, "input_cached": 2000, "input_cache_write": 400, "output": 300}
RESPONSE: dict[str, Any] = {
    "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
    "object": "response",
    "created_at": 1_760_000_000,
    "status": "completed",
    "model": "gpt-5.2-2026-02-11",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 5000,
        "input_tokens_details": {"cached_tokens": 4096, "cache_write_tokens": 0},
        "output_tokens": 900,
        "output_tokens_details": {"reasoning_tokens": 640},
        "total_tokens": 5900,
    },
    "tool_usage": {
        "image_gen": {
            "input_tokens": 0,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
            "output_tokens": 0,
            "total_tokens": 0,
        },
        "web_search": {"num_requests": 2},
    },
}
RESPONSE_COUNTS = {"input_uncached": 904, "input_cached": 4096, "output": 900, "web_search": 2}
EMBEDDING: dict[str, Any] = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}],
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}


@pytest.fixture
def client() -> Callable[[str, str], OpenAI]:
    """The package's client, talking to a server that gives one answer."""

    def make(body: str, content_type: str) -> OpenAI:
        def answer(_: httpx2.Request) -> httpx2.Response:
            headers = {"content-type": content_type, "x-request-id": "req_1"}
            return httpx2.Response(200, text=body, headers=headers)

        transport = httpx2.Client(transport=httpx2.MockTransport(answer))
        return OpenAI(api_key="none", base_url="http://127.0.0.1/v1", http_client=transport)

    return make


def sse(*events: dict[str, Any], done: bool = True) -> str:
    lines = [
        f"event: {event.get('type')}\n" * ("type" in event) + f"data: {json.dumps(event)}\n\n"
        for event in events
    ]
    return "".join(lines) + "data: [DONE]\n\n" * done


@pytest.mark.parametrize("form", [CHAT, ChatCompletion.model_validate(CHAT)], ids=["json", "object"])
def test_a_chat_completion_counts_each_token_once(
    form: object, attribution: Attribution, counts: Counts
) -> None:
    """Cached and written tokens are taken out of the prompt; reasoning and predicted ones stay in the output."""
    events = response_events(form, replace(attribution, occurred_at=None))
    assert counts(events) == CHAT_COUNTS
    event = events[-1]
    assert event.id == "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT:output"
    assert event.correlation_id == CHAT["id"]
    assert (event.unit, event.step, event.billable) == ("token", "completion", True)
    assert b'"occurred_at":"2025-10-09T08:53:20Z"' in encode(event)
    assert event.dimensions == {
        "model": "gpt-5.2-2026-02-11",
        "provider": "openai",
        "service_tier": "default",
        "token_class": "output",
    }


@pytest.mark.parametrize("form", [RESPONSE, Response.model_validate(RESPONSE)], ids=["json", "object"])
def test_a_response_counts_tokens_and_searches(
    form: object, attribution: Attribution, counts: Counts
) -> None:
    """A hosted search is an event of unit `call` with the tool, and no token class."""
    events = response_events(form, attribution)
    assert counts(events) == RESPONSE_COUNTS
    (search,) = (event for event in events if event.unit == "call")
    assert search.dimensions == {"provider": "openai", "tool": "web_search"}
    assert search.step == "tool_call"


def test_a_usage_object_alone_takes_the_rest_from_the_attribution(
    attribution: Attribution, counts: Counts
) -> None:
    """Both usage objects of the package are accepted; the attribution names id and model."""
    told = replace(attribution, action_id="call-1", model="gpt-5.2")
    assert counts(response_events(CompletionUsage.model_validate(CHAT["usage"]), told)) == CHAT_COUNTS
    used = response_events(ResponseUsage.model_validate(RESPONSE["usage"]), told)
    assert counts(used) == {"input_uncached": 904, "input_cached": 4096, "output": 900}
    assert used[0].id == "call-1:input_cached"


def test_an_embedding_is_input_under_the_id_of_its_request(
    client: Callable[[str, str], OpenAI], attribution: Attribution, counts: Counts
) -> None:
    """The answer itself has no id; the package's object knows the request's."""
    found = client(json.dumps(EMBEDDING), "application/json").embeddings.create(
        model="text-embedding-3-small", input="x", encoding_format="float"
    )
    events = response_events(found, attribution)
    assert counts(events) == {"input_uncached": 8}
    assert (events[0].id, events[0].step) == ("req_1:input_uncached", "embedding")
    with pytest.raises(ProviderUsageError, match="openai: id must be told"):
        response_events(CreateEmbeddingResponse.model_validate(EMBEDDING), attribution)


def test_a_streamed_chat_completion_counts_its_last_usage(
    client: Callable[[str, str], OpenAI], attribution: Attribution, counts: Counts
) -> None:
    """Some servers report cumulative usage with every chunk: chunks are not added up."""
    chunk = {name: CHAT[name] for name in ("id", "created", "model", "service_tier")} | {
        "object": "chat.completion.chunk",
        "choices": [],
    }
    early = {"prompt_tokens": 2600, "completion_tokens": 1, "total_tokens": 2601}
    body = sse(chunk | {"usage": early}, chunk, chunk | {"usage": CHAT["usage"]})
    stream = client(body, "text/event-stream").chat.completions.create(
        model="gpt-5.2", messages=[], stream=True, stream_options={"include_usage": True}
    )
    events = stream_events(stream, attribution)
    assert counts(events) == CHAT_COUNTS
    assert events == response_events(CHAT, attribution)


def test_a_streamed_response_counts_as_the_whole_one(
    client: Callable[[str, str], OpenAI], attribution: Attribution
) -> None:
    """The events of `response.completed` are those of the response that is fetched later."""
    begun = RESPONSE | {"usage": None, "status": "in_progress", "tool_usage": None}
    body = sse(
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.completed", "sequence_number": 1, "response": RESPONSE},
        done=False,
    )
    stream = client(body, "text/event-stream").responses.create(model="gpt-5.2", input="x", stream=True)
    assert stream_events(stream, attribution) == response_events(RESPONSE, attribution)


def test_a_stream_without_usage_is_an_error_that_says_what_to_ask_for(attribution: Attribution) -> None:
    with pytest.raises(ProviderUsageError, match="include_usage"):
        stream_events([{"id": "chatcmpl-1", "usage": None}], attribution)


def test_a_failed_response_is_not_billable(attribution: Attribution) -> None:
    """What it used is told all the same, with the reason; where it used nothing there is no event."""
    events = response_events(RESPONSE | {"status": "failed"}, attribution)
    assert {(event.billable, event.reason_code) for event in events} == {(False, "provider_error")}
    nothing = RESPONSE | {"status": "failed", "usage": None}
    assert response_events(nothing, attribution) == ()
    assert stream_events([{"type": "response.failed", "response": nothing}], attribution) == ()


def test_audio_has_classes_of_its_own_and_cached_audio_too(attribution: Attribution, counts: Counts) -> None:
    """As the realtime API reports it: what is both cached and audio is in one class only."""
    usage = {
        "input_tokens": 1000,
        "output_tokens": 300,
        "total_tokens": 1300,
        "input_token_details": {
            "text_tokens": 400,
            "audio_tokens": 600,
            "cached_tokens": 500,
            "cached_tokens_details": {"text_tokens": 300, "audio_tokens": 200},
        },
        "output_token_details": {"text_tokens": 100, "audio_tokens": 200},
    }
    done = {"type": "response.done", "response": {"id": "resp_1", "status": "completed", "usage": usage}}
    assert counts(response_events(done, replace(attribution, model="gpt-realtime"))) == {
        "input_uncached": 100,
        "input_cached": 300,
        "input_audio": 400,
        "cache_audio_read": 200,
        "output": 100,
        "output_audio": 200,
    }


def test_tokens_cached_for_long_have_a_class_of_their_own(attribution: Attribution, counts: Counts) -> None:
    details = {
        "cached_tokens": 0,
        "cache_write_tokens": 700,
        "cache_write_tokens_details": {"ttl_30m_tokens": 200, "ttl_12h_tokens": 500},
    }
    usage = RESPONSE["usage"] | {"input_tokens_details": details}
    found = counts(response_events(RESPONSE | {"usage": usage, "tool_usage": None}, attribution))
    assert found == {
        "input_uncached": 4300,
        "input_cache_write": 200,
        "input_cache_write_12h": 500,
        "output": 900,
    }


@pytest.mark.parametrize(
    ("usage", "field"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 2601}}, "usage.prompt_tokens"),
        ({"prompt_tokens_details": {"cached_tokens": 2000, "audio_tokens": 601}}, "usage.prompt_tokens"),
        ({"prompt_tokens_details": {"cached_tokens": -1}}, "usage.prompt_tokens_details.cached_tokens"),
        ({"prompt_tokens": 2600.0}, "usage.prompt_tokens"),
        ({"prompt_tokens": "2600"}, "usage.prompt_tokens"),
        ({"completion_tokens": True}, "usage.completion_tokens"),
        ({"completion_tokens": -300}, "usage.completion_tokens"),
        ({"completion_tokens": 10**29}, "usage.completion_tokens"),
        ({"completion_tokens_details": {"reasoning_tokens": 301}}, "usage.completion_tokens"),
        ({"total_tokens": 3092}, "usage.total_tokens"),
    ],
)
def test_figures_that_contradict_each_other_are_an_error_with_the_field(
    usage: dict[str, Any], field: str, attribution: Attribution
) -> None:
    with pytest.raises(ProviderUsageError) as caught:
        response_events(CHAT | {"usage": CHAT["usage"] | usage}, attribution)
    assert caught.value.field == field
    assert field in str(caught.value)


@pytest.mark.parametrize("name", ["id", "model", "created"])
def test_what_neither_the_report_nor_the_attribution_tells_is_an_error(
    name: str, attribution: Attribution
) -> None:
    with pytest.raises(ProviderUsageError, match="must be told by the report"):
        response_events(CHAT | {name: None}, replace(attribution, occurred_at=None))


def test_an_id_too_long_for_the_contract_is_replaced_by_its_hash(
    attribution: Attribution, counts: Counts
) -> None:
    """Some proxies make ids of hundreds of characters; different ones stay different."""
    one, other = ({**CHAT, "id": f"resp_{'x' * 300}{n}"} for n in (1, 2))
    events = response_events(one, attribution)
    assert counts(events) == CHAT_COUNTS
    assert not {event.id for event in events} & {event.id for event in response_events(other, attribution)}
