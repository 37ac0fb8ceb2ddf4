"""How long a notice is tried, and how long is waited in between."""

FIRST_WAIT_SECONDS = 5
LONGEST_WAIT_SECONDS = 3600
GIVE_UP_DAYS = 3
GIVE_UP_US = GIVE_UP_DAYS * 86_400_000_000
_DOUBLINGS_MOST = 20


def wait_us(attempts: int) -> int:
    """After so many failed attempts: 5 seconds, then twice as long each time, at most an hour."""
    doublings = min(max(attempts, 1) - 1, _DOUBLINGS_MOST)
    return min(FIRST_WAIT_SECONDS << doublings, LONGEST_WAIT_SECONDS) * 1_000_000


def is_given_up(created_at: int, next_at: int) -> bool:
    """Whether an attempt at that instant (UTC µs) would come too late."""
    return next_at - created_at > GIVE_UP_US
