"""Prepaid credit grants: which pays first, and how much of what is due it pays."""

from collections.abc import Iterable
from datetime import date

from billing_pipeline.rating.agreement import CreditGrant

_NEVER = date.max


class Due:
    """What an invoice has due in one currency (minor units), by charge or fee ("" for terms about several).

    What is negative, such as an adjustment, lowers the whole but is no charge's to pay.
    """

    def __init__(self) -> None:
        self._by_charge: dict[str, int] = {}

    @property
    def total_minor(self) -> int:
        """The sum; may be negative."""
        return sum(self._by_charge.values())

    def add(self, charge: str, amount_minor: int) -> None:
        """Count an amount to a charge."""
        self._by_charge[charge] = self._by_charge.get(charge, 0) + amount_minor

    def within(self, charges: frozenset[str]) -> int:
        """What some charges (empty: all) have due, at most the total, never below 0."""
        mine = sum(minor for name, minor in self._by_charge.items() if not charges or name in charges)
        return max(0, min(mine, self.total_minor))

    def take(self, charges: frozenset[str], amount_minor: int) -> None:
        """Take an amount off some charges, of each what it has due, in the order of their names.

        What is taken off all charges lowers the whole and is no charge's own, so it leaves to grants for some charges
        what these can pay.

        Raises:
            ValueError: more is taken than they have due.
        """
        if amount_minor > self.within(charges):
            raise ValueError(f"{amount_minor} is more than the {self.within(charges)} that is due")
        if not charges:
            self.add("", -amount_minor)
            return
        left = amount_minor
        for name in sorted(self._by_charge):
            if name in charges:
                part = min(left, max(0, self._by_charge[name]))
                self._by_charge[name] -= part
                left -= part


def in_order(grants: Iterable[CreditGrant], currency: str, last_day: date) -> list[CreditGrant]:
    """The grants that pay an invoice, in the order in which they pay: priority, then expiry, then creation.

    Args:
        grants: in the order of their creation.
        currency: of the invoice.
        last_day: the last day of the invoice period; a grant pays if it is in force to its end.
    """
    valid = [
        grant
        for grant in grants
        if grant.currency == currency
        and grant.start <= last_day
        and (grant.expires is None or grant.expires > last_day)
        and (grant.voided_from is None or grant.voided_from > last_day)
    ]
    return sorted(valid, key=lambda grant: (grant.priority, grant.expires or _NEVER))


def draw(due: Due, charges: frozenset[str], left_minor: int) -> int:
    """Let a grant pay: takes what its charges have due off, at most what it has left; returns that, 0 or more."""
    drawn = min(max(0, left_minor), due.within(charges))
    due.take(charges, drawn)
    return drawn
