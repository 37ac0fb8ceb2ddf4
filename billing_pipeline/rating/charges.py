"""What rating reads and what it writes: metered quantities in, charges by line key and unpriced usage out."""

import json
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

import msgspec

from billing_pipeline.rating.charge_models.price import Part
from billing_pipeline.rating.money import plain, stored_amount


class MeteredQuantity(NamedTuple):
    """A rollup row as rating sees it; any number of rows may share a key, they are summed."""

    customer_id: str
    project_id: str
    meter: str
    unit: str
    dimensions: str
    """Canonical JSON text (sorted keys, compact) of the meter's group_by dimensions."""
    usage_day: date
    rule_version: str
    quantity: Decimal
    event_count: int
    first_posting_day: date | None = None
    """Of the rollup rows that are summed here; prices do not look at it."""


Component = Literal[
    "usage", "flat_fee", "discount", "minimum", "maximum", "coupon", "invoice_coupon", "credit"
]
"""What a line is: priced usage, a fee, or one of the terms around them. The last two act on the invoice as a whole."""
TRIAL = "trial"
"""The `term` of usage in a free trial."""
INVOICE_COMPONENTS: frozenset[Component] = frozenset({"invoice_coupon", "credit"})
"""They belong to the invoice that applied them, and are never rated again."""


class LineKey(msgspec.Struct, frozen=True, order=True, gc=False):
    """What tells one line from another; its order is the order of charges.

    Attributes:
        plan: the plan or add-on; "" where a term is of none.
        charge: the charge or flat fee; "" where a term is about several.
        component: what the line is.
        term: which discount, minimum, maximum, coupon, credit grant or contract override made it; `trial` for usage
            in a free trial; "" for the plan's own price.
    """

    customer_id: str
    project_id: str
    usage_period: date
    plan: str
    charge: str
    meter: str
    dimensions: str
    rule_version: str
    currency: str
    component: Component = "usage"
    term: str = ""


class RatedCharge(msgspec.Struct, frozen=True, gc=False):
    """What a line key's whole quantity of a usage period costs, as known now."""

    key: LineKey
    unit: str
    quantity: Decimal
    event_count: int
    exact_amount: Decimal | Fraction
    """Major units, before rounding."""
    amount_minor: int
    """Rounded once, half away from zero."""
    parts: tuple[Part, ...]
    """How the amount came about; the parts add up to it."""

    @property
    def amount(self) -> Decimal:
        """The unrounded amount in major units, at most 24 fractional digits: DECIMAL(38, 24)."""
        return stored_amount(self.exact_amount)

    @property
    def tiers(self) -> str:
        """The parts as JSON text: `[{"tier", "quantity", "unit_price", "flat_fee", "amount"}, …]`, all texts.

        A price without tiers has one part with tier "".
        """
        return json.dumps(parts_document(self.parts), separators=(",", ":"))


def parts_document(parts: Iterable[Part]) -> list[dict[str, str]]:
    """Parts as JSON: `[{"tier", "quantity", "unit_price", "flat_fee", "amount"}, …]`, all texts."""
    return [
        {
            "tier": part.tier,
            "quantity": plain(part.quantity),
            "unit_price": part.unit_price,
            "flat_fee": plain(part.flat_fee),
            "amount": plain(stored_amount(part.amount)),
        }
        for part in parts
    ]


UnpricedReason = Literal[
    "no_plan",
    "no_rule_book",
    "plan_not_in_rule_book",
    "add_on_not_in_rule_book",
    "override_faulty",
    "no_charge_for_meter",
    "no_price_for_dimensions",
    "negative_quantity",
    "amount_too_large",
]

_WHAT_TO_DO: dict[UnpricedReason, str] = {
    "no_plan": "no plan is assigned on its usage days; assign one",
    "no_rule_book": "its rule version has no file; put the rule book back",
    "plan_not_in_rule_book": "its rule version has no such plan; assign another plan or add it there",
    "add_on_not_in_rule_book": "its rule version lacks an add-on that the customer has; end it or add it there",
    "override_faulty": "a contract override cannot be read beside it; give one that fits, from the same day",
    "no_charge_for_meter": "the plan has no charge for the meter; add one or list it under not_charged",
    "no_price_for_dimensions": "the price table has no row for the dimensions; add a row or a default",
    "negative_quantity": "its quantity is below zero; look for a correction whose event is missing",
    "amount_too_large": "its amount has more digits than can be stored; check the price and the quantity",
}


class Unpriced(NamedTuple):
    """Billable usage that has no price. It blocks the invoice of its customer, and of nobody else."""

    customer_id: str
    project_id: str
    usage_period: date
    plan: str
    """"" where no plan is in force."""
    charge: str
    """"" where no charge takes the meter."""
    meter: str
    unit: str
    dimensions: str
    rule_version: str
    quantity: Decimal
    reason: UnpricedReason

    @property
    def message(self) -> str:
        """What has no price, and what to do."""
        plan = f"plan {self.plan}, " if self.plan else ""
        if not self.meter:
            return (
                f"customer {self.customer_id}: its fees of the period have no terms ({plan}rule version "
                f"{self.rule_version}): {_WHAT_TO_DO[self.reason]}"
            )
        return (
            f"customer {self.customer_id}, project {self.project_id}: {plain(self.quantity)} {self.unit} of "
            f"meter {self.meter} {self.dimensions} has no price ({plan}rule version {self.rule_version}): "
            f"{_WHAT_TO_DO[self.reason]}"
        )


class RatedPeriod(NamedTuple):
    """A customer's usage period, rated: charges and unpriced usage, each ordered by key."""

    charges: tuple[RatedCharge, ...]
    unpriced: tuple[Unpriced, ...]
