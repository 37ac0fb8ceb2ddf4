"""The wall clock of the control database's rows."""

import time


def now_us() -> int:
    """UTC microseconds since the epoch."""
    return time.time_ns() // 1000
