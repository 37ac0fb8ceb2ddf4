"""LiteLLM's callbacks: what its calls count, whom they are booked for, and what is not billable."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from billing_pipeline.contract.events import UsageEvent, encode
from billing_pipeline.emit.adapters.litellm import callback_events
from billing_pipeline.errors import ProviderUsageError

Counts = Callable[[Sequence[UsageEvent]], dict[str, int]]
Log = Callable[..., dict[str, Any]]

USAGE: dict[str, Any] = {
    "prompt_tokens": 1250,
    "completion_tokens": 80,
    "total_tokens": 1330,
    "prompt_tokens_details": {
        "cached_tokens": 600,
        "cache_creation_tokens": 400,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 300},
        "text_tokens": 250,
    },
    "completion_tokens_details": {"reasoning_tokens": 30, "text_tokens": 50},
    "server_tool_use": {"web_search_requests": 1},
}
COUNTS = {
    "input_uncached": 250,
    "input_cached": 600,
    "input_cache_write": 100,
    "input_cache_write_1h": 300,
    "output": 80,
    "web_search": 1,
}
METADATA = {"customer_id": "acme", "project_id": "bot"}


@pytest.fixture
def log() -> Log:
    """The arguments of a callback, with what a test needs to be different."""

    def make(
        usage: dict[str, Any] | None = None, *, metadata: dict[str, Any] | None = None, **payload: Any
    ) -> dict[str, Any]:
        logged = {"usage_object": USAGE if usage is None else usage} | payload.pop("logged", {})
        return {
            "litellm_params": {"metadata": METADATA if metadata is None else metadata},
            "standard_logging_object": {
                "id": "chatcmpl-1",
                "trace_id": "trace-1",
                "session_id": "",
                "call_type": "acompletion",
                "status": "success",
                "cache_hit": None,
                "custom_llm_provider": "bedrock",
                "model": "claude-opus-4-5-20251101",
                "startTime": 1_760_000_000.25,
                "endTime": 1_760_000_009.5,
                "metadata": logged,
                "end_user": None,
                **payload,
            },
        }

    return make


def test_a_call_counts_each_token_once(log: Log, counts: Counts) -> None:
    """Cached and written tokens are taken out of the prompt, which includes them, whoever the provider is."""
    events = callback_events(log(), None, source="proxy")
    assert counts(events) == COUNTS
    output = next(event for event in events if event.id == "chatcmpl-1:output")
    assert (output.source, output.customer_id, output.project_id) == ("proxy", "acme", "bot")
    assert (output.correlation_id, output.step) == ("trace-1", "completion")
    assert str(output.occurred_at) == "2025-10-09 08:53:20.250000+00:00"
    assert output.dimensions == {
        "model": "claude-opus-4-5-20251101",
        "provider": "aws",
        "token_class": "output",
    }


def test_a_failed_call_is_not_billable(log: Log) -> None:
    """What it used is told with the reason; mostly it used nothing, and there is no event."""
    failed = log(status="failure")
    events = callback_events(failed, None, source="proxy")
    assert {(event.billable, event.reason_code) for event in events} == {(False, "provider_error")}
    assert callback_events(log({}, status="failure"), None, source="proxy") == ()
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert callback_events(log(nothing, status="failure"), None, source="proxy") == ()


def test_an_answer_from_the_own_cache_is_billable_only_when_told_so(log: Log) -> None:
    """No provider was called; whether the customer pays is the product's choice."""
    hit = log(cache_hit=True, id="chatcmpl-1_cache_hit1760000000.5", litellm_call_id="call-9")
    free = callback_events(hit, None, source="proxy")
    assert {(event.billable, event.reason_code) for event in free} == {(False, "goodwill")}
    assert free[0].id == "call-9:input_cache_write"
    assert all(event.billable for event in callback_events(hit, None, source="proxy", bill_cache_hits=True))


