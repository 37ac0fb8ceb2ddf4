"""A usage period is rated per line key, whatever the order and cut of its rows; nothing is free silently."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.rating.agreement import Agreement, Assignment
from billing_pipeline.rating.charge_models.graduated import Graduated
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.charge_models.price import Price
from billing_pipeline.rating.charge_models.price_table import PriceTable
from billing_pipeline.rating.charge_models.tiers import Tier
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.charges import MeteredQuantity, RatedPeriod
from billing_pipeline.rating.holdings import Rules
from billing_pipeline.rating.money import EXACT, sum_exact
from billing_pipeline.rating.rate import rate_period
from billing_pipeline.rating.rule_book import Charge, Meter, Plan, RuleBook, RuleBooks

OCTOBER = date(2026, 10, 1)
A = '{"model":"a"}'
B = '{"model":"b"}'


def graduated(*prices: str, width: int = 10, tier_by: tuple[str, ...] = ()) -> Graduated:
    """Tiers of equal width at these prices, the last one open."""
    last = len(prices) - 1
    return Graduated(
        tuple(
            Tier(
                Decimal(width * n), None if n == last else Decimal(width * (n + 1)), UnitPrice(Decimal(price))
            )
            for n, price in enumerate(prices)
        ),
        tier_by,
    )


def table(a: str) -> PerUnit:
    return PerUnit(table=PriceTable("usd", ("model",), {("a",): UnitPrice(Decimal(a), 1000)}))


def book(version: str, start: datetime, price: Price, tokens: Price, *, currency: str = "usd") -> RuleBook:
    """Two meters: calls at `price`, tokens at `tokens`; a second plan leaves calls free and has no tokens."""
    meters = {
        "calls": Meter("calls", "call", "sum", ("model",)),
        "tokens": Meter("tokens", "token", "sum", ("model",)),
    }
    charges = (Charge("calls", "calls", price), Charge("tokens", "tokens", tokens))
    plans = {
        "basic": Plan("basic", currency, charges),
        "free": Plan("free", "usd", (), frozenset({"calls"})),
    }
    return RuleBook(version, start, "0" * 64, frozenset({"call", "token"}), meters, plans)


BOOKS = RuleBooks(
    (
        book("v1", datetime(2026, 1, 1, tzinfo=UTC), graduated("1", "0.5"), table("1")),
        book("v2", datetime(2026, 10, 16, tzinfo=UTC), graduated("0.9", "0.4", "0.3"), table("2")),
    )
)


def row(
    quantity: str | int | Decimal,
    dimensions: str = A,
    *,
    day: int = 1,
    project: str = "p",
    meter: str = "calls",
    version: str | None = None,
) -> MeteredQuantity:
    unit = "call" if meter == "calls" else "token"
    found = version or ("v1" if day < 16 else "v2")
    amount = Decimal(quantity)
    return MeteredQuantity("c", project, meter, unit, dimensions, date(2026, 10, day), found, amount, 1)


def on_plan(plan: str | None, customer_id: str = "c") -> Agreement:
    """A customer on this plan for ever, or on none."""
    return Agreement(customer_id, (Assignment(plan, date.min),) if plan else ())


def rate(
    rows: Sequence[MeteredQuantity], plan: str | None = "basic", books: RuleBooks = BOOKS
) -> RatedPeriod:
    return rate_period(on_plan(plan), OCTOBER, rows, Rules(books))


def amounts(period: RatedPeriod) -> dict[tuple[str, str, str], Decimal]:
    assert not period.unpriced
    return {
        (charge.key.rule_version, charge.key.dimensions, charge.key.project_id): charge.amount
        for charge in period.charges
    }


def test_tiers_pool_dimensions_and_projects_in_a_fixed_order() -> None:
    """First the dimensions, then the project."""
    period = rate([row(8, B, project="a"), row(4, A, project="z"), row(4, A, project="b")])
    assert amounts(period) == {("v1", A, "b"): 4, ("v1", A, "z"): 4, ("v1", B, "a"): Decimal("5.0")}


def test_a_price_change_goes_on_from_the_position_reached() -> None:
    """Each version v charges F_v(after) - F_v(before): 8 at 1; then 2 at 0.9, 10 at 0.4 and 3 at 0.3."""
    period = rate([row(15, day=16), row(8, day=15)])
    assert amounts(period) == {("v1", A, "p"): 8, ("v2", A, "p"): Decimal("6.7")}
    assert [part["quantity"] for part in json.loads(period.charges[1].tiers)] == ["2", "10", "3"]


@pytest.mark.parametrize(
    ("tier_by", "amount"), [((), 16), (("project",), 24), (("model",), 24), (("model", "project"), 40)]
)
def test_tier_by_gives_each_value_a_pool_of_its_own(tier_by: tuple[str, ...], amount: int) -> None:
    """Project, dimension, or both: of each pool the first ten cost 1, the rest 0.2."""
    books = RuleBooks(
        (book("v1", datetime(2026, 1, 1, tzinfo=UTC), graduated("1", "0.2", tier_by=tier_by), table("1")),)
    )
    rows = [row(10, dimensions, project=project) for dimensions in (A, B) for project in ("p", "q")]
    period = rate(rows, books=books)
    assert sum(amounts(period).values()) == amount


def test_a_change_of_plan_starts_new_tiers() -> None:
    """Plans never share a pool, and each has lines of its own."""
    books = RuleBooks(
        tuple(
            RuleBook(
                each.version,
                each.effective_from,
                each.content_hash,
                each.units,
                each.meters,
                {**each.plans, "other": Plan("other", "eur", each.plans["basic"].charges)},
            )
            for each in BOOKS
        )
    )
    rows = [row(10, day=1), row(10, day=2)]
    changed = Agreement("c", (Assignment("basic", OCTOBER), Assignment("other", date(2026, 10, 2))))
    period = rate_period(changed, OCTOBER, rows, Rules(books))
    assert [(charge.key.plan, charge.key.currency, charge.amount) for charge in period.charges] == [
        ("basic", "usd", Decimal(10)),
        ("other", "eur", Decimal(10)),
    ]


def test_each_line_is_rounded_once_and_keeps_its_unrounded_amount() -> None:
    """A fifth of a cent a day would come to nothing; what is rounded is the key's sum."""
    (charge,) = rate([row(2, meter="tokens", day=day) for day in (1, 2, 3)]).charges
    assert (charge.quantity, charge.event_count) == (Decimal(6), 3)
    assert (charge.amount, charge.amount_minor) == (Decimal("0.006"), 1)


