"""Reads a provider's report, be it the package's own object or the JSON as a mapping, and says which field is wrong."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from billing_pipeline.contract.instants import EARLIEST_MICROSECONDS, LATEST_MICROSECONDS, datetime_of
from billing_pipeline.errors import ProviderUsageError

_LARGEST = 10**29
"""The first count that has more integer digits than a quantity may have."""
_SECOND_MICROSECONDS = 1_000_000


class Report(NamedTuple):
    """One object of a report, and where it stands in it."""

    provider: str
    value: object
    path: str = ""

    def get(self, name: str) -> object:
        """A field, None where there is no such field."""
        return member(self.value, name)

    def part(self, name: str) -> "Report":
        """An object within this one; where it is absent, one without fields."""
        return Report(self.provider, self.get(name), self.name(name))

    def name(self, field: str) -> str:
        """How an error calls a field."""
        return f"{self.path}.{field}" if self.path else field

    def text(self, name: str) -> str | None:
        """A text that is not empty, or None."""
        value = self.get(name)
        return value if isinstance(value, str) and value else None

    def count(self, name: str, *, required: bool = False) -> int:
        """A whole number, 0 where it is absent and need not be there."""
        value = self.get(name)
        if value is None and not required:
            return 0
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(name, value, "be a whole number")
        if not 0 <= value < _LARGEST:
            raise self.error(name, value, "be at least 0, with at most 29 digits")
        return value

    def instant(self, name: str) -> datetime | None:
        """Seconds since the epoch as an instant, to the microsecond; None where the field is absent or 0."""
        value = self.get(name)
        if not value:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.error(name, value, "be seconds since 1970")
        if not EARLIEST_MICROSECONDS <= value * _SECOND_MICROSECONDS <= LATEST_MICROSECONDS:
            raise self.error(name, value, "be seconds since 1970, within the years 1 to 9999")
        return datetime_of(round(value * _SECOND_MICROSECONDS))

    def error(self, field: str, value: object, rule: str) -> ProviderUsageError:
        """The error that names a field of this object."""
        return ProviderUsageError(self.provider, self.name(field), value, rule)


def member(value: object, name: str) -> object:
    """A field of a mapping or an attribute of an object, None where there is none."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
