"""What a plan asks for a unit by itself, where a customer pays another price: under an override, or in a trial."""

from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.audit.export.exported_lines import ExportedLine
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.charge_models.price import Priced, Segment
from billing_pipeline.rating.rule_book import RuleBooks


class _Row(NamedTuple):
    """One unit, as charge models see it."""

    dimensions: str
    quantity: Decimal = Decimal(1)
    event_count: int = 1


class ListPrices:
    """Unit prices of plans, by the rule books."""

    def __init__(self, books: RuleBooks) -> None:
        self._books = books

    def unit_price(self, line: ExportedLine) -> Decimal | None:
        """The plan's own price of one unit; None where the line has it, or it is no price per unit.

        In tiers a unit has no price of its own: the contracted price then stands for it.
        """
        book = self._books.get(line.rule_version)
        if not line.term or book is None:
            return None
        plan = book.plans.get(line.plan) or book.add_ons.get(line.plan)
        charge = plan.charge(line.charge) if plan else None
        if charge is None or not isinstance(charge.price, PerUnit):
            return None
        (priced,) = charge.price.rate(
            Segment(before=Decimal(), total=Decimal(1), rows=(_Row(line.dimensions),))
        )
        return priced.amount if isinstance(priced, Priced) and isinstance(priced.amount, Decimal) else None
