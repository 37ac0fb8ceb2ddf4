"""Time: one rule decides the day (design: close, receipt day, posting day). Pure.

    close(D)     = max(end(D) + grace in force at the start of D, close(D-1))
    receipt_day  = the first D with received_at < close(D)
    posting_day  = max(usage_day, receipt_day)

Instants are UTC microseconds since the epoch, days are UTC dates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Lateness = Literal["on_time", "late", "too_late"]

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
GRACE_MAX_DAYS = 3
FUTURE_TOLERANCE_US = 5 * MINUTE_US
"""How far occurred_at may lie after received_at: clocks of producers differ."""
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class CloseTerms:
    """Close policy of one rule book, in force from an instant on."""

    effective_from: int
    grace_minutes: int
    late_window_days: int
    rejects_late: bool
    dedup_window_days: int | None = None
    blocks_conflicts: bool = False


@dataclass(frozen=True)
class CalendarDay:
    """One day: when its receipt day opens and closes, and what lateness means for its usage."""

    day: date
    starts_at: int
    opens_at: int
    closes_at: int
    too_late_at: int


class Calendar:
    """Which day a record belongs to, under the close terms in force by day."""

    def __init__(self, terms: Sequence[CloseTerms]) -> None:
        self._terms = sorted(terms, key=lambda each: each.effective_from)

    def close(self, day: date) -> int:
        """The instant at which a day takes no more.

        A grace is at most 72 h, so no day before D-2 can close after the end of D: three terms are all there are.
        """
        return max(
            start_of(day) - back * DAY_US + DAY_US + self._grace(day, back) for back in range(GRACE_MAX_DAYS)
        )

    def receipt_day(self, received_at: int) -> date:
        """The first day not yet closed at receipt."""
        day = day_of(received_at) - timedelta(days=GRACE_MAX_DAYS)
        while received_at >= self.close(day):
            day += timedelta(days=1)
        return day

    def last_closed(self, watermark: int) -> date:
        """The last day that is closed once everything received before the watermark is there."""
        return self.receipt_day(watermark) - timedelta(days=1)

    def posting_day(self, occurred_at: int, received_at: int) -> date:
        """The day into which usage is booked."""
        return max(day_of(occurred_at), self.receipt_day(received_at))

    def lateness(self, occurred_at: int, received_at: int) -> Lateness:
        """Whether usage is booked on its own day, later, or not at all."""
        entry = self.entry(day_of(occurred_at))
        if received_at >= entry.too_late_at:
            return "too_late"
        return "late" if received_at >= entry.closes_at else "on_time"

    def entry(self, day: date) -> CalendarDay:
        """All instants of one day. Under the policy `reject` late already is too late."""
        terms = self._in_force(start_of(day))
        closes_at = self.close(day)
        window = 0 if terms.rejects_late else terms.late_window_days * DAY_US
        return CalendarDay(
            day=day,
            starts_at=start_of(day),
            opens_at=self.close(day - timedelta(days=1)),
            closes_at=closes_at,
            too_late_at=closes_at + window,
        )

    def dedup_window_days(self, receipt_day: date) -> int | None:
        """How many receipt days back the records of a day are compared with; None without limit."""
        return self._in_force(start_of(receipt_day)).dedup_window_days

    def blocks_conflicts(self, receipt_day: date) -> bool:
        """Whether a conflict received on a day holds back the invoices of its customers."""
        return self._in_force(start_of(receipt_day)).blocks_conflicts

    def lookback_days(self) -> int:
        """How many receipt days before a posting day can hold usage of it, in whole days.

        Usage of a new day arrives in an older receipt day while that one is in its grace, and also just before
        midnight from a producer whose clock is ahead.
        """
        longest = max(each.grace_minutes for each in self._terms) * MINUTE_US + FUTURE_TOLERANCE_US
        return -(-longest // DAY_US)

    def _grace(self, day: date, back: int) -> int:
        return self._in_force(start_of(day) - back * DAY_US).grace_minutes * MINUTE_US

    def _in_force(self, instant: int) -> CloseTerms:
        in_force = self._terms[0]
        for each in self._terms:
            if each.effective_from <= instant:
                in_force = each
        return in_force


def day_of(instant: int) -> date:
    """The UTC date of an instant."""
    return date.fromordinal(_EPOCH_ORDINAL + instant // DAY_US)


def start_of(day: date) -> int:
    """00:00 UTC of a day."""
    return (day.toordinal() - _EPOCH_ORDINAL) * DAY_US


def days_between(first: date, last: date) -> list[date]:
    """All days from first to last, both included; empty where last is before first."""
    return [date.fromordinal(ordinal) for ordinal in range(first.toordinal(), last.toordinal() + 1)]
