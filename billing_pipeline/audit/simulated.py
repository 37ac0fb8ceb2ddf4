"""What a simulation found: what was billed beside what would be, by customer, currency and charge. Values only."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Literal, NamedTuple

State = Literal["compared", "not_billed", "blocked"]


class ChargeKey(NamedTuple):
    """What amounts are compared by: a line key without customer, project, dimensions and rule version."""

    currency: str
    component: str
    plan: str
    charge: str
    meter: str
    term: str


class Beside(NamedTuple):
    """Minor units: what was billed, and what would be under the draft."""

    billed: int = 0
    simulated: int = 0

    @property
    def difference(self) -> int:
        """Positive where the draft costs more."""
        return self.simulated - self.billed

    @property
    def percent(self) -> Fraction | None:
        """The difference in percent of what was billed; None where that is nothing and the draft is something."""
        if self.billed:
            return Fraction(self.difference * 100, abs(self.billed))
        return None if self.simulated else Fraction()

    def plus(self, other: "Beside") -> "Beside":
        """Both together."""
        return Beside(self.billed + other.billed, self.simulated + other.simulated)


@dataclass(frozen=True)
class CustomerSimulation:
    """One customer's usage period under the draft.

    Attributes:
        usage_period: its start.
        state: only what is `compared` counts in totals. `not_billed`: its invoice is held back, or has not been made.
        charges: in the order of their keys; empty where blocked.
        reasons: why it is blocked, or not billed.
    """

    customer_id: str
    usage_period: date
    state: State
    charges: Mapping[ChargeKey, Beside] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    @property
    def by_currency(self) -> dict[str, Beside]:
        """The sums, by currency."""
        found: dict[str, Beside] = {}
        for key, amounts in self.charges.items():
            found[key.currency] = found.get(key.currency, Beside()).plus(amounts)
        return found


@dataclass(frozen=True)
class Total:
    """All compared customers of one currency: sums, and how many pay more, less and the same."""

    amounts: Beside
    more: int
    less: int
    same: int


@dataclass(frozen=True)
class Simulation:
    """A usage period under a draft.

    Attributes:
        month: the first day of the month in which the usage periods start.
        metered_again: the meters that the draft says otherwise than the versions in force; empty where the existing
            rollups were used.
    """

    month: date
    version: str
    metered_again: tuple[str, ...]
    customers: tuple[CustomerSimulation, ...]

    def of_state(self, state: State) -> list[CustomerSimulation]:
        """The customers of one state, by their ids."""
        return [each for each in self.customers if each.state == state]

    @property
    def compared(self) -> Iterator[tuple[CustomerSimulation, str, Beside]]:
        """Each compared customer and currency."""
        for customer in self.of_state("compared"):
            for currency, amounts in customer.by_currency.items():
                yield customer, currency, amounts

    @property
    def totals(self) -> dict[str, Total]:
        """By currency."""
        found: dict[str, list[Beside]] = {}
        for _, currency, amounts in self.compared:
            found.setdefault(currency, []).append(amounts)
        return {currency: _total(amounts) for currency, amounts in sorted(found.items())}

    @property
    def charges(self) -> dict[ChargeKey, Beside]:
        """The sums over all compared customers, by charge."""
        found: dict[ChargeKey, Beside] = {}
        for customer in self.of_state("compared"):
            for key, amounts in customer.charges.items():
                found[key] = found.get(key, Beside()).plus(amounts)
        return dict(sorted(found.items()))


def _total(amounts: Iterable[Beside]) -> Total:
    total, more, less, same = Beside(), 0, 0, 0
    for each in amounts:
        total = total.plus(each)
        more += each.difference > 0
        less += each.difference < 0
        same += not each.difference
    return Total(total, more, less, same)
