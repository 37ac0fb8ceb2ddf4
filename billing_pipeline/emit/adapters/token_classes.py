"""The token classes, named as rule books and imported prices name them, and how figures that overlap are parted.

The classes of a call are disjoint: their sum is what the provider counted, and no token is in two of them. Reasoning
tokens are output like any other: providers count them within the output, and so they are no class of their own.
Neither are predicted tokens, accepted or rejected.
"""

from typing import Final

from billing_pipeline.emit.adapters.reading import Report

INPUT_UNCACHED: Final = "input_uncached"
INPUT_CACHED: Final = "input_cached"
INPUT_AUDIO: Final = "input_audio"
CACHED_AUDIO: Final = "cache_audio_read"
CACHE_WRITE: Final = "input_cache_write"
CACHE_WRITE_1H: Final = "input_cache_write_1h"
CACHE_WRITE_12H: Final = "input_cache_write_12h"
OUTPUT: Final = "output"
OUTPUT_AUDIO: Final = "output_audio"

Tokens = dict[str, int]
"""Counts by token class."""


def part_input(
    report: Report, field: str, total: int, *, cached: int, audio: int, cached_audio: int, written: Tokens
) -> Tokens:
    """An input count that includes all others, as disjoint classes.

    Args:
        report: Names the provider, and with `field` the count, in an error.
        field: The field that `total` was read from.
        total: All of the input.
        cached: Read from a cache, audio or not.
        audio: Audio, cached or not.
        cached_audio: Both cached and audio.
        written: Written to a cache, by the class of what that costs.

    Raises:
        ProviderUsageError: the parts are more than the whole.
    """
    if cached_audio > min(cached, audio):
        raise report.error(
            field,
            total,
            f"not have more cached audio ({cached_audio}) than cached ({cached}) or audio ({audio}) tokens",
        )
    parts = {
        INPUT_CACHED: cached - cached_audio,
        INPUT_AUDIO: audio - cached_audio,
        CACHED_AUDIO: cached_audio,
        **written,
    }
    uncached = total - sum(parts.values())
    if uncached < 0:
        counted = ", ".join(f"{name} {count}" for name, count in parts.items() if count)
        raise report.error(field, total, f"be at least the sum of its parts ({counted})")
    return {INPUT_UNCACHED: uncached, **parts}


def part_output(report: Report, field: str, total: int, *, audio: int, reasoning: int) -> Tokens:
    """An output count that includes audio and reasoning, as disjoint classes; reasoning stays within `output`.

    Raises:
        ProviderUsageError: the parts are more than the whole.
    """
    if audio + reasoning > total:
        rule = f"be at least the sum of its parts (audio {audio}, reasoning {reasoning})"
        raise report.error(field, total, rule)
    return {OUTPUT: total - audio, OUTPUT_AUDIO: audio}
