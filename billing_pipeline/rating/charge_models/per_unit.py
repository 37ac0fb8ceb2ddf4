"""Charge model `per_unit`: every unit costs the same, or what a price table says for its dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing_pipeline.rating.charge_models.price import NoPrice, Part, Price, Priced, Segment
from billing_pipeline.rating.charge_models.price_table import PriceTable, read_price_table
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.charge_models.unit_price import UnitPrice, read_per, read_price
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT

_NO_FEE = Decimal()


@dataclass(frozen=True)
class PerUnit(Price):
    """One price for every unit (`flat`), or a price table; exactly one of them is set."""

    flat: UnitPrice | None = None
    table: PriceTable | None = None

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


def read(field: Field, around: Surroundings) -> PerUnit:
    """`{model: per_unit, unit_price, per?}` or `{model: per_unit, table}`, the table named or written out."""
    keys = field.mapping(required=("model",), optional=("unit_price", "per", "table"))
    if "table" in keys:
        for other in ("unit_price", "per"):
            if other in keys:
                keys[other].fault("stands beside a price table; keep one of the two")
        return PerUnit(table=_read_table(keys["table"], around))
    per = read_per(keys.get("per"))
    if "unit_price" not in keys:
        field.fault("has neither `unit_price` nor `table`; give one")
        return PerUnit()
    return PerUnit(flat=UnitPrice(read_price(keys["unit_price"], per), per))


def _read_table(field: Field, around: Surroundings) -> PriceTable | None:
    table = (
        around.price_tables.get(field.choice(list(around.price_tables)))
        if field.is_scalar
        else read_price_table(field)
    )
    if table is None:
        return None
    if table.currency != around.currency and table.currency and around.currency:
        field.fault(
            f"is in {table.currency}, but the plan is in {around.currency}; use a table in {around.currency}"
        )
    for name in table.by:
        if name not in around.group_by:
            field.fault(f"is by {name!r}, which the meter does not group by; add it to the meter's group_by")
    return table
