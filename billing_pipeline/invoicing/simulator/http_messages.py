"""What goes into the simulator and what comes out of it, without an HTTP server."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class ServerFault(StrEnum):
    """A 500 that Stripe keeps under the idempotency key: without having done anything, or after having done it."""

    INSTEAD = "instead"
    AFTERWARDS = "afterwards"


@dataclass(frozen=True)
class Request:
    """One HTTP request: `form` is the query of GET and DELETE, the body of POST."""

    method: str
    path: str
    form: str
    api_key: str | None
    idempotency_key: str | None = None
    server_fault: ServerFault | None = None
    """Set by a scripted fault, never by a client."""


@dataclass(frozen=True)
class Response:
    """One HTTP answer; the body is JSON text.

    `delay_seconds` passes before it is sent, and one that is `dropped` is not sent at all: the connection is
    closed in its place.
    """

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    dropped: bool = False


Handler = Callable[[Request], Response]
"""Faults wrap a handler: before (429, 503), instead (500) or after it (applied, then dropped)."""
