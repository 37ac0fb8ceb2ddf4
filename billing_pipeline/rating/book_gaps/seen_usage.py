"""Usage that was seen, held against a rule book: would it have a price?"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from billing_pipeline.rating.agreement import Override
from billing_pipeline.rating.book_gaps.gap import Gap
from billing_pipeline.rating.charge_models.price import NoPrice, Segment, dimension_values
from billing_pipeline.rating.money import EXACT, grouped
from billing_pipeline.rating.rule_book import Charge, Meter, Plan, RuleBook


class SeenUsage(NamedTuple):
    """What one customer used of a meter under one combination of dimensions.

    Attributes:
        plan: the plan, or one of the add-ons, that prices it.
        overrides: the terms of the customer's own that may price it instead.
    """

    customer_id: str
    plan: str
    meter: str
    unit: str
    dimensions: str
    quantity: Decimal
    event_count: int
    first_day: date
    last_day: date
    overrides: tuple[Override, ...] = ()


class _Place(NamedTuple):
    path: tuple[str, ...]
    code: str
    what: str
    is_note: bool = False


def usage_gaps(book: RuleBook, seen: Sequence[SeenUsage]) -> Iterator[Gap]:
    """What of the usage the book would not price; usage that lacks the same is told together."""
    found: dict[_Place, list[SeenUsage]] = {}
    for usage in seen:
        for place in _places(book, usage):
            found.setdefault(place, []).append(usage)
    for place, usages in sorted(found.items()):
        yield Gap(place.path, place.code, f"{place.what}; {_told(usages)}", place.is_note)


def _places(book: RuleBook, usage: SeenUsage) -> Iterator[_Place]:
    plan = book.plans.get(usage.plan) or book.add_ons.get(usage.plan)
    meter = book.meters.get(usage.meter)
    if plan is None:
        yield _Place(("plans",), "unknown_plan", f"there is no plan {usage.plan!r}, which customers have")
        return
    if meter is None:
        what = f"there is no meter {usage.meter!r}, which took usage under an earlier version"
        yield _Place(("meters",), "unknown_meter", what, is_note=True)
        return
    named = msgspec.json.decode(usage.dimensions, type=dict[str, str | None])
    unknown = [name for name in meter.group_by if name not in named]
    if unknown:
        what = f"groups by {unknown[0]!r}, which the rollups do not tell; whether usage has a price cannot be said"
        yield _Place(("meters", meter.name), "not_comparable", what, is_note=True)
        return
    if not _takes(meter, named):
        # Under another meter it would be other usage: what that one groups by is not known.
        if not any(_takes(each, named) for each in book.meters.values() if each.unit == usage.unit):
            what = f"no filter lets {_text(named)} through: no meter would take it"
            yield _Place(("meters", meter.name), "usage_without_meter", what)
        return
    for charge in plan.charges_by_meter.get(meter.name, ()):
        wanted = _wanted(charge, usage)
        if wanted and not any(_prices(override.details, charge, usage) for override in usage.overrides):
            section = "plans" if plan.name in book.plans else "add_ons"
            yield _Place(_charge_path(section, plan, charge), "usage_without_price", f"no price for {wanted}")


def _takes(meter: Meter, named: Mapping[str, str | None]) -> bool:
    """Whether the meter's filter lets these dimensions through; those that are not told might be anything."""
    return all(named[name] in values for name, values in meter.filter.items() if name in named)


def _text(named: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name}={value}" for name, value in named.items())


def _charge_path(section: str, plan: Plan, charge: Charge) -> tuple[str, ...]:
    return section, plan.name, "charges", charge.name, "price"


def _wanted(charge: Charge, usage: SeenUsage) -> str:
    (answer,) = charge.price.rate(Segment(Decimal(), usage.quantity, (usage,)))
    return answer.wanted if isinstance(answer, NoPrice) else ""


def _prices(details: Mapping[str, Any], charge: Charge, usage: SeenUsage) -> bool:
    """Whether an override's own price, or one of its rows, is there for the usage."""
    if details.get("charge") != charge.name:
        return False
    values = dimension_values(usage.dimensions)
    rows = details.get("rows") or ()
    return "price" in details or any(
        all(values.get(name) == value for name, value in row["match"].items()) for row in rows
    )


def _told(usages: Sequence[SeenUsage]) -> str:
    quantity = Decimal()
    for usage in usages:
        quantity = EXACT.add(quantity, usage.quantity)
    customers = sorted({usage.customer_id for usage in usages})
    others = ("", " and 1 other customer", f" and {len(customers) - 1:,} other customers")[
        min(len(customers), 3) - 1
    ]
    first, last = min(usage.first_day for usage in usages), max(usage.last_day for usage in usages)
    units = "/".join(sorted({usage.unit for usage in usages}))
    return f"{customers[0]}{others} used {grouped(quantity)} {units} from {first} to {last}"
