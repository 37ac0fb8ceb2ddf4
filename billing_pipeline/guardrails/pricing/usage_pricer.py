"""The `Pricer` of the ledger: usage in nano-units, by the registry, the rule book in force, and the policies."""

import re
from collections.abc import Sequence

from billing_pipeline.contract.decimals import QUANTITY_PATTERN, scaled
from billing_pipeline.errors import GuardRequestError, UnpricedUsageError
from billing_pipeline.guardrails.customers.customer_days import CustomerDay
from billing_pipeline.guardrails.customers.registry_book import Customers
from billing_pipeline.guardrails.policies.policy import Policies
from billing_pipeline.guardrails.pricing.fine import QUANTITY_DIGITS, Fine, nano_nearest, nano_up
from billing_pipeline.guardrails.pricing.tariffs import Tariffs
from billing_pipeline.guardrails.terms import NoTerms
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.rating.holdings import Rules

_QUANTITY = re.compile(QUANTITY_PATTERN, re.ASCII)


class UsagePricer:
    """Prices do not depend on the project: pools of its own only move where in the period usage falls."""

    def __init__(self, customers: Customers, rules: Rules, policies: Policies) -> None:
        self._customers = customers
        self._tariffs = Tariffs(rules, policies)

    def estimate(self, customer_id: str, project_id: str, usage: Sequence[Usage], at_us: int) -> int:  # noqa: ARG002 - as the port
        """See `Pricer`: the most that it can cost, wherever in the period it falls."""
        day = self._day(customer_id, at_us)
        amount: Fine = 0
        for index, each in enumerate(usage):
            amount += self._tariffs.of(day, each.unit, each.dimensions).estimate(_quantity(each, index))
        return nano_up(amount)

    def actual(self, customer_id: str, project_id: str, usage: Sequence[Usage], at_us: int) -> int:  # noqa: ARG002 - as the port
        """See `Pricer`: never more than the estimate of the same, which has what falls due once besides."""
        day = self._day(customer_id, at_us)
        amount: Fine = 0
        for index, each in enumerate(usage):
            amount += self._tariffs.of(day, each.unit, each.dimensions).actual(_quantity(each, index))
        return nano_nearest(amount)

    def _day(self, customer_id: str, at_us: int) -> CustomerDay:
        day = self._customers.days.on(customer_id, at_us)
        if isinstance(day, NoTerms):
            raise UnpricedUsageError(f"usage of customer {customer_id}", day.reason)
        return day


def _quantity(usage: Usage, index: int) -> int:
    quantity = usage.quantity
    if not isinstance(quantity, str) or _QUANTITY.fullmatch(quantity) is None:
        raise GuardRequestError(
            f"usage[{index}].quantity",
            quantity,
            "give a decimal of at least 0 as text, up to 29 digits before and 9 after the point",
        )
    return scaled(quantity, QUANTITY_DIGITS)
