"""Usage as OpenAI reports it: chat completions, responses, realtime responses and embeddings.

There cached, cache-written and audio tokens are part of the input, and audio, reasoning and predicted tokens part of
the output. Each is taken out of the whole once; reasoning and predicted tokens stay in `output`, where they are
billed already. Where audio may be cached too and the report does not say how much of it is, it counts as not cached.

A total that is not the sum of input and output is refused: some servers of this API leave reasoning tokens out of the
output and only count them in the total. Image tokens are counted within input and output. Tokens of the image tool of
the responses API belong to another model, which the report does not name, so they are not counted here.
"""

from collections.abc import Iterable

from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.emit.adapters.attribution import Attribution
from billing_pipeline.emit.adapters.call import Call, usage_events
from billing_pipeline.emit.adapters.reading import Report, member
from billing_pipeline.emit.adapters.token_classes import (
    CACHE_WRITE,
    CACHE_WRITE_1H,
    CACHE_WRITE_12H,
    Tokens,
    part_input,
    part_output,
)

PROVIDER = "openai"


def response_events(response: object, attribution: Attribution) -> tuple[UsageEvent, ...]:
    """The events of a whole response, of a stream's last chunk or event, or of a usage object alone.

    A usage object alone tells neither id nor model nor time: the attribution must. An embedding tells no id, unless it
    is the package's object (then it is the id of the request), and no time. A response that failed is not billable.

    Raises:
        ProviderUsageError: the figures contradict each other, or something is told by neither.
    """
    whole = member(response, "response") or response
    usage = member(whole, "usage")
    failed = member(whole, "status") == "failed"
    if usage is None and any(member(whole, name) is not None for name in ("prompt_tokens", "input_tokens")):
        whole, usage = None, whole
    report = Report(PROVIDER, usage, "usage")
    if usage is None:
        if failed:
            return ()
        raise report.error("", None, "be reported; a stream of chat completions needs `include_usage`")
    call = _call(Report(PROVIDER, whole), report)
    return usage_events(call, attribution.failed() if failed else attribution)


def stream_events(chunks: Iterable[object], attribution: Attribution) -> tuple[UsageEvent, ...]:
    """The events of a whole stream. Usage in a stream is cumulative: the last that is reported counts.

    Raises:
        ProviderUsageError: as `response_events`, and where no chunk reports usage.
    """
    last: object = None
    for chunk in chunks:
        whole = member(chunk, "response") or chunk
        if member(whole, "usage") is not None or member(whole, "status") == "failed":
            last = chunk
    return response_events(last, attribution)


def token_counts(usage: Report, *, check_total: bool = True) -> Tokens:
    """The tokens of a usage object by class.

    Raises:
        ProviderUsageError: a count is no whole number, below zero, or less than its parts.
    """
    chat = usage.get("prompt_tokens") is not None
    name, answer = ("prompt_tokens", "completion_tokens") if chat else ("input_tokens", "output_tokens")
    total, output = usage.count(name, required=True), usage.count(answer)
    read = _details(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    made = _details(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")
    tokens = part_input(
        usage,
        name,
        total,
        cached=read.count("cached_tokens"),
        audio=read.count("audio_tokens"),
        cached_audio=read.part("cached_tokens_details").count("audio_tokens"),
        written=_written(read),
    ) | part_output(
        usage, answer, output, audio=made.count("audio_tokens"), reasoning=made.count("reasoning_tokens")
    )
    both = usage.count("total_tokens")
    if check_total and both and both != total + output:
        rule = f"be the sum of {name} {total} and {answer} {output}; are reasoning tokens left out of the output?"
        raise usage.error("total_tokens", both, rule)
    return tokens


def _call(whole: Report, usage: Report) -> Call:
    embedding = whole.get("object") == "list" or (
        usage.get("prompt_tokens") is not None and usage.get("completion_tokens") is None
    )
    searches = whole.part("tool_usage").part("web_search").count("num_requests")
    tier = whole.text("service_tier")
    return Call(
        provider=PROVIDER,
        action_id=whole.text("id") or whole.text("_request_id"),
        model=whole.text("model"),
        occurred_at=whole.instant("created") or whole.instant("created_at"),
        step="embedding" if embedding else "completion",
        tokens=token_counts(usage),
        tool_calls={"web_search": searches},
        dimensions={"service_tier": tier} if tier else {},
    )


def _details(usage: Report, *names: str) -> Report:
    found = next((name for name in names if usage.get(name) is not None), names[0])
    return usage.part(found)


def _written(read: Report) -> Tokens:
    """Tokens written to the cache. Those kept for an hour or longer have classes of their own.

    The breakdown by how long they are kept is called one thing by OpenAI and another by LiteLLM, which uses this too.
    """
    name = "cache_write_tokens" if read.get("cache_write_tokens") is not None else "cache_creation_tokens"
    written = read.count(name)
    kept, other = read.part("cache_write_tokens_details"), read.part("cache_creation_token_details")
    hour = other.count("ephemeral_1h_input_tokens")
    half_day = kept.count("ttl_12h_tokens") or other.count("ephemeral_12h_input_tokens")
    if hour + half_day > written:
        raise read.error(
            name, written, f"be at least those kept for 1 hour ({hour}) and 12 hours ({half_day})"
        )
    return {CACHE_WRITE: written - hour - half_day, CACHE_WRITE_1H: hour, CACHE_WRITE_12H: half_day}
