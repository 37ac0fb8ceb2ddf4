"""Rating: rollup rows per second by price tables, customers per second through graduated tiers.

    python benchmarks/rating.py

Each beside its baseline: the arithmetic alone (a look-up or a walk over the tiers, one exact product or sum, one
rounding), without keys, plans, parts or anything that an invoice needs. Both sides must come to the same cents. CPU
time of one thread counts; the best of `--repeat` runs.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from billing_pipeline.rating.agreement import Agreement, Assignment
from billing_pipeline.rating.charge_models.graduated import Graduated
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.charge_models.price_table import PriceTable
from billing_pipeline.rating.charge_models.tiers import Tier
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.charges import MeteredQuantity
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.money import EXACT, round_minor
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.rule_book import Charge, Meter, Plan, RuleBook, RuleBooks

OCTOBER = date(2026, 10, 1)
MODELS, CLASSES, DAYS = 20, ("input_cached", "input_uncached", "output"), 31
TABLE: dict[tuple[str | None, ...], UnitPrice] = {
    (f"model-{number}", name): UnitPrice(Decimal(number + 1) / 4, 1_000_000)
    for number in range(MODELS)
    for name in CLASSES
}
TIERS = (
    Tier(Decimal(0), Decimal(1000), UnitPrice(Decimal("0.01"))),
    Tier(Decimal(1000), Decimal(10_000), UnitPrice(Decimal("0.007"))),
    Tier(Decimal(10_000), None, UnitPrice(Decimal("0.004")), Decimal(5)),
)
TABLE_PLAN = Plan(
    "table",
    "usd",
    (Charge("tokens", "tokens", PerUnit(table=PriceTable("usd", ("model", "token_class"), TABLE))),),
)
TIER_PLAN = Plan("tiers", "usd", (Charge("calls", "calls", Graduated(TIERS)),))
BOOKS = RuleBooks(
    (
        RuleBook(
            version="v1",
            effective_from=datetime(2026, 1, 1, tzinfo=UTC),
            content_hash="0" * 64,
            units=frozenset({"token", "call"}),
            meters={
                "tokens": Meter("tokens", "token", "sum", ("model", "token_class")),
                "calls": Meter("calls", "call", "sum"),
            },
            plans={"table": TABLE_PLAN, "tiers": TIER_PLAN},
        ),
    )
)
Customers = Sequence[tuple[Agreement, Sequence[MeteredQuantity]]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    combinations = [(str(model), str(name)) for model, name in TABLE]
    per_customer = len(combinations) * DAYS
    daily = _table_customers(max(1, asked.rows // per_customer), combinations, DAYS)
    _report("price table, a row per day", daily, _ROWS, asked.repeat)
    monthly = _table_customers(max(1, asked.rows // len(combinations)), combinations, 1)
    _report("price table, a row per key", monthly, _ROWS, asked.repeat)
    tiers = _tier_customers(asked.customers)
    _report("graduated tiers", tiers, _CUSTOMERS, asked.repeat)


class _Promise(NamedTuple):
    """What is counted, how many a second are wanted, and the arithmetic alone."""

    what: str
    wanted: int
    baseline: Callable[[Customers], int]


def _report(name: str, customers: Customers, promise: _Promise, repeat: int) -> None:
    what, wanted, baseline = promise
    ours_seconds, ours = _best(lambda: _rate(customers), repeat)
    base_seconds, base = _best(lambda: baseline(customers), repeat)
    if ours != base:
        sys.exit(f"{name}: rating comes to {ours} cents, the baseline to {base}")
    count = len(customers) if what == "customers" else sum(len(rows) for _, rows in customers)
    print(
        f"{name}: {count / ours_seconds:,.0f} {what}/s (wanted {wanted:,}), the arithmetic alone "
        f"{count / base_seconds:,.0f}/s: {ours_seconds / base_seconds:.1f} x",
        flush=True,
    )


def _best(measured: Callable[[], int], repeat: int) -> tuple[float, int]:
    seconds: list[float] = []
    for _ in range(repeat):
        started = time.process_time()
        found = measured()
        seconds.append(time.process_time() - started)
    return min(seconds), found


def _rate(customers: Customers) -> int:
    rules = Rules(BOOKS)
    total = 0
    for agreement, rows in customers:
        for charge in rate_period(agreement, OCTOBER, rows, rules).charges:
            total += charge.amount_minor
    return total


def _by_table(customers: Customers) -> int:
    total = 0
    prices = {
        f'{{"model":"{model}","token_class":"{name}"}}': price.each for (model, name), price in TABLE.items()
    }
    for _, rows in customers:
        sums: dict[str, Decimal] = {}
        for row in rows:
            sums[row.dimensions] = EXACT.add(sums.get(row.dimensions, Decimal()), row.quantity)
        for dimensions, quantity in sums.items():
            total += round_minor(EXACT.multiply(quantity, prices[dimensions]), "usd")
    return total


def _by_tiers(customers: Customers) -> int:
    total = 0
    for _, rows in customers:
        quantity = rows[0].quantity
        amount = Decimal()
        for tier in TIERS:
            if quantity > tier.above:
                end = quantity if tier.up_to is None else min(quantity, tier.up_to)
                amount = EXACT.add(amount, EXACT.fma(end - tier.above, tier.unit_price.each, tier.flat_fee))
        total += round_minor(amount, "usd")
    return total


_ROWS = _Promise("rows", 200_000, _by_table)
_CUSTOMERS = _Promise("customers", 50_000, _by_tiers)


def _table_customers(count: int, combinations: Sequence[tuple[str, str]], days: int) -> Customers:
    return [
        (
            Agreement(customer_id, (Assignment("table", date(2026, 1, 1)),)),
            [
                MeteredQuantity(
                    *(customer_id, "p", "tokens", "token", f'{{"model":"{model}","token_class":"{name}"}}'),
                    *(OCTOBER + timedelta(days=day), "v1", Decimal(1234 * (number + day + 1)), 3),
                )
                for day in range(days)
                for model, name in combinations
            ],
        )
        for number in range(count)
        for customer_id in (f"customer-{number}",)
    ]


def _tier_customers(count: int) -> Customers:
    return [
        (
            Agreement(f"customer-{number}", (Assignment("tiers", date(2026, 1, 1)),)),
            [
                MeteredQuantity(
                    *(f"customer-{number}", "p", "calls", "call", "{}", OCTOBER, "v1"),
                    *(Decimal(number * 7919 % 20_000 + 1), 3),
                )
            ],
        )
        for number in range(count)
    ]


if __name__ == "__main__":
    main()
