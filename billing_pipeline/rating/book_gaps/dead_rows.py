"""Rows of price tables that nothing can ever match, because the meter's filter lets their values not through."""

from collections.abc import Iterator

from billing_pipeline.rating.book_gaps.gap import Gap
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.charge_models.price_table import PriceTable
from billing_pipeline.rating.rule_book import Meter, RuleBook

_Place = tuple[str, ...]


def dead_rows(book: RuleBook) -> Iterator[Gap]:
    """Rows that the filters of all meters priced by their table exclude."""
    for place, table, meters in _tables(book):
        for index, values in enumerate(table.prices):
            row = dict(zip(table.by, values, strict=True))
            excluded = [_excluding(meter, row) for meter in meters]
            if excluded and all(excluded):
                yield Gap(
                    (*place, "rows", f"[{index}]"),
                    "dead_price_row",
                    f"{excluded[0]} is not let through by the filter of {_names(meters)}; the row is never used",
                )


def _excluding(meter: Meter, row: dict[str, str | None]) -> str:
    for name, value in row.items():
        if name in meter.filter and value not in meter.filter[name]:
            return f"{name}={value}"
    return ""


def _names(meters: list[Meter]) -> str:
    return " and ".join(repr(name) for name in sorted({meter.name for meter in meters}))


def _tables(book: RuleBook) -> Iterator[tuple[_Place, PriceTable, list[Meter]]]:
    """Each table with its place and the meters whose usage is looked up in it."""
    found: dict[int, tuple[_Place, PriceTable, list[Meter]]] = {
        id(table): (("price_tables", name), table, []) for name, table in book.price_tables.items()
    }
    for section, plans in (("plans", book.plans), ("add_ons", book.add_ons)):
        for plan in plans.values():
            for charge in plan.charges:
                table = charge.price.table if isinstance(charge.price, PerUnit) else None
                if table is not None:
                    place = (section, plan.name, "charges", charge.name, "price", "table")
                    found.setdefault(id(table), (place, table, []))[2].append(book.meters[charge.meter])
    yield from found.values()
