"""The reference model's calendar: which day a record belongs to."""

from collections.abc import Sequence

from billing_pipeline_tests.metering.reference.log import DAY_US, MINUTE_US, Book


def book_at(books: Sequence[Book], instant: int) -> Book | None:
    """The rule book in force at an instant: the last one that has started."""
    started = [book for book in books if book.effective_from <= instant]
    return max(started, key=lambda book: book.effective_from) if started else None


def policy_of(books: Sequence[Book], day: int) -> Book:
    """The rule book whose close policy holds for a day: in force at its start, else the first there is."""
    return book_at(books, day * DAY_US) or min(books, key=lambda book: book.effective_from)


def close(books: Sequence[Book], day: int) -> int:
    """When a day takes no more: its end plus the grace in force at its start, and never before the day before it.

    Before the first rule book starts the grace is always the same, so there the later day closes later.
    """
    own = (day + 1) * DAY_US + policy_of(books, day).grace_minutes * MINUTE_US
    if day * DAY_US < min(book.effective_from for book in books):
        return own
    return max(own, close(books, day - 1))


def receipt_day(books: Sequence[Book], received_at: int) -> int:
    """The first D with received_at < close(D); a grace is at most three days, so none before the fourth day back."""
    day = received_at // DAY_US - 4
    while received_at >= close(books, day):
        day += 1
    return day


def too_late_at(books: Sequence[Book], usage_day: int) -> int:
    """From when on usage of a day is refused, by the policy of that day."""
    policy = policy_of(books, usage_day)
    window_days = 0 if policy.rejects_late else policy.late_window_days
    return close(books, usage_day) + window_days * DAY_US