def test_a_key_that_sums_to_zero_has_no_charge_and_needs_no_price() -> None:
    """What was taken back in full does not block."""
    assert rate([row(5, B, meter="tokens"), row(-5, B, meter="tokens", day=2)]) == RatedPeriod((), ())


def test_a_meter_that_the_plan_leaves_free_on_purpose_is_not_charged() -> None:
    """`not_charged` is a decision, not a gap."""
    assert rate([row(5)], plan="free") == RatedPeriod((), ())


@pytest.mark.parametrize(
    ("quantity", "plan", "reason"),
    [
        (row(5), None, "no_plan"),
        (row(5), "lost", "plan_not_in_rule_book"),
        (row(5, version="v0"), "basic", "no_rule_book"),
        (row(5, meter="tokens"), "free", "no_charge_for_meter"),
        (row(5, B, meter="tokens"), "basic", "no_price_for_dimensions"),
        (row(-5), "basic", "negative_quantity"),
        (row("1e17", meter="tokens"), "basic", "amount_too_large"),
    ],
)
def test_usage_without_a_price_is_told_and_the_rest_is_rated(
    quantity: MeteredQuantity, plan: str | None, reason: str
) -> None:
    """Whoever reads the message knows customer, meter, dimensions and version, and what to do."""
    period = rate([quantity, row(1, project="rest")], plan)
    faults = [fault for fault in period.unpriced if fault.project_id == "p"]
    assert [fault.reason for fault in faults] == [reason]
    for text in ("customer c", quantity.meter, quantity.dimensions, quantity.rule_version):
        assert text in faults[0].message
    rest = [charge.key.project_id for charge in period.charges]
    assert rest == (["rest"] if plan == "basic" else [])


def test_another_customers_row_is_refused() -> None:
    """A mistake of the caller never lands on somebody's invoice."""
    with pytest.raises(ValueError, match="customer 'c'"):
        rate_period(on_plan("basic", "d"), OCTOBER, [row(1)], Rules(BOOKS))


ROWS = st.lists(
    st.builds(
        row,
        st.decimals(min_value=0, max_value=40, places=9),
        st.sampled_from([A, B]),
        day=st.integers(1, 31),
        project=st.sampled_from(["p", "q"]),
    ),
    max_size=12,
)


@given(ROWS, st.data())
def test_neither_the_order_of_rows_nor_their_cut_matters(
    rows: list[MeteredQuantity], data: st.DataObject
) -> None:
    """Each row may come in two pieces, all in any order."""
    pieces: list[MeteredQuantity] = []
    for each in rows:
        first = data.draw(st.decimals(min_value=-5, max_value=5, places=3))
        rest = EXACT.subtract(each.quantity, first)
        pieces += [each._replace(quantity=first, event_count=0), each._replace(quantity=rest)]
    assert rate(data.draw(st.permutations(pieces))) == rate(rows)


@given(ROWS)
def test_charges_carry_the_whole_quantity_and_their_parts_the_whole_amount(
    rows: list[MeteredQuantity],
) -> None:
    """Nothing is lost or made between rows, lines and tiers."""
    period = rate(rows)
    assert sum_exact(charge.quantity for charge in period.charges) == sum_exact(
        each.quantity for each in rows
    )
    for charge in period.charges:
        parts = json.loads(charge.tiers)
        assert sum_exact(Decimal(part["amount"]) for part in parts) == charge.amount
        assert abs(charge.amount * 100 - charge.amount_minor) <= Decimal("0.5")


def test_a_level_that_falls_within_a_day_under_a_later_version_is_a_negative_line() -> None:
    """3 in the morning at 1.00, then 1 in the afternoon at 2.00: 3.00 less 2 of them at the new price."""
    levels = {"levels": Meter("levels", "gb", "latest")}
    books = RuleBooks(
        tuple(
            RuleBook(
                version,
                datetime(2026, 10, 1, hour, tzinfo=UTC),
                "0" * 64,
                frozenset({"gb"}),
                levels,
                {
                    "basic": Plan(
                        "basic", "usd", (Charge("levels", "levels", PerUnit(flat=UnitPrice(Decimal(each)))),)
                    )
                },
            )
            for version, hour, each in (("v1", 0, 1), ("v2", 12, 2))
        )
    )
    quantities = [
        MeteredQuantity("acme", "p", "levels", "gb", "{}", OCTOBER, version, Decimal(quantity), 1)
        for version, quantity in (("v1", 3), ("v2", -2))
    ]
    rated = rate_period(on_plan("basic", "acme"), OCTOBER, quantities, Rules(books))
    assert rated.unpriced == ()
    assert [charge.amount_minor for charge in rated.charges] == [300, -400]
