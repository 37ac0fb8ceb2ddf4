"""Signatures of notices as Standard Webhooks has them: HMAC-SHA256 over id, second and body."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from billing_pipeline.errors import SettingsError

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64


def secrets_of(text: str) -> tuple[bytes, ...]:
    """The secrets of a setting: one, or several with spaces between while a new one takes over.

    Raises:
        SettingsError: one is not written as `whsec_` and base64. What was given is not repeated.
    """
    found = []
    for part in text.split():
        try:
            secret = base64.b64decode(part.removeprefix(PREFIX), validate=True)
        except ValueError:
            secret = b""
        if not part.startswith(PREFIX) or not LEAST_BYTES <= len(secret) <= MOST_BYTES:
            raise SettingsError(
                f"BILLING_WEBHOOK_SECRET: give {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} random bytes in base64, say "
                f'of: echo "{PREFIX}$(openssl rand -base64 32)"'
            )
        found.append(secret)
    if not found:
        raise SettingsError("BILLING_WEBHOOK_SECRET is empty: notices are not sent unsigned")
    return tuple(found)


def signature(secret: bytes, notice_id: str, at_seconds: int, body: bytes) -> str:
    """`v1,` and the base64 of the HMAC."""
    signed = f"{notice_id}.{at_seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def headers_of(secrets: Sequence[bytes], notice_id: str, at_seconds: int, body: bytes) -> dict[str, str]:
    """The headers that a receiver verifies by; a signature by each secret."""
    return {
        "content-type": "application/json",
        "webhook-id": notice_id,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": " ".join(signature(secret, notice_id, at_seconds, body) for secret in secrets),
    }
