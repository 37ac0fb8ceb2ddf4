"""`billing simulate`: a past usage period rated under a draft rule book, beside what was billed. Nothing is written.

The draft is rated as if it had been the only version from before the period; what was billed is the sum of all bookings
of that usage period by the invoices so far, without what belongs to an invoice as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from billing_pipeline.audit.draft_usage import (
    UsageDays,
    books_in_force,
    differing_meters,
    metered_usage_of,
)
from billing_pipeline.audit.period_records import Amounts, PeriodRecords
from billing_pipeline.audit.report import Progress
from billing_pipeline.audit.simulated import Beside, ChargeKey, CustomerSimulation, Simulation, State
from billing_pipeline.contract.registry import Registry
from billing_pipeline.errors import SimulationRefusedError, UnknownCustomerError
from billing_pipeline.lake.overlay import OverlaidLake
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.periods import period_end, period_name, period_start
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.rating.rule_book import RuleBook, RuleBooks

_ALWAYS = datetime(1, 1, 1, tzinfo=UTC)
_TOLD_EVERY = 100


def simulate(
    workshop: Workshop,
    scratch: OverlaidLake,
    draft: RuleBook,
    month: date,
    *,
    customers: Sequence[str] = (),
    told: Progress,
) -> Simulation:
    """Rate the usage periods that start within a month under a draft.

    Args:
        workshop: the lake, the rules and the registry; its engine's scratch should lie apart from the home.
        scratch: over the workshop's lake; what is metered again lies there.
        draft: the rule book; when it takes effect does not matter.
        month: its first day. Each customer's period is the one that starts within the month, on its anchor day.
        customers: only these; all where none is named.
        told: the progress.

    Raises:
        SimulationRefusedError: no rule book was in force in the period.
        UnknownCustomerError: a customer is not registered.
    """
    over = replace(workshop, lake=scratch)
    told("registry", 0, 1)
    with over.engine.session() as session:
        registry = registry_until(over, session, date.max)
    periods = _periods(registry, month, customers)
    days = UsageDays(
        min((each.first for each in periods.values()), default=month),
        max((each.last for each in periods.values()), default=period_end(month)),
    )
    in_force = books_in_force(workshop.books, days)
    if not in_force:
        raise SimulationRefusedError(
            f"no rule book was in force in {period_name(month)}, so nothing was metered; the first one is in force "
            f"from {next(iter(workshop.books)).effective_from:%Y-%m-%d} on"
        )
    differing = differing_meters(draft, in_force)
    meters_of = draft if differing else None
    with metered_usage_of(over, scratch, days, meters_of=meters_of, told=told) as session:
        known = PeriodRecords(session, over, days, periods, draft.version)
    trial = _Trial(registry, draft.version, _rules(draft, workshop.books), known)
    found = []
    for done, customer_id in enumerate(periods):
        if done % _TOLD_EVERY == 0:
            told("rating under the draft", done, len(periods))
        found.append(trial.of(customer_id, periods[customer_id].first))
    return Simulation(month, draft.version, differing, tuple(each for each in found if each))


def _periods(registry: Registry, month: date, customers: Sequence[str]) -> dict[str, UsageDays]:
    """By customer the usage period that starts within the month."""
    known = registry.known_customers()
    for customer_id in customers:
        if customer_id not in known:
            raise UnknownCustomerError(customer_id, known)
    found: dict[str, UsageDays] = {}
    for customer_id in sorted(set(customers) or known):
        anchor_day = registry.anchor_day(customer_id)
        start = period_start(period_end(month), anchor_day)
        found[customer_id] = UsageDays(start, period_end(start, anchor_day))
    return found


def _rules(draft: RuleBook, books: RuleBooks) -> Rules:
    """The draft alone, with the coupons that only earlier versions have: what was redeemed keeps its worth."""
    coupons = {name: coupon for book in books for name, coupon in book.coupons.items()}
    return Rules(RuleBooks((replace(draft, effective_from=_ALWAYS, coupons={**coupons, **draft.coupons}),)))


@dataclass(frozen=True)
class _Trial:
    """The draft, tried on one customer after the other."""

    registry: Registry
    version: str
    rules: Rules
    known: PeriodRecords

    def of(self, customer_id: str, start: date) -> CustomerSimulation | None:
        """One customer; None where nothing was and nothing would be billed."""
        known = self.known
        unmetered = known.unmetered.get(customer_id, [])
        rated = rate_period(
            agreement_of(self.registry, customer_id), start, known.usage.get(customer_id, ()), self.rules
        )
        faults = [each.message for each in rated.unpriced] + [
            self._unmetered_message(row) for row in unmetered
        ]
        if faults:
            return CustomerSimulation(customer_id, start, "blocked", reasons=tuple(faults))
        simulated: Amounts = {}
        for charge in rated.charges:
            key = charge.key
            of = ChargeKey(key.currency, key.component, key.plan, key.charge, key.meter, key.term)
            simulated[of] = simulated.get(of, 0) + charge.amount_minor
        billed = known.billed.get(customer_id, {}).get(start, {})
        charges = {
            key: Beside(billed.get(key, 0), simulated.get(key, 0)) for key in sorted({*billed, *simulated})
        }
        if not charges:
            return None
        why = known.why_not_billed(customer_id)
        state: State = "not_billed" if why else "compared"
        return CustomerSimulation(customer_id, start, state, charges, (why,) if why else ())

    def _unmetered_message(self, row: tuple[Any, ...]) -> str:
        customer_id, usage_day, project_id, unit, dimensions, quantity = row
        return (
            f"customer {customer_id}, project {project_id}: {quantity:f} {unit} on {usage_day} {dimensions} is taken "
            f"by no meter of {self.version}; add a meter that takes it"
        )
