"""What a usage day adds to its period: rated with it, less rated up to the day before, under what is known now."""

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction

from billing_pipeline.guardrails.nano import NANO
from billing_pipeline.guardrails.reconciliation.day import Prices, RatedFigures
from billing_pipeline.invoicing.lines.rating_inputs import rated_before
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.agreement import Agreement
from billing_pipeline.rating.charge_models.free import Free
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.charges import TRIAL, MeteredQuantity, RatedCharge
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.money import minor_exponent
from billing_pipeline.rating.periods import period_start
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.registered_agreement import agreement_of

REDUCTIONS = frozenset({"discount", "maximum", "coupon"})
_NOTHING = RatedFigures()


class KnownAgreements:
    """Customers' agreements as they rate a usage period: as known when it was first invoiced, else as known now.

    `now` is the registry as known now.
    """

    def __init__(self, workshop: Workshop, session: Session) -> None:
        self._workshop = workshop
        self._session = session
        self.now = registry_until(workshop, session, date.max)
        self._registries = {date.max: self.now}
        self._rated_as_of = rated_before(workshop, session, date.max)
        self._known: dict[tuple[str, date], Agreement] = {}

    def period_of(self, customer_id: str, day: date) -> date:
        """The start of the usage period that holds a day."""
        return period_start(day, self.now.anchor_day(customer_id))

    def of(self, customer_id: str, day: date) -> Agreement:
        """The agreement that rates a usage day."""
        as_of = self._rated_as_of.get(customer_id, {}).get(self.period_of(customer_id, day), date.max)
        found = self._known.get((customer_id, as_of))
        if found is None:
            if as_of not in self._registries:
                self._registries[as_of] = registry_until(self._workshop, self._session, as_of)
            found = self._known[customer_id, as_of] = agreement_of(self._registries[as_of], customer_id)
        return found


def rated_day(
    agreement: Agreement, day: date, usage: Sequence[MeteredQuantity], rules: Rules
) -> Mapping[str, RatedFigures]:
    """What one customer's usage day adds, by currency.

    Args:
        agreement: what rates it.
        day: the usage day.
        usage: all of its period up to the day, in any order.
        rules: the rule books.
    """
    start = period_start(day, agreement.anchor_day)
    rerating = agreement.rerating_of(start)
    rules = Rules(rules.books, rerating.rules) if rerating and rerating.rules else rules
    before = [row for row in usage if row.usage_day < day]
    if len(before) == len(usage):
        return {}
    with_day = rate_period(agreement, start, usage, rules, "running").charges
    without = rate_period(agreement, start, before, rules, "running").charges
    of_day = {row.meter for row in usage if row.usage_day == day}
    found: dict[str, RatedFigures] = {}
    for sign, charges in ((1, with_day), (-1, without)):
        for charge in charges:
            currency = charge.key.currency
            found[currency] = _plus(found.get(currency, _NOTHING), charge, sign)
    mine = [charge for charge in with_day if charge.key.meter in of_day]
    prices: Prices = "tiers"
    if mine and all(charge.key.term == TRIAL for charge in mine):
        prices = "trial"
    elif all(_is_linear(charge, rules) for charge in mine):
        prices = "linear"
    return {currency: figures._replace(prices=prices) for currency, figures in found.items()}


def minor_nano(amount_minor: int, currency: str) -> int:
    """Minor units as nano-units, exactly."""
    return int(amount_minor * NANO // 10 ** minor_exponent(currency))


def _plus(figures: RatedFigures, charge: RatedCharge, sign: int) -> RatedFigures:
    nano = sign * minor_nano(charge.amount_minor, charge.key.currency)
    if charge.key.component == "usage":
        exact = figures.exact + sign * Fraction(charge.exact_amount) * NANO
        return figures._replace(exact=exact, lines=figures.lines + nano)
    if charge.key.component in REDUCTIONS:
        return figures._replace(discounts=figures.discounts + nano)
    return figures


def _is_linear(charge: RatedCharge, rules: Rules) -> bool:
    """Whether an event costs the same wherever it stands: a price per unit of what events add up to."""
    key = charge.key
    book, metered = rules.book(key.rule_version), rules.books.get(key.rule_version)
    plan = (book.plans.get(key.plan) or book.add_ons.get(key.plan)) if book else None
    known = plan.charge(key.charge) if plan else None
    meter = metered.meters.get(key.meter) if metered else None
    if known is None or meter is None or meter.aggregation != "sum" or key.term:
        return False
    return isinstance(known.price, PerUnit | Free)
