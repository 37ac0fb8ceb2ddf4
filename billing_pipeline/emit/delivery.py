"""Turns waiting events into requests and answers into what is settled; the same for the sync and the async client."""

import gzip
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from billing_pipeline.emit.answers import Answer, Held, NoAnswer, Settled, Split, TryAgain, verdict_of
from billing_pipeline.emit.options import Options
from billing_pipeline.emit.refusal import Refusal, RefusedFile
from billing_pipeline.emit.spool import Spool
from billing_pipeline.errors import EmitError, EventFault

_LOG = logging.getLogger("billing_pipeline.emit")
_GZIP_LEVEL = 1


@dataclass(frozen=True)
class Request:
    """A body for the gateway, and the events in it."""

    payloads: list[bytes]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Counts:
    """What a client has done since it was made; events, but for `retried`, which are requests sent again."""

    emitted: int
    acknowledged: int
    refused: int
    retried: int
    waiting: int


class Delivery:
    """What is sent next, and how long to pause after an attempt. One thread at a time uses it."""

    def __init__(
        self,
        spool: Spool,
        options: Options,
        api_key: str | Callable[[], str],
        refused_file: RefusedFile | None,
    ) -> None:
        self.acknowledged = 0
        self.refused = 0
        self.retried = 0
        self.last_problem: str | None = None
        """Why the last attempt failed; None after one that did not."""
        self._spool = spool
        self._options = options
        self._api_key = api_key
        self._refused_file = refused_file
        self._failures = 0
        self._most_events = options.batch_events

    def request(self) -> Request:
        """The next batch, where events wait.

        Raises:
            EmitError: events wait, but cannot be read, or the key cannot be sent.
            OSError: the spool cannot be read.
        """
        payloads = self._spool.peek(self._most_events, self._options.batch_bytes)
        if not payloads:
            raise EmitError(
                "events wait, but the spool does not give them: were its files changed or removed?"
            )
        body = b"\n".join(payloads) + b"\n"
        key = checked_key(self._api_key if isinstance(self._api_key, str) else self._api_key())
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
        if len(body) >= self._options.gzip_from_bytes:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        if self._failures:
            self.retried += 1
        return Request(payloads, headers, body)

    def conclude(self, request: Request, answer: Answer | NoAnswer) -> float:
        """Settle what the answer settles; the seconds to pause before the next attempt."""
        count = len(request.payloads)
        match verdict_of(answer, count):
            case Settled(refused):
                return self._settle(request, refused)
            case Split(reason):
                self._most_events = max(1, count // 2)
                return self._failed(
                    f"{reason}; sending {self._most_events} events at a time from now on", 0.0
                )
            case TryAgain(reason, after_seconds):
                return self._failed(reason, self._pause_seconds(after_seconds))
            case Held(reason):
                return self._failed(reason, self._options.pauses.held_seconds)

    def stopped(self, error: Exception) -> float:
        """Note that an attempt broke on this side (the disk, a key that cannot be had); the pause after it."""
        return self._failed(f"{type(error).__name__}: {error}", self._pause_seconds(None))

    def tell(self, problem: str) -> None:
        """Log a problem and hand it to who asked to be told."""
        _LOG.warning("%s", problem)
        if self._options.on_problem is not None:
            try:
                self._options.on_problem(problem)
            except Exception:  # noqa: BLE001 - a fault of who is told must not stop the sending
                _LOG.exception("on_problem failed")

    def _settle(self, request: Request, refused: Mapping[int, EventFault]) -> float:
        refusals = [Refusal(*fault, request.payloads[index]) for index, fault in sorted(refused.items())]
        if refusals and self._refused_file is not None:
            self._refused_file.append(refusals, self._options.chance.wall_us())
        self._spool.settle(len(request.payloads))
        self._failures = 0
        self.last_problem = None
        self.acknowledged += len(request.payloads) - len(refusals)
        self.refused += len(refusals)
        for refusal in refusals:
            self._tell_refusal(refusal)
        return 0.0

    def _tell_refusal(self, refusal: Refusal) -> None:
        _LOG.error("the gateway refused an event: %s (%s)", refusal.message, refusal.code)
        if self._options.on_refused is not None:
            try:
                self._options.on_refused(refusal)
            except Exception:  # noqa: BLE001 - a fault of who is told must not stop the sending
                _LOG.exception("on_refused failed")

    def _failed(self, reason: str, pause_seconds: float) -> float:
        self._failures += 1
        self.last_problem = reason
        self.tell(f"{self._spool.waiting} events wait, attempt {self._failures} failed: {reason}")
        return pause_seconds

    def _pause_seconds(self, after_seconds: float | None) -> float:
        """Full jitter below a bound that doubles, and never less than the gateway asks for."""
        pauses = self._options.pauses
        bound = min(pauses.longest_seconds, pauses.first_seconds * 2.0 ** min(self._failures, 30))
        drawn = self._options.chance.fraction() * bound
        if after_seconds is None:
            return drawn
        return min(after_seconds, pauses.longest_retry_after_seconds) + drawn


def checked_key(api_key: str) -> str:
    """The key without white space around it (a file's last line feed).

    Raises:
        EmitError: no header can carry it. The HTTP library would say so too, and quote the key.
    """
    key = api_key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise EmitError("the API key is empty or has characters that no key has; give it as it was issued")
    return key
