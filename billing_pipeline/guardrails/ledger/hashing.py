"""Whether two requests with the same idempotency key are the same request."""

from hashlib import blake2b

import msgspec

from billing_pipeline.guardrails.requests import Request

_ENCODER = msgspec.json.Encoder()
_DIGEST_BYTES = 16


def request_hash(request: Request) -> str:
    """32 hex digits over all fields."""
    return blake2b(_ENCODER.encode(request), digest_size=_DIGEST_BYTES).hexdigest()
