"""What an API key is good for: rights, customers and sources."""

from dataclasses import dataclass
from enum import StrEnum

ANY = "*"


class Right(StrEnum):
    """What the holder of a key may ask for."""

    EVENTS_WRITE = "events:write"
    GUARD_USE = "guard:use"
    """Reserve, settle, release, extend and see balances."""
    GUARD_ADMIN = "guard:admin"
    """See and decide reviews, set limits, stop and resume."""


@dataclass(frozen=True, slots=True)
class Denial:
    """The field of an event that a scope does not cover, its value, and the rule: a phrase that follows "must"."""

    field: str
    value: str
    rule: str


@dataclass(frozen=True, slots=True)
class Scope:
    """The rights of a key, whose events it may write, and for whom it may use the guard.

    `customers` and `sources` are None where they are not limited. A source is named exactly, or by how it begins:
    `eu/*` takes every source that begins with `eu/`.
    """

    rights: frozenset[Right] = frozenset({Right.EVENTS_WRITE})
    customers: frozenset[str] | None = None
    sources: tuple[str, ...] | None = None

    def denial(self, source: str, payers: tuple[str, ...]) -> Denial | None:
        """Why an event of this source for these customers may not be written; None if it may."""
        if self.sources is not None and not self._has_source(source):
            return Denial("source", source, "be one that the API key may write for")
        if self.customers is not None:
            for payer in payers:
                if payer not in self.customers:
                    return Denial("customer_id", payer, "be one that the API key may write for")
        return None

    def denial_of_correction(self, corrects_source: str) -> Denial | None:
        """Why events of this source may not be corrected; None if they may.

        A correction does not say whose usage it changes. So a key that is limited to customers may not correct.
        """
        if self.customers is not None:
            rule = "be usage: the API key is limited to customers, and whose usage a correction changes is not known"
            return Denial("type", "correction", rule)
        if self.sources is not None and not self._has_source(corrects_source):
            return Denial("corrects.source", corrects_source, "be one that the API key may write for")
        return None

    def covers(self, customer_id: str) -> bool:
        """Whether it may be used for a customer."""
        return self.customers is None or customer_id in self.customers

    def _has_source(self, source: str) -> bool:
        return any(_matches(pattern, source) for pattern in self.sources or ())


def _matches(pattern: str, source: str) -> bool:
    return source.startswith(pattern[:-1]) if pattern.endswith(ANY) else source == pattern
