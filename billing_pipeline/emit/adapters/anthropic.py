"""Usage as Anthropic reports it about messages, whole and streamed.

There `input_tokens` leaves out what was read from and written to the cache: the classes are disjoint as they come.
`output_tokens` includes thinking, which is billed as output and so counted there, once. Of the tokens written to the
cache those of the one-hour cache are a class of their own; the rest is `input_cache_write`, also where the breakdown
tells less than the total, as it does once a stream has gone on.

Compaction and the advisor are calls of their own within a message, left out of its figures; each becomes events with
the model that the report names for it. Calls of the provider's tools are events of unit `call`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from billing_pipeline.contract.events import UsageEvent
from billing_pipeline.emit.adapters.attribution import Attribution
from billing_pipeline.emit.adapters.call import Call, usage_events
from billing_pipeline.emit.adapters.reading import Report, member
from billing_pipeline.emit.adapters.token_classes import (
    CACHE_WRITE,
    CACHE_WRITE_1H,
    INPUT_CACHED,
    INPUT_UNCACHED,
    OUTPUT,
    Tokens,
)

PROVIDER = "anthropic"
_APART = frozenset({"compaction", "advisor_message"})
"""Iterations whose tokens are not in the message's own figures."""
_TOOLS = {"web_search_requests": "web_search", "web_fetch_requests": "web_fetch"}
_PRICED_BY = ("service_tier", "speed", "inference_geo")
_CUMULATIVE = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
    "server_tool_use",
    "iterations",
)


def message_events(message: object, attribution: Attribution) -> tuple[UsageEvent, ...]:
    """The events of a whole message, or of a usage object alone (then the attribution tells id and model).

    A message tells no time, so the attribution must: take the response's `date` header, or note it when the message
    comes, and report the call again with the same.

    Raises:
        ProviderUsageError: the figures contradict each other, or something is told by neither.
    """
    usage = member(message, "usage")
    if usage is None and member(message, "input_tokens") is not None:
        message, usage = None, message
    return _events(Report(PROVIDER, message), Report(PROVIDER, usage, "usage"), attribution)


def stream_events(events: Iterable[object], attribution: Attribution) -> tuple[UsageEvent, ...]:
    """The usage events of a whole stream: figures of `message_delta` are cumulative, so the last of each counts.

    Raises:
        ProviderUsageError: as `message_events`, and where the stream has no `message_start`.
    """
    message: object = None
    usage: dict[str, object] = {}
    for event in events:
        kind = member(event, "type")
        if kind == "message_start":
            message = member(event, "message")
            start = member(message, "usage")
            usage = {name: member(start, name) for name in (*_CUMULATIVE, "cache_creation", *_PRICED_BY)}
        elif kind == "message_delta":
            delta = member(event, "usage")
            usage |= {name: value for name in _CUMULATIVE if (value := member(delta, name)) is not None}
    return _events(Report(PROVIDER, message), Report(PROVIDER, usage, "usage"), attribution)


def token_counts(usage: Report) -> Tokens:
    """The tokens of a usage object by class.

    Raises:
        ProviderUsageError: a count is no whole number, below zero, or less than its parts.
    """
    output = usage.count("output_tokens", required=True)
    thinking = usage.part("output_tokens_details").count("thinking_tokens")
    if thinking > output:
        raise usage.error("output_tokens", output, f"be at least the thinking tokens ({thinking})")
    kept = usage.part("cache_creation")
    minutes, hour = (kept.count(f"ephemeral_{name}_input_tokens") for name in ("5m", "1h"))
    name = "cache_creation_input_tokens"
    written = usage.count(name) if usage.get(name) is not None else minutes + hour
    if minutes + hour > written:
        raise usage.error(name, written, f"be at least the sum of its parts (5m {minutes}, 1h {hour})")
    return {
        INPUT_UNCACHED: usage.count("input_tokens", required=True),
        INPUT_CACHED: usage.count("cache_read_input_tokens"),
        CACHE_WRITE: written - hour,
        CACHE_WRITE_1H: hour,
        OUTPUT: output,
    }


def _events(message: Report, usage: Report, attribution: Attribution) -> tuple[UsageEvent, ...]:
    used = usage.part("server_tool_use")
    whole = Call(
        provider=PROVIDER,
        action_id=message.text("id"),
        model=message.text("model"),
        occurred_at=None,
        step="completion",
        tokens=token_counts(usage),
        tool_calls={tool: used.count(name) for name, tool in _TOOLS.items()},
        dimensions={name: text for name in _PRICED_BY if (text := usage.text(name))},
    )
    events = [*usage_events(whole, attribution)]
    for index, apart in _calls_apart(usage):
        call = replace(whole, tokens=token_counts(apart), tool_calls={}, name=f"{apart.text('type')}.{index}")
        other = apart.text("model")
        events += usage_events(call, replace(attribution, model=other) if other else attribution)
    return tuple(events)


def _calls_apart(usage: Report) -> Iterator[tuple[int, Report]]:
    iterations = usage.get("iterations")
    for index, each in enumerate(iterations if isinstance(iterations, list) else ()):
        if member(each, "type") in _APART:
            yield index, Report(PROVIDER, each, f"usage.iterations[{index}]")
