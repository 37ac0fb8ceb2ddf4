"""The windows over which spend is counted and limited. Each takes what was granted within it."""

from typing import Literal

Window = Literal["request", "minute", "hour", "day", "period", "session"]
"""`request` is one hold alone, `period` the customer's billing period, `session` an agent run from start to end."""

COUNTED: tuple[Window, ...] = ("minute", "hour", "day", "period")
"""What is counted for customers and projects, whether limited or not: a new limit knows what was spent before it."""

_LENGTHS_US = {"minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000}


def window_start(window: str, at_us: int, period_starts_at: int) -> int:
    """When the window that holds an instant began. Instants are UTC µs."""
    if window == "period":
        return period_starts_at
    return at_us - at_us % _LENGTHS_US[window]


def window_end(window: str, at_us: int, period_ends_at: int) -> int | None:
    """When the window that holds an instant ends and begins anew; None where none does. Instants are UTC µs."""
    if window == "period":
        return period_ends_at
    length = _LENGTHS_US.get(window)
    return None if length is None else at_us - at_us % length + length
