"""What a client can be told: batches, limits, pauses; and what tests put in the place of clock and chance."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from billing_pipeline.emit.refusal import Refusal


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """How long the client waits before it sends the same events again."""

    first_seconds: float = 0.25
    longest_seconds: float = 30.0
    """The bound of a pause doubles with each failure up to this; the pause is drawn from 0 to the bound."""
    held_seconds: float = 60.0
    """After an answer that only a person can mend: an unknown key, a wrong address."""
    longest_retry_after_seconds: float = 300.0
    """What the gateway asks for (Retry-After) is kept up to this."""


@dataclass(frozen=True, kw_only=True)
class Chance:
    """The clock and the dice. Tests bring their own."""

    wall_us: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000)
    """UTC microseconds."""
    steady_seconds: Callable[[], float] = time.monotonic
    fraction: Callable[[], float] = random.random
    """At least 0, below 1."""
    pause: Callable[[threading.Event, float], object] = threading.Event.wait
    """Waits so many seconds, or until the event is set: the sync client between attempts."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Limits and habits of a client. What is bounded in bytes counts the events as they are sent, uncompressed."""

    batch_events: int = 1_000
    batch_bytes: int = 1 << 20
    batch_age_seconds: float = 0.5
    """An event waits no longer than this for others to be sent with."""
    spool_bytes: int = 256 << 20
    segment_bytes: int = 4 << 20
    """The spool's files; on disk it may hold about one of them more than `spool_bytes`."""
    spool_slots: int = 1
    """Processes that may share the spool directory, each in a sub-directory of its own where more than one."""
    gzip_from_bytes: int = 2_048
    """Bodies from this size on are compressed."""
    request_timeout_seconds: float = 10.0
    exit_timeout_seconds: float = 5.0
    """How long the process may be kept from ending while the last events are sent."""
    validate: bool = True
    pauses: Pauses = field(default_factory=Pauses)
    chance: Chance = field(default_factory=Chance)
    on_refused: Callable[[Refusal], None] | None = None
    """Told of every event that the gateway refused, in the thread that sends."""
    on_problem: Callable[[str], None] | None = None
    """Told, in the thread that sends, of every attempt that failed and of what a crash left behind."""
