"""The queue's clock: which receipt time a record gets, and why none is ever smaller than one before it."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from billing_pipeline.errors import ClockError

MAX_FORWARD_JUMP_US = 3_600_000_000
"""How far the wall clock may run ahead of the time that has really passed before stamping stops."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def wall_clock_us() -> int:
    """The machine's wall clock in UTC µs."""
    return time.time_ns() // 1000


def steady_clock_us() -> int:
    """Microseconds of a clock that nobody sets and that, where it can, runs on while the machine sleeps."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.monotonic_ns() if boot_time is None else time.clock_gettime_ns(boot_time)) // 1000


class QueueClock:
    """Gives out receipt times that never go back.

    `value` is the largest receipt time given or instant advanced to. A wall clock behind it is held at it. A
    wall clock that runs more than an hour ahead of the steady clock since it was last seen stops stamping, as
    a wrong receipt time could never be taken back. Nothing is known about the time before this object was
    made: reopening the queue is how an operator confirms that the wall clock is right.

    Instants are UTC µs. Not thread-safe: one writer owns it.
    """

    def __init__(self, value: int, wall_clock: Callable[[], int], steady_clock: Callable[[], int]) -> None:
        self.value = value
        self._wall_clock = wall_clock
        self._steady_clock = steady_clock
        self._seen_wall = wall_clock()
        self._seen_steady = steady_clock()

    def stamp(self) -> int:
        """The receipt time of records accepted now.

        Raises:
            ClockError: the wall clock has jumped forward.
        """
        self.value = max(self.value, self._now())
        return self.value

    def accept(self, received_at: Sequence[int]) -> None:
        """Take the receipt times that an import brings (at least one).

        Raises:
            ClockError: they go back, or one is before the clock or after the wall clock. The clock is
            unchanged.
        """
        now = self._now()
        before = self.value
        for position, instant in enumerate(received_at):
            if instant < before:
                what = "the receipt time before it" if position else "the queue's clock"
                raise ClockError(
                    f"receipt time {instant_text(instant)} (record {position} of the batch) is before "
                    f"{what}, {instant_text(before)}; order the whole input by receipt time, and raise "
                    "what is earlier than the queue's clock to it"
                )
            before = instant
        if before > now:
            raise ClockError(
                f"receipt time {instant_text(before)} is after the wall clock, {instant_text(now)}; "
                "history cannot have been received in the future: correct the input's times"
            )
        self.value = before

    def advance(self, to_us: int) -> None:
        """Move on to an instant without a record.

        Raises:
            ClockError: it is before the clock or after the wall clock. The clock is unchanged.
        """
        if to_us < self.value:
            raise ClockError(
                f"the queue's clock stands at {instant_text(self.value)} and never goes back to "
                f"{instant_text(to_us)}; advance to an instant after it, or not at all"
            )
        now = self._now()
        if to_us > max(now, self.value):
            raise ClockError(
                f"the queue's clock cannot be advanced to {instant_text(to_us)}, which is after "
                f"the wall clock, {instant_text(now)}: records received until then would be missed"
            )
        self.value = to_us

    def _now(self) -> int:
        wall, steady = self._wall_clock(), self._steady_clock()
        expected = self._seen_wall + steady - self._seen_steady
        if wall > expected + MAX_FORWARD_JUMP_US:
            raise ClockError(
                f"the wall clock jumped forward to {instant_text(wall)} where {instant_text(expected)} was "
                "expected; nothing is stamped until it is set right or, if it is right, the queue is reopened"
            )
        # Small steps forward are followed, so that slow drift over months is no jump; a clock set back is
        # remembered where it should be, so that setting it right again is no jump either.
        self._seen_wall, self._seen_steady = max(wall, expected), steady
        return wall


def instant_text(instant_us: int) -> str:
    """An instant in UTC µs as ISO 8601 text for people."""
    try:
        return (_EPOCH + timedelta(microseconds=instant_us)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{instant_us} µs since 1970"
