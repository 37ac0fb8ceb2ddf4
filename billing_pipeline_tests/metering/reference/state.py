"""The reference model's effective state of a usage event: what corrections change, and how it is split among payers."""

from dataclasses import dataclass, replace
from fractions import Fraction

from billing_pipeline_tests.metering.reference.log import Correction, Dimensions, Share, Usage

TOO_LARGE = Fraction(10**29)


@dataclass(frozen=True)
class Part:
    """What one payer bears of an event."""

    index: int
    customer: str
    project: str
    quantity: Fraction
    event_share: Fraction


@dataclass(frozen=True)
class State:
    """What an event counts for at present."""

    customer: str
    project: str
    unit: str
    dimensions: Dimensions
    billable: bool
    quantity: Fraction
    shares: tuple[Share, ...]
    counted: bool = True

    def parts(self) -> list[Part]:
        """One part for each payer; a voided event has parts that count for nothing."""
        payers = self.shares or (Share(self.customer, self.project, Fraction(1)),)
        portions = [payer.share for payer in payers]
        quantities = split(self.quantity, portions, own_digits(self.quantity))
        event_shares = split(Fraction(int(self.counted)), portions, 9)
        return [
            Part(index, payer.customer, payer.project, quantities[index], event_shares[index])
            for index, payer in enumerate(payers)
        ]


def state_of(usage: Usage) -> State:
    """What an event counts for as it was sent."""
    return State(
        usage.customer,
        usage.project,
        usage.unit,
        usage.dimensions,
        usage.billable,
        usage.quantity,
        usage.shares,
    )


def own_digits(value: Fraction) -> int:
    """How many fractional digits a decimal has when it is written without zeros at the end."""
    return next(digits for digits in range(20) if (value * 10**digits).denominator == 1)


def split(whole: Fraction, portions: list[Fraction], digits: int) -> list[Fraction]:
    """Largest remainder: everybody gets the portion cut down to some digits, then one more unit of the last digit each
    to those from whom most was cut off, in the listed order on a tie, until nothing is left over.
    """  # noqa: D205 - one sentence, and it takes two lines
    exact = [whole * portion * 10**digits for portion in portions]
    units = [value.numerator // value.denominator for value in exact]
    left_over = whole * 10**digits - sum(units)
    cut_off = [value - unit for value, unit in zip(exact, units, strict=True)]
    for index in sorted(range(len(units)), key=lambda at: (-cut_off[at], at))[: int(left_over)]:
        units[index] += 1
    return [Fraction(unit, 10**digits) for unit in units]


def corrected(state: State, correction: Correction) -> State:
    """The state that a correction asks for; whether it may be is another question."""
    if correction.action == "void":
        return replace(state, quantity=Fraction(0), counted=False)
    if correction.action == "adjust":
        assert correction.delta is not None
        return replace(state, quantity=state.quantity + correction.delta, counted=True)
    named = correction.replacement
    assert named is not None
    ends_split = named.customer is not None or named.project is not None
    return State(
        customer=state.customer if named.customer is None else named.customer,
        project=state.project if named.project is None else named.project,
        unit=state.unit if named.unit is None else named.unit,
        dimensions=state.dimensions if named.dimensions is None else named.dimensions,
        billable=state.billable if named.billable is None else named.billable,
        quantity=state.quantity if named.quantity is None else named.quantity,
        shares=() if ends_split else state.shares,
    )
