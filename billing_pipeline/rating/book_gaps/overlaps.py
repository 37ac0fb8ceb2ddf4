"""Usage that is priced twice in one plan: two charges on one meter, or on two meters that take the same events."""

from collections.abc import Iterator
from itertools import combinations

from billing_pipeline.rating.book_gaps.gap import Gap
from billing_pipeline.rating.rule_book import Charge, Meter, RuleBook


def billed_twice(book: RuleBook) -> Iterator[Gap]:
    """Pairs of charges of one plan or add-on that price the same usage."""
    for section, plans in (("plans", book.plans), ("add_ons", book.add_ons)):
        for plan in plans.values():
            for earlier, charge in combinations(plan.charges, 2):
                gap = _compare(book, earlier, charge)
                if gap:
                    code, message = gap
                    yield Gap((section, plan.name, "charges", charge.name), code, message)


def _compare(book: RuleBook, earlier: Charge, charge: Charge) -> tuple[str, str] | None:
    if earlier.meter == charge.meter:
        return "meter_charged_twice", (
            f"prices the meter {charge.meter!r}, as {earlier.name!r} does; every unit of it costs both"
        )
    one, other = book.meters[earlier.meter], book.meters[charge.meter]
    if not take_the_same(one, other):
        return None
    return "meters_overlap", (
        f"its meter {other.name!r} and {one.name!r}, which {earlier.name!r} prices, take the same events of unit "
        f"{other.unit!r}; these cost both. Keep them apart by `filter`, or let one be in `not_charged`"
    )


def take_the_same(one: Meter, other: Meter) -> bool:
    """Whether there can be an event that both meters take."""
    shared = one.filter.keys() & other.filter.keys()
    return one.unit == other.unit and all(one.filter[name] & other.filter[name] for name in shared)
