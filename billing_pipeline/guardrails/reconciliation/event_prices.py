"""What usage costs by itself, by the code that rates invoices: as if it were all that its period has."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from billing_pipeline.contract.canonical import canonical_dimensions
from billing_pipeline.errors import UnpricedUsageError
from billing_pipeline.guardrails.nano import nano_nearest
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.metering.meters import taken_by
from billing_pipeline.rating.agreement import Agreement
from billing_pipeline.rating.charges import MeteredQuantity
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.periods import period_start
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.rule_book import RuleBook

AgreementOf = Callable[[str, date], Agreement]
"""A customer's agreement as it counts for a usage day."""


class EventPrices:
    """Prices of usage of the past, under the agreements that rate it; each different usage is rated once."""

    def __init__(self, agreement_of: AgreementOf, rules: Rules) -> None:
        self._agreement_of = agreement_of
        self._rules = rules
        self._known: dict[tuple[object, ...], Fraction | UnpricedUsageError] = {}

    def actual(self, customer_id: str, project_id: str, usage: Sequence[Usage], at_us: int) -> int:
        """What usage costs under the rules in force at an instant (UTC µs), in nano-units.

        Raises:
            UnpricedUsageError: no meter takes it, or it has no price.
        """
        return nano_nearest(
            sum((self._cost(customer_id, project_id, each, at_us) for each in usage), Fraction())
        )

    def _cost(self, customer_id: str, project_id: str, usage: Usage, at_us: int) -> Fraction:
        at = datetime.fromtimestamp(at_us // 1_000_000, UTC)
        book = self._rules.books.in_force(at)
        if book is None:
            raise UnpricedUsageError(f"usage at {at:%Y-%m-%d %H:%M}", "no rule book was in force then")
        dimensions = canonical_dimensions(usage.dimensions)
        key = (customer_id, project_id, at.date(), book.version, usage.unit, usage.quantity, dimensions)
        found = self._known.get(key)
        if found is None:
            try:
                found = self._rate(customer_id, project_id, usage, dimensions, (book, at.date()))
            except UnpricedUsageError as error:
                found = error
            self._known[key] = found
        if isinstance(found, UnpricedUsageError):
            raise found
        return found

    def _rate(
        self, customer_id: str, project_id: str, usage: Usage, dimensions: str, when: tuple[RuleBook, date]
    ) -> Fraction:
        book, day = when
        rows = [
            MeteredQuantity(
                *(
                    customer_id,
                    project_id,
                    taken.meter.name,
                    usage.unit,
                    taken.grouped_dimensions,
                    day,
                    book.version,
                ),
                *(Decimal(1) if taken.meter.aggregation == "count" else Decimal(usage.quantity), 1),
            )
            for taken in taken_by(book, usage.unit, dimensions)
        ]
        if not rows:
            raise UnpricedUsageError(
                f"{usage.quantity} {usage.unit} {dimensions}",
                f"no meter of rule version {book.version} takes it",
            )
        agreement = self._agreement_of(customer_id, day)
        rated = rate_period(agreement, period_start(day, agreement.anchor_day), rows, self._rules, "running")
        if rated.unpriced:
            raise UnpricedUsageError(f"{usage.quantity} {usage.unit} {dimensions}", rated.unpriced[0].message)
        usage_charges = (charge for charge in rated.charges if charge.key.component == "usage")
        return sum((Fraction(charge.exact_amount) for charge in usage_charges), Fraction())
