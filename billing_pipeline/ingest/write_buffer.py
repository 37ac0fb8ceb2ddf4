"""What waits to be written to the queue: a bounded buffer between the callers and the writer's thread."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from billing_pipeline.errors import QueueError, QueueFullError

MAX_BUFFER_BYTES = 64 * 1024 * 1024
"""Bodies that may wait for the disk; beyond it appends wait."""

MAX_BUFFER_REQUESTS = 4096
"""Appends that may wait for the disk; beyond it further ones wait."""


@dataclass(frozen=True, slots=True)
class Append:
    """A batch to be numbered, stamped and stored. `received_at` (UTC µs per record) only for imports."""

    producer: str
    count: int
    body: bytes
    received_at: Sequence[int] | None = None
    done: Future[range] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Advance:
    """The clock to be moved to an instant (UTC µs)."""

    to_us: int
    body: bytes = b""
    done: Future[range] = field(default_factory=Future)


class WriteBuffer:
    """Requests in the order in which they came. Many threads put, one takes."""

    def __init__(self) -> None:
        self._waiting: list[Append | Advance] = []
        self._waiting_bytes = 0
        self._refusal: Callable[[], QueueError] | None = None
        self._changed = threading.Condition()

    def put(self, request: Append | Advance, wait_seconds: float) -> None:
        """Hand in a request; waits that long while there is no room.

        Raises:
            QueueFullError: there was no room in time; nothing was taken in.
            QueueError: the buffer was refused to everybody.
        """
        deadline = time.monotonic() + wait_seconds
        with self._changed:
            while self._refusal is None and not self._has_room(request):
                if not self._changed.wait(max(0.0, deadline - time.monotonic())) and not self._has_room(
                    request
                ):
                    raise QueueFullError(self._waiting_bytes, wait_seconds)
            if self._refusal is not None:
                raise self._refusal()
            self._waiting.append(request)
            self._waiting_bytes += len(request.body)
            self._changed.notify_all()

    def wait(self, timeout_seconds: float | None) -> bool:
        """Wait for a request, a refusal or the time's end; False once nothing waits and nothing will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._refusal is not None, timeout_seconds)
            return bool(self._waiting) or self._refusal is None

    def take(self) -> list[Append | Advance]:
        """All that waits now; who has cancelled a request gets nothing written, and from now on cannot cancel."""
        with self._changed:
            taken, self._waiting = self._waiting, []
            self._waiting_bytes = 0
            self._changed.notify_all()
        return [request for request in taken if request.done.set_running_or_notify_cancel()]

    def refuse(self, refusal: Callable[[], QueueError]) -> None:
        """Take in nothing more; the first refusal stands. What waits can still be taken."""
        with self._changed:
            self._refusal = self._refusal or refusal
            self._changed.notify_all()

    def _has_room(self, request: Append | Advance) -> bool:
        if not self._waiting:
            return True
        room = self._waiting_bytes + len(request.body) <= MAX_BUFFER_BYTES
        return room and len(self._waiting) < MAX_BUFFER_REQUESTS
