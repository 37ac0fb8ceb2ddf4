"""Usage as LiteLLM logs it: the arguments of its callbacks, with its standard logging payload.

LiteLLM tells every provider's usage in the form of OpenAI's chat completions, where cached and cache-written tokens
are part of the input, and reasoning part of the output, also for providers that count otherwise themselves.

Whom a call is booked for is told by metadata: `customer_id`, `project_id`, and where needed `user_id`, `session_id`,
`parent_id` and `step`. What is set for a virtual key of the proxy counts before what a request brings along, so that
a key's holder cannot book on somebody else.

The time is the call's start, for the callbacks of one call are not told the same end.
"""

from collections.abc import Mapping

from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.contract.reason_codes import UsageReason
from billing_pipeline.emit.adapters import openai
from billing_pipeline.emit.adapters.attribution import Attribution
from billing_pipeline.emit.adapters.call import Call, usage_events
from billing_pipeline.emit.adapters.provider_names import provider_name
from billing_pipeline.emit.adapters.reading import Report, member

LITELLM = "litellm"
_PAYLOAD = "standard_logging_object"


def callback_events(
    arguments: Mapping[str, object],
    response: object,
    *,
    source: str,
    defaults: Mapping[str, str] | None = None,
    bill_cache_hits: bool = False,
) -> tuple[UsageEvent, ...]:
    """The events of one callback of a success or a failure.

    A call that failed is not billable (`provider_error`), and mostly has counted nothing, so that it makes no event.
    An answer from LiteLLM's own cache has used no provider: it is not billable (`goodwill`) unless told otherwise.

    Args:
        arguments: The callback's `kwargs`.
        response: The callback's `response_obj`, asked where the payload has no usage.
        source: The producer.
        defaults: What holds where the metadata does not tell.
        bill_cache_hits: Whether answers from LiteLLM's own cache are billable.

    Raises:
        ProviderUsageError: the figures contradict each other, or something is not told.
    """
    payload = Report(LITELLM, arguments.get(_PAYLOAD), _PAYLOAD)
    if payload.value is None:
        raise payload.error("", None, "be among the callback's arguments")
    usage = payload.part("metadata").part("usage_object")
    if not usage.value:
        usage = Report(LITELLM, member(response, "usage"), "usage")
    failed = payload.get("status") == "failure"
    if not usage.value:
        if failed:
            return ()
        raise payload.error("metadata.usage_object", None, "be reported, or be the response's usage")
    call = _call(payload, usage)
    if not any(call.tokens.values()) and not any(call.tool_calls.values()):
        return ()
    attribution = _attribution(payload, arguments, source, defaults or {})
    if failed:
        attribution = attribution.failed()
    elif _from_cache(payload) and not bill_cache_hits:
        attribution = attribution.not_billable(UsageReason.GOODWILL)
    return usage_events(call, attribution)


def _call(payload: Report, usage: Report) -> Call:
    name = payload.text("custom_llm_provider")
    searches = usage.part("server_tool_use").count("web_search_requests")
    return Call(
        provider=provider_name(name) if name else LITELLM,
        action_id=payload.text("litellm_call_id" if _from_cache(payload) else "id"),
        model=payload.text("model"),
        occurred_at=payload.instant("startTime"),
        step="embedding" if "embedding" in str(payload.get("call_type")) else "completion",
        tokens=openai.token_counts(usage, check_total=False),
        tool_calls={"web_search": searches},
        correlation_id=payload.text("trace_id"),
    )


def _from_cache(payload: Report) -> bool:
    """Whether LiteLLM answered from its own cache; then the response's id has a clock time in it, new every time."""
    return payload.get("cache_hit") is True or "_cache_hit" in (payload.text("id") or "")


def _attribution(
    payload: Report, arguments: Mapping[str, object], source: str, defaults: Mapping[str, str]
) -> Attribution:
    logged = payload.get("metadata")
    places = (
        member(logged, "user_api_key_auth_metadata"),
        member(arguments.get("litellm_params"), "metadata"),
        member(logged, "requester_metadata"),
        member(logged, "spend_logs_metadata"),
        defaults,
    )

    def told(name: str) -> str | None:
        found = (member(place, name) for place in places if isinstance(place, Mapping))
        return next((value for value in found if isinstance(value, str) and value), None)

    def required(name: str) -> str:
        value = told(name)
        if value is None:
            raise payload.error(f"metadata.{name}", None, "be in the metadata of the call or its key")
        return value

    return Attribution(
        source=source,
        customer_id=required("customer_id"),
        project_id=required("project_id"),
        user_id=told("user_id") or payload.text("end_user"),
        session_id=told("session_id") or payload.text("session_id"),
        parent_id=told("parent_id"),
        step=told("step"),
    )
