"""Charge model `per_unit`: every unit costs the same, or what a price table says for its dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT
from billing_pipeline.rating.price import NoPrice, Part, Priced, Segment
from billing_pipeline.rating.price_table import PriceTable, read_price_table
from billing_pipeline.rating.terms import Terms
from billing_pipeline.rating.unit_price import UnitPrice, read_per, read_price

_NO_FEE = Decimal()


@dataclass(frozen=True)
class PerUnit:
    """One price for every unit (`flat`), or a price table; exactly one of them is set."""

    flat: UnitPrice | None = None
    table: PriceTable | None = None

    @property
    def tier_by(self) -> tuple[str, ...]:
        """None: the position does not matter."""
        return ()

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """Quantity times unit price, row by row."""
        return [self._rate_row(row.dimensions, row.quantity) for row in segment.rows]

    def describe(self) -> str:
        """`0.01`, or `by model, token_class`."""
        if self.table is not None:
            return f"by {', '.join(self.table.by)}"
        return self.flat.text if self.flat else "no price"

    def _rate_row(self, dimensions: str, quantity: Decimal) -> Priced | NoPrice:
        price = self.flat if self.table is None else self.table.price_of(dimensions)
        if not isinstance(price, UnitPrice):
            return price or NoPrice("any")
        amount = EXACT.multiply(quantity, price.each)
        return Priced(amount, (Part("", quantity, price.text, _NO_FEE, amount),))


def read(field: Field, terms: Terms) -> PerUnit:
    """`{model: per_unit, unit_price, per?}` or `{model: per_unit, table}`, the table named or written out."""
    keys = field.mapping(required=("model",), optional=("unit_price", "per", "table"))
    if "table" in keys:
        for other in ("unit_price", "per"):
            if other in keys:
                keys[other].fault("stands beside a price table; keep one of the two")
        return PerUnit(table=_read_table(keys["table"], terms))
    per = read_per(keys.get("per"))
    if "unit_price" not in keys:
        field.fault("has neither `unit_price` nor `table`; give one")
        return PerUnit()
    return PerUnit(flat=UnitPrice(read_price(keys["unit_price"], per), per))


def _read_table(field: Field, terms: Terms) -> PriceTable | None:
    table = (
        terms.price_tables.get(field.choice(list(terms.price_tables)))
        if field.is_scalar
        else read_price_table(field)
    )
    if table is None:
        return None
    if table.currency != terms.currency and table.currency and terms.currency:
        field.fault(
            f"is in {table.currency}, but the plan is in {terms.currency}; use a table in {terms.currency}"
        )
    for name in table.by:
        if name not in terms.group_by:
            field.fault(f"is by {name!r}, which the meter does not group by; add it to the meter's group_by")
    return table
