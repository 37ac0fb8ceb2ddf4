"""How a charge's usage is priced before it is used: exactly, at its dearest, by an upper unit price, or not at all."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from billing_pipeline.guardrails.policies.policy import Policies
from billing_pipeline.guardrails.pricing.dearest import Bound, Even, Tiered, dearest, upper
from billing_pipeline.guardrails.pricing.fine import QUANTITY_ONE, nano_up
from billing_pipeline.rating.charge_models.price import NoPrice, Price
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.rule_book import Meter, RuleBook

How = Literal["exact", "dearest", "upper_unit_price", "refused"]


def bound_of(price: Price, meter: Meter, dimensions: str, given: UnitPrice | None) -> Bound | NoPrice | None:
    """The bound of a charge; None where its usage is refused, as nothing bounds what it costs.

    Args:
        price: the charge's.
        meter: whose quantity it prices.
        dimensions: of the usage as the meter groups them, canonical JSON text.
        given: the upper unit price of the policies, which stands for all that is not exact.
    """
    bound = dearest(price, dimensions) if meter.is_additive else None
    if isinstance(bound, NoPrice) or (isinstance(bound, Even) and bound.is_exact) or given is None:
        return bound
    return upper(given)


class ChargeBound(NamedTuple):
    """One charge of a plan or add-on, and how its usage is priced.

    Attributes:
        terms: its price in a few words.
        one: what one unit is held and settled at, in nano-units, where fees of tiers set these apart.
    """

    plan: str
    charge: str
    terms: str
    how: How
    one: tuple[int, int] | None = None


def charge_bounds(book: RuleBook, policies: Policies) -> Iterator[ChargeBound]:
    """All charges of a rule book, as its plans and add-ons have them; overrides may say other prices."""
    for plan in (*book.plans.values(), *book.add_ons.values()):
        for charge in plan.charges:
            meter = book.meters[charge.meter]
            given = policies.upper_unit_prices.get((plan.name, charge.name))
            bound = bound_of(charge.price, meter, "{}", given)
            terms = charge.price.describe()
            if not meter.is_additive:
                terms = f"{meter.aggregation} of {meter.name}: {terms}"
            yield ChargeBound(plan.name, charge.name, terms, _how(bound, given), _one(bound))


def _one(bound: Bound | NoPrice | None) -> tuple[int, int] | None:
    if not isinstance(bound, Tiered):
        return None
    held, settled = nano_up(bound.estimate(QUANTITY_ONE)), nano_up(bound.actual(QUANTITY_ONE))
    return None if held == settled else (held, settled)


def _how(bound: Bound | NoPrice | None, given: UnitPrice | None) -> How:
    if bound is None:
        return "refused"
    if isinstance(bound, NoPrice) or (isinstance(bound, Even) and bound.is_exact):
        return "exact"
    return "dearest" if given is None else "upper_unit_price"
