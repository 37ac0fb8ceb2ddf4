"""Whether a plan delivers a customer's running period as meter events: decided once, on its first posting day. Pure.

A policy that changes within a period acts from the next one on. What cannot be told to Stripe any more from the first
day on goes as rated lines, whatever the policy says, so that nothing of the period is lost.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from billing_pipeline.contract.instants import microseconds_of
from billing_pipeline.invoicing.policies.policy import Delivery, InvoicingPolicies
from billing_pipeline.rating.agreement import midnight

MOST_AGE_US = 35 * 24 * 3_600_000_000
"""How old the timestamp of a meter event may be when Stripe receives it."""

PlanPeriod = tuple[str, str, date]
"""Customer, plan or add-on, start of the billing period."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What is on record of an account.

    Attributes:
        deliveries: how plans have been delivered so far.
        planned_days: posting days of which meter events were planned, or would have been.
    """

    deliveries: Mapping[PlanPeriod, Delivery]
    planned_days: Collection[date]


def delivery_of(
    key: PlanPeriod,
    posting_day: date,
    *,
    used_before: bool,
    policies: InvoicingPolicies,
    recorded: Recorded,
    now_us: int,
) -> Delivery:
    """How a plan with usage on a posting day delivers the period.

    Args:
        key: whose period.
        posting_day: the day whose events are planned.
        used_before: the plan has taken usage of the period that was posted on an earlier day.
        policies: as they are now.
        recorded: what was decided before.
        now_us: UTC µs.
    """
    found = recorded.deliveries.get(key)
    if found is not None:
        return found
    if policies.of(key[1]).delivery != "meter_events":
        return "rated_lines"
    if used_before or posting_day in recorded.planned_days:
        return "rated_lines"  # another policy was in force on the period's first days
    if now_us - microseconds_of(midnight(key[2])) >= MOST_AGE_US:
        return "rated_lines"
    return "meter_events"
