"""One invoice line as rows of FOCUS: exact prices, amounts that add up, and the right category for each component."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_pipeline.audit.export.exported_lines import InStripe
from billing_pipeline.audit.export.focus_columns import FOCUS_COLUMNS, Level
from billing_pipeline.audit.export.focus_schema import focus_frame
from billing_pipeline.errors import FocusFaultError
from billing_pipeline.rating.money import EXACT, round_minor, sum_exact
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.settings import PROJECT_ROOT
from billing_pipeline_tests.audit.export.made_lines import made_line, rows_of, tier

MANDATORY = (
    "BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodEnd BillingPeriodStart ChargeCategory "
    "ChargeClass ChargeDescription ChargePeriodEnd ChargePeriodStart ContractedCost EffectiveCost InvoiceIssuerName "
    "ListCost PricingQuantity PricingUnit ProviderName PublisherName ServiceCategory ServiceName"
)


def priced(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """Quantity, unit, unit price and cost."""
    return tuple(
        str(row[name]) for name in ("PricingQuantity", "PricingUnit", "ContractedUnitPrice", "ContractedCost")
    )  # type: ignore[return-value]  # four


def test_the_mandatory_columns_of_focus_are_there() -> None:
    """As its chapter on columns lists them, and every row has each."""
    found = {column.name for column in FOCUS_COLUMNS if column.level is Level.MANDATORY}
    assert found == set(MANDATORY.split())
    (row,) = rows_of(made_line())
    assert list(row) == [column.name for column in FOCUS_COLUMNS]


def test_usage_has_one_price_and_is_counted() -> None:
    (row,) = rows_of(made_line(), InStripe("invoice", "in_1", "", "reconciled"))
    assert priced(row) == ("1000000", "Tokens", "0.000012", "12")
    assert (row["BilledCost"], row["ListCost"], row["EffectiveCost"]) == (12, 12, 12)
    assert (row["ChargeCategory"], row["ChargeClass"], row["ChargeFrequency"]) == (
        "Usage",
        None,
        "Usage-Based",
    )
    assert (row["ConsumedQuantity"], row["ConsumedUnit"]) == (1_000_000, "Tokens")
    assert row["SkuPriceId"] == "growth/llm_tokens/atlas-large,output"
    assert row["InvoiceId"] == "in_1"
    assert row["BillingPeriodEnd"] == row["ChargePeriodEnd"] == datetime(2026, 11, 1, tzinfo=UTC)
    focus_frame([row])


def test_each_tier_and_each_fee_is_a_row_of_its_own() -> None:
    """The rounded amount is shared out among them, to the cent."""
    line = made_line(
        tier("1000", "10", "up to 1000"),
        tier("333", "6.998", "above 1000", fee="5"),
        quantity=Decimal(1333),
        amount=Decimal("16.998"),
        amount_minor=1700,
        unit="call",
    )
    first, second, fee = rows_of(line)
    assert priced(first) == ("1000", "Calls", "0.01", "10")
    assert priced(second) == ("333", "Calls", "0.006", "1.998")
    assert priced(fee) == ("1", "Fees", "5", "5")
    assert [row["BilledCost"] for row in (first, second, fee)] == [
        Decimal("10.00"),
        Decimal("2.00"),
        Decimal("5.00"),
    ]
    assert fee["ChargeCategory"] == "Purchase"
    focus_frame([first, second, fee])


def test_what_has_no_exact_price_per_unit_is_priced_as_a_whole() -> None:
    """A package for three units: a third of a dollar has no end."""
    (row,) = rows_of(
        made_line(tier("3", "1", "1 package"), quantity=Decimal(3), amount=Decimal(1), amount_minor=100)
    )
    assert priced(row) == ("1", "Charges", "1", "1")
    assert row["ConsumedQuantity"] == 3
    focus_frame([row])


@pytest.mark.parametrize(
    ("component", "minor", "category", "frequency"),
    [
        ("flat_fee", 5000, "Purchase", "Recurring"),
        ("discount", -100, "Adjustment", "One-Time"),
        ("minimum", 400, "Adjustment", "One-Time"),
        ("maximum", -300, "Adjustment", "One-Time"),
        ("coupon", -200, "Adjustment", "One-Time"),
        ("invoice_coupon", -200, "Adjustment", "One-Time"),
        ("credit", -1200, "Credit", "One-Time"),
    ],
)
def test_every_component_has_its_category(component: str, minor: int, category: str, frequency: str) -> None:
    amount = Decimal(minor).scaleb(-2)
    (row,) = rows_of(made_line(component=component, amount=amount, amount_minor=minor, unit="", term="t"))
    assert (row["ChargeCategory"], row["ChargeFrequency"], row["BilledCost"]) == (category, frequency, amount)
    assert row["ConsumedQuantity"] is None
    focus_frame([row])


def test_an_adjustment_corrects_and_bills_the_difference() -> None:
    """Of the quantity, too; the price of what was booked before is not known any more."""
    line = made_line(
        kind="adjustment",
        reason="late_usage",
        quantity_before=Decimal(900_000),
        booked_before_minor=1080,
        amount_minor=120,
    )
    (row,) = rows_of(line)
    assert (row["ChargeClass"], row["ChargeCategory"]) == ("Correction", "Usage")
    assert (row["BilledCost"], row["ContractedCost"], row["PricingQuantity"]) == (
        Decimal("1.20"),
        Decimal("1.20"),
        100_000,
    )
    assert (row["ContractedUnitPrice"], row["PricingCategory"], row["x_Reason"]) == (None, None, "late_usage")
    focus_frame([row])


def test_a_line_about_nothing_has_no_row() -> None:
    assert rows_of(made_line(quantity=Decimal(), amount=Decimal(), amount_minor=0)) == []


def test_in_a_trial_the_plans_own_price_is_the_list_price() -> None:
    """What the customer saves can be seen: listed at 12 dollars, contracted at nothing."""
    books = load_rule_books(PROJECT_ROOT / "data" / "rule_books")
    line = made_line(tier("1000000", "0"), term="trial", amount=Decimal(), amount_minor=0)
    (row,) = rows_of(line, books=books)
    assert (row["ListCost"], row["ContractedCost"], row["BilledCost"]) == (12, 0, 0)
    assert row["ListUnitPrice"] == Decimal("0.000012")
    focus_frame([row])


@pytest.mark.parametrize("state", ["", "verified", "planned"])
def test_what_is_not_final_has_no_invoice_id(state: str) -> None:
    (row,) = rows_of(made_line(), InStripe("invoice", "in_1", "", state))
    assert row["InvoiceId"] is None


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"BilledCost": None}, "BilledCost"),
        ({"ChargeCategory": "Rebate"}, "ChargeCategory"),
        ({"ChargeClass": "Mistake"}, "ChargeClass"),
        ({"BillingCurrency": "usd"}, "ISO 4217"),
        ({"ConsumedQuantity": Decimal(-1)}, "ConsumedQuantity is above zero"),
        ({"SkuPriceId": None}, "SkuPriceId"),
        ({"ListUnitPrice": Decimal(-1)}, "unit prices are not negative"),
        ({"BilledCost": Decimal(-12)}, "the sign of their quantity"),
        (
            {"ChargeCategory": "Credit", "ConsumedQuantity": None, "ConsumedUnit": None},
            "credits are not above zero",
        ),
        ({"ChargePeriodEnd": datetime(2026, 9, 1, tzinfo=UTC)}, "charge period ends"),
        ({"x_InvoiceState": "finalized"}, "InvoiceId is there"),
        ({"SubAccountType": None}, "SubAccountType"),
        ({"ChargeFrequency": "Recurring"}, "Usage-Based"),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused(changes: dict[str, Any], rule: str) -> None:
    (row,) = rows_of(made_line())
    with pytest.raises(FocusFaultError, match=rule):
        focus_frame([row | changes])


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.decimals(Decimal("0.000000001"), Decimal(10**9), places=9),
            st.decimals(Decimal(), Decimal(1000), places=12),
            st.sampled_from(["0", "0", "2.505"]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["usd", "jpy", "kwd"]),
)
def test_billed_costs_add_up_and_prices_multiply_exactly(
    parts: list[tuple[Decimal, Decimal, str]], currency: str
) -> None:
    """For any tiers: to the minor unit, and to the last digit; and each share is within a minor unit of its cost."""
    tiers = [
        tier(
            f"{quantity:f}",
            f"{EXACT.add(EXACT.multiply(quantity, price), Decimal(fee)):f}",
            f"tier {number}",
            fee,
        )
        for number, (quantity, price, fee) in enumerate(parts)
    ]
    amount = sum_exact(Decimal(each["amount"]) for each in tiers)
    line = made_line(
        *tiers,
        quantity=sum_exact(each[0] for each in parts),
        amount=amount,
        amount_minor=round_minor(amount, currency),
        currency=currency,
    )
    rows = rows_of(line)
    exponent = {"usd": 2, "jpy": 0, "kwd": 3}[currency]
    assert sum(row["BilledCost"] for row in rows) == Decimal(line.amount_minor).scaleb(-exponent)
    assert sum_exact(row["ContractedCost"] for row in rows) == amount
    for row in rows:
        assert EXACT.multiply(row["PricingQuantity"], row["ContractedUnitPrice"]) == row["ContractedCost"]
        assert abs(row["BilledCost"] - row["ContractedCost"]) <= Decimal(1).scaleb(-exponent)
    focus_frame(rows)