def test_metadata_of_the_key_comes_before_that_of_the_request(log: Log) -> None:
    """A key's holder cannot book on another customer; what nobody tells is taken from the defaults."""
    arguments = log(
        metadata={},
        logged={
            "user_api_key_auth_metadata": {"customer_id": "acme"},
            "requester_metadata": {"customer_id": "globex", "session_id": "run-7", "parent_id": "step-3"},
        },
        end_user="ann",
    )
    (event, *_) = callback_events(arguments, None, source="proxy", defaults={"project_id": "shared"})
    assert (event.customer_id, event.project_id, event.user_id) == ("acme", "shared", "ann")
    assert (event.session_id, event.parent_id) == ("run-7", "step-3")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"metadata": {"project_id": "bot"}}, "standard_logging_object.metadata.customer_id"),
        ({"usage": {}}, "standard_logging_object.metadata.usage_object"),
        (
            {"usage": USAGE | {"prompt_tokens": 999}},
            "standard_logging_object.metadata.usage_object.prompt_tokens",
        ),
    ],
)
def test_a_call_that_cannot_be_billed_is_an_error_with_the_field(
    changes: dict[str, Any], field: str, log: Log
) -> None:
    with pytest.raises(ProviderUsageError) as caught:
        callback_events(log(**changes), None, source="proxy")
    assert caught.value.field == field


@pytest.fixture(scope="module")
def litellm() -> Any:
    """The package; it is slow to import, and would fetch prices from the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        import litellm

    return litellm


@pytest.fixture
def callback(litellm: Any, recording_client: Any) -> Iterator[Any]:
    from billing_pipeline.emit.adapters.litellm_callback import UsageCallback

    made = UsageCallback(recording_client(), source="proxy")
    litellm.callbacks.append(made)
    yield made
    for name in (
        "callbacks",
        "success_callback",
        "failure_callback",
        "_async_success_callback",
        "_async_failure_callback",
    ):
        setattr(litellm, name, [each for each in getattr(litellm, name) if each is not made])


def answered(litellm: Any) -> Any:
    return litellm.ModelResponse(id="chatcmpl-2", model="gpt-4o", usage=litellm.Usage(**USAGE))


def test_the_package_calls_back_for_every_way_to_call_a_model(
    litellm: Any, callback: Any, counts: Counts
) -> None:
    """Waiting or not, streamed or not: the usage of each call is emitted, and of one that fails nothing is."""
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "metadata": METADATA}

    async def calls() -> None:
        await litellm.acompletion(**asked, mock_response=answered(litellm))
        options = {"stream": True, "stream_options": {"include_usage": True}}
        async for _ in await litellm.acompletion(**asked, **options, mock_response="Hello to you"):
            pass
        with pytest.raises(litellm.InternalServerError):
            await litellm.acompletion(**asked, mock_response=Exception("out of order"))
        await litellm.litellm_core_utils.logging_worker.GLOBAL_LOGGING_WORKER.flush()

    asyncio.run(calls())
    by_call: dict[str, list[UsageEvent]] = {}
    for event in callback._client.events:
        by_call.setdefault(event.id.rpartition(":")[0], []).append(event)
    whole = by_call.pop("chatcmpl-2")
    (streamed,) = by_call.values()
    assert counts(whole) == COUNTS
    assert counts(streamed).keys() == {"input_uncached", "output"}
    assert {event.customer_id for event in (*whole, *streamed)} == {"acme"}


def test_each_method_emits_the_same_of_one_call(callback: Any, log: Log, counts: Counts) -> None:
    """Where the package comes by several of them, at different times, the call counts once."""
    moments = (None, None)
    callback.log_success_event(log(endTime=1_760_000_001.0), None, *moments)
    asyncio.run(callback.async_log_success_event(log(endTime=1_760_000_002.0), None, *moments))
    emitted = [encode(event) for event in callback._client.events]
    assert emitted[: len(COUNTS)] == emitted[len(COUNTS) :]
    callback._client.events.clear()
    callback.log_failure_event(log(status="failure"), None, *moments)
    asyncio.run(callback.async_log_failure_event(log(status="failure"), None, *moments))
    assert [event.billable for event in callback._client.events] == [False] * 2 * len(COUNTS)
    assert counts(callback._client.events) == COUNTS


def test_what_cannot_be_billed_is_told_and_not_raised(
    callback: Any, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """Raised, it would end in the package's own log at best."""
    callback.log_success_event(log(metadata={}), None, None, None)
    assert "metadata.customer_id" in caplog.text
    assert callback._client.events == []
