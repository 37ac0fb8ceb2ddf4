"""Gaps in what is counted and priced: meters, units, price tables, coupons that nothing comes of."""

from collections.abc import Iterator

from billing_pipeline.rating.book_gaps.gap import Gap
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.plan_terms.commitment import Maximum, Minimum
from billing_pipeline.rating.rule_book import Plan, RuleBook


def unpriced_meters(book: RuleBook) -> Iterator[Gap]:
    """Meters that a plan neither prices nor leaves free: their usage blocks the invoices of its customers."""
    for plan in book.plans.values():
        for meter in sorted(book.meters.keys() - plan.charges_by_meter.keys() - plan.not_charged):
            pricing = sorted(name for name, each in book.add_ons.items() if meter in each.charges_by_meter)
            yield Gap(
                ("plans", plan.name),
                "meter_without_charge",
                f"the meter {meter!r} has no charge and is not in `not_charged`; its usage would block the invoice"
                + (f" (only the add-on {pricing[0]!r} prices it)" if pricing else ""),
            )


def unused_units(book: RuleBook) -> Iterator[Gap]:
    """Units that no meter takes: events of them are accepted, and block their customers' invoices."""
    for unit in sorted(book.units - {meter.unit for meter in book.meters.values()}):
        yield Gap(
            ("units", unit),
            "unit_without_meter",
            f"no meter takes the unit {unit!r}; events of it would be accepted, and block the invoice",
        )


def unused_tables(book: RuleBook) -> Iterator[Gap]:
    """Price tables that no charge looks into."""
    used = {
        id(charge.price.table)
        for plan in (*book.plans.values(), *book.add_ons.values())
        for charge in plan.charges
        if isinstance(charge.price, PerUnit)
    }
    for name, table in book.price_tables.items():
        if id(table) not in used:
            yield Gap(
                ("price_tables", name),
                "unused_price_table",
                "no charge uses this table; name it or remove it",
            )


def unusable_coupons(book: RuleBook) -> Iterator[Gap]:
    """Amounts off in a currency in which nothing is charged."""
    currencies = {plan.currency for plan in (*book.plans.values(), *book.add_ons.values())}
    for name, coupon in book.coupons.items():
        if coupon.currency and coupon.currency not in currencies:
            yield Gap(
                ("coupons", name, "currency"),
                "unusable_coupon",
                f"no plan is in {coupon.currency}; the coupon takes nothing off",
            )


def minimums_above_maximums(book: RuleBook) -> Iterator[Gap]:
    """Commitments that a maximum of the same charges takes off again."""
    for section, plan in _plans(book):
        for minimum in plan.terms:
            for maximum in plan.terms:
                if (
                    isinstance(minimum, Minimum)
                    and isinstance(maximum, Maximum)
                    and minimum.applies_to == maximum.applies_to
                    and minimum.amount > maximum.amount
                ):
                    yield Gap(
                        (section, plan.name, "minimums", minimum.name),
                        "minimum_above_maximum",
                        f"{minimum.amount:f} is above the maximum {maximum.name!r} of the same charges, which is "
                        f"{maximum.amount:f} and takes the rest off again",
                    )


def _plans(book: RuleBook) -> Iterator[tuple[str, Plan]]:
    yield from (("plans", plan) for plan in book.plans.values())
    yield from (("add_ons", plan) for plan in book.add_ons.values())
