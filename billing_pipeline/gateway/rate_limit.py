"""How many events a second a key may send: a bucket of a second's worth of tokens for each."""

import math
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at_seconds: float


class RateLimiter:
    """Token buckets by key id. Instants are seconds of a clock that nobody sets.

    A request is let in while there is any token, and takes as many as it has events. So a batch larger than the
    bucket passes, and what it overdraws is waited for by those after it.
    """

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key_id: str, events_per_second: int, events: int, now_seconds: float) -> int:
        """Take tokens for some events; 0 where they were there, else the whole seconds until some are there."""
        bucket = self._buckets.get(key_id)
        if bucket is None:
            bucket = self._buckets[key_id] = _Bucket(events_per_second, now_seconds)
        passed_seconds = now_seconds - bucket.filled_at_seconds
        bucket.tokens = min(events_per_second, bucket.tokens + passed_seconds * events_per_second)
        bucket.filled_at_seconds = now_seconds
        if bucket.tokens <= 0:
            return math.floor(-bucket.tokens / events_per_second) + 1
        bucket.tokens -= events
        return 0

    def keep_only(self, key_ids: set[str]) -> None:
        """Forget the buckets of keys that are there no more."""
        for key_id in self._buckets.keys() - key_ids:
            del self._buckets[key_id]
