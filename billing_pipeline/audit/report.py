"""What an audit found: checks with what each looked at, and its faults, each a sentence that says what to do."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from billing_pipeline.errors import BillingError

Progress = Callable[[str, int, int], None]
"""Told what is looked at now, how much of it is done, and of how much."""


@dataclass
class Check:
    """One check; without a fault it has passed. A warning is no fault: the numbers are right, but somebody must act."""

    name: str
    looked_at: str = ""
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Where the check itself cannot be made, that is its fault, and the others are made all the same."""
        try:
            yield
        except BillingError as error:
            self.faults.append(f"the check could not be made to its end: {error}")
        except Exception as error:  # noqa: BLE001 - damaged files break readers in ways that nobody lists
            told = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            self.faults.append(
                f"the check could not be made to its end ({told}): look at the faults before it first"
            )


@dataclass(frozen=True)
class DayRange:
    """Days from `first` to `last`, both included; None leaves that end open."""

    first: date | None = None
    last: date | None = None

    def __contains__(self, day: date) -> bool:
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)

    def of(self, days: Iterable[date]) -> list[date]:
        """Those of some days that are in the range, in order."""
        return sorted(day for day in days if day in self)


EVERY_DAY = DayRange()


def counted(number: int, noun: str) -> str:
    """`1 file`, `2,000 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
