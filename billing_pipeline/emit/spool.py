"""What a client needs of the place where events wait, and the place in memory."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from billing_pipeline.errors import SpoolFullError


class Spool(Protocol):
    """Events in the order they were emitted, until the gateway has settled them.

    Any thread may append; one at a time peeks and settles.
    """

    def append(self, payloads: Sequence[bytes]) -> None:
        """Take events over, all or none.

        Raises:
            SpoolFullError: there is no room.
            SpoolError: the disk failed.
        """

    def peek(self, most_events: int, most_bytes: int) -> list[bytes]:
        """The events that have waited longest: at least one if there is any, then as many as both limits let in."""

    def settle(self, count: int) -> None:
        """Be done with the first `count` events."""

    def close(self) -> None:
        """Let go of it; twice changes nothing."""

    @property
    def waiting(self) -> int:
        """Events not settled."""

    @property
    def waiting_bytes(self) -> int:
        """Their payloads."""

    @property
    def oldest_seconds(self) -> float | None:
        """Since when, by the steady clock, the next batch gathers; None where nothing waits."""


class MemorySpool:
    """Waiting events in memory: fast, and gone with the process."""

    def __init__(self, limit_bytes: int, steady_seconds: Callable[[], float]) -> None:
        self._limit_bytes = limit_bytes
        self._steady_seconds = steady_seconds
        self._payloads: deque[tuple[bytes, float]] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def append(self, payloads: Sequence[bytes]) -> None:
        """As the port says."""
        added = sum(map(len, payloads))
        now = self._steady_seconds()
        with self._lock:
            if self._bytes + added > self._limit_bytes:
                raise SpoolFullError(self._bytes, self._limit_bytes)
            self._payloads.extend((payload, now) for payload in payloads)
            self._bytes += added

    def peek(self, most_events: int, most_bytes: int) -> list[bytes]:
        """As the port says."""
        found: list[bytes] = []
        size = 0
        with self._lock:
            for payload, _ in self._payloads:
                size += len(payload)
                if found and (len(found) == most_events or size > most_bytes):
                    break
                found.append(payload)
        return found

    def settle(self, count: int) -> None:
        """As the port says."""
        with self._lock:
            for _ in range(count):
                self._bytes -= len(self._payloads.popleft()[0])

    def close(self) -> None:
        """Nothing is held but memory."""

    @property
    def waiting(self) -> int:
        """As the port says."""
        return len(self._payloads)

    @property
    def waiting_bytes(self) -> int:
        """As the port says."""
        return self._bytes

    @property
    def oldest_seconds(self) -> float | None:
        """As the port says."""
        with self._lock:
            return self._payloads[0][1] if self._payloads else None
