"""What the guard holds customers to: one policy for production and one for the free trial of every plan.

Values only; reading `data/guard.yaml` is `policy_document`'s part. Amounts are nano-units of the policy's currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from billing_pipeline.guardrails.nano import LARGEST_AMOUNT
from billing_pipeline.guardrails.terms import BreakerTerms, LimitTerm, VelocityTerms
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.rule_book import RuleBooks

WhenUnreachable = Literal["closed", "open"]

NO_VELOCITY = VelocityTerms(least_spend_per_minute=LARGEST_AMOUNT)
"""Never pauses: neither by a threshold nor, as no minute's spend reaches that, by the baseline."""

NO_BREAKER = BreakerTerms()
"""Never opens."""

NO_POLICY = "none"
"""The name of the policy that holds where there is no document."""


@dataclass(frozen=True)
class Policy:
    """A policy in one currency; what is not set stops nobody.

    Attributes:
        name: as the document has it.
        currency: of all its amounts.
        counts_trial_usage: what a free trial makes free counts at the plan's prices, so that limits hold it, too.
        when_unreachable: what a client does while it cannot ask: `closed` lets no action run, `open` lets all.
    """

    name: str
    currency: str
    needs_credit: bool = False
    counts_trial_usage: bool = False
    limits: tuple[LimitTerm, ...] = ()
    breaker: BreakerTerms = NO_BREAKER
    velocity: VelocityTerms = NO_VELOCITY
    ttl_seconds: int = 600
    ttl_seconds_most: int = 86_400
    overdraft_trips: bool = True
    when_unreachable: WhenUnreachable = "closed"


@dataclass(frozen=True)
class PlanPolicies:
    """What holds for customers of one plan."""

    production: Policy
    trial: Policy

    def on(self, *, in_trial: bool) -> Policy:
        """The one that holds, by whether the customer is in the plan's free trial."""
        return self.trial if in_trial else self.production


@dataclass(frozen=True)
class Policies:
    """All policies, by plan.

    Attributes:
        by_plan: for every plan of the rule books, also those that the document does not name.
        upper_unit_prices: by plan (or add-on) and charge, what a unit costs at most, in the plan's currency; for
            charges whose price the usage alone does not tell.
        unused: names of policies that hold for no plan.
    """

    by_plan: Mapping[str, PlanPolicies]
    upper_unit_prices: Mapping[tuple[str, str], UnitPrice] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def currencies_of(books: RuleBooks) -> dict[str, str]:
    """The currency of every plan of any version, by name in order; a plan keeps its currency through all of them."""
    found = {name: plan.currency for book in books for name, plan in book.plans.items()}
    return dict(sorted(found.items()))


def without_limits(books: RuleBooks) -> Policies:
    """What holds where there is no document: nothing is limited, and nobody is paused."""
    made = {
        plan: Policy(name=NO_POLICY, currency=currency) for plan, currency in currencies_of(books).items()
    }
    return Policies({plan: PlanPolicies(policy, policy) for plan, policy in made.items()})
