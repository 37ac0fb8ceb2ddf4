"""Two rule books are compared by what they say: every value that changes a cent, and nothing else."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.rating.book_changes.compare import Change, compare_books, percent_text
from billing_pipeline.rating.rule_book import RuleBook
from billing_pipeline.rating.rule_book_yaml import load_rule_book

DEMO = Path(__file__).parents[3] / "data" / "rule_books"
BOOK = """\
version: "1"
effective_from: 2026-01-01T00:00:00Z
units: [token, call]
meters:
  tokens: {unit: token, aggregation: sum, group_by: [model], filter: {model: [a, b]}}
  calls: {unit: call, aggregation: count}
price_tables:
  list:
    currency: usd
    by: [model]
    per: 1000
    rows:
      - {match: {model: a}, unit_price: 1.00}
      - {match: {model: b}, unit_price: 3}
    default: {unit_price: 0}
plans:
  basic:
    currency: usd
    trial_days: 7
    charges:
      - {name: tokens, meter: tokens, price: {model: per_unit, table: list}}
      - {name: seats, price: {model: flat_fee, amount: 99.00}}
      - name: calls
        meter: calls
        price: {model: graduated, tiers: [{up_to: 1000, unit_price: 2}, {unit_price: 1, flat_fee: 5}]}
    discounts:
      - {name: first, percent: 10}
      - {name: second, amount: 5}
    minimums: [{name: floor, amount: 10, applies_to: [tokens, calls]}]
add_ons:
  extra:
    currency: usd
    charges: [{name: extra_fee, price: {model: flat_fee, amount: 5}}]
coupons:
  welcome: {percent: 20, duration: once}
close_policy: {grace_minutes: 30}
"""
Compare = Callable[..., list[Change]]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., RuleBook]:
    """The book with these pieces of text replaced."""

    def load(*changes: tuple[str, str]) -> RuleBook:
        text = BOOK
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "book.yaml"
        path.write_text(text, "utf-8")
        return load_rule_book(path)

    return load


@pytest.fixture
def compare(load: Callable[..., RuleBook]) -> Compare:
    """What the changed book says differently from the book."""
    return lambda *changes: compare_books(load(), load(*changes))


CALLS = "plans/basic/charges/calls/price"
ROW_C = "      - {match: {model: c}, unit_price: 2, per: 1}\n    default"
SECOND_TIER = "{up_to: 1000, unit_price: 2}, {up_to: 5000, unit_price: 1.5}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "unit_price: 1.00",
            "unit_price: 1.25",
            "price_tables/list/rows/model=a changed 1 per 1,000|1.25 per 1,000|25",
        ),
        (
            "unit_price: 3}",
            "unit_price: 2}",
            "price_tables/list/rows/model=b changed 3 per 1,000|2 per 1,000|-33.33",
        ),
        ("unit_price: 0}", "unit_price: 9}", "price_tables/list/default changed 0 per 1,000|9 per 1,000|"),
        ("    default: {unit_price: 0}\n", "", "price_tables/list/default removed 0 per 1,000||"),
        ("    default", ROW_C, "price_tables/list/rows/model=c added |2|"),
        ("[token, call]", "[token, call, image]", "units/image added |image|"),
        ("aggregation: count", "aggregation: sum", "meters/calls/aggregation changed count|sum|"),
        ("model: [a, b]", "model: [a]", "meters/tokens/filter/model changed a, b|a|"),
        ("trial_days: 7", "trial_days: 14", "plans/basic/trial_days changed 7|14|"),
        ("amount: 99.00", "amount: 49.5", "plans/basic/charges/seats/amount changed 99|49.5|-50"),
        (
            "up_to: 1000, unit_price: 2}",
            SECOND_TIER[1:],
            f"{CALLS}/tiers/above 5,000 added |unit_price 1, flat_fee 5|",
        ),
        ("flat_fee: 5", "flat_fee: 6", f"{CALLS}/tiers/above 1,000/flat_fee changed 5|6|20"),
        (
            "{model: per_unit, table: list}",
            "{model: per_unit, unit_price: 2}",
            "plans/basic/charges/tokens/price/unit_price added |2|",
        ),
        (
            "{model: graduated, tiers: [{up_to: 1000, unit_price: 2}, {unit_price: 1, flat_fee: 5}]}",
            "{model: per_unit, unit_price: 2}",
            f"{CALLS} changed graduated up to 1,000 at 2, above 1,000 at 1 + 5|per_unit 2|",
        ),
        ("percent: 10", "percent: 15", "plans/basic/discounts/first/percent changed 10|15|50"),
        ("{name: second, amount: 5}", "{name: third, amount: 5}", "plans/basic/discounts/third added |5|"),
        (
            "      - {name: first, percent: 10}\n      - {name: second, amount: 5}\n",
            "      - {name: second, amount: 5}\n      - {name: first, percent: 10}\n",
            "plans/basic/discounts/order changed first, second|second, first|",
        ),
        ("[tokens, calls]", "[calls]", "plans/basic/minimums/floor/applies_to changed calls, tokens|calls|"),
        ("  extra:", "  other:", "add_ons/other added |usd: extra_fee|"),
        ("percent: 20, duration: once", "percent: 20, duration: 3", "coupons/welcome/periods added |3|"),
        ("grace_minutes: 30", "grace_minutes: 60", "close_policy/grace_minutes changed 30|60|"),
    ],
)
def test_a_difference_is_told_at_its_place(compare: Compare, old: str, new: str, expected: str) -> None:
    """What happened, the old value, the new one, and by how many percent it rose or fell."""
    changes = [
        f"{'/'.join(change.path)} {change.change} {change.old}|{change.new}|"
        f"{'' if change.percent is None else f'{change.percent.normalize():f}'}"
        for change in compare((old, new))
    ]
    assert expected in changes


def test_what_says_the_same_is_no_difference(compare: Compare) -> None:
    """Neither the way a number is written, nor the order of keys, nor version, start and description."""
    assert (
        compare(
            ("1.00", '"1"'),
            ("{unit: call, aggregation: count}", "{aggregation: count, unit: call}"),
            ('version: "1"', 'version: "2"\ndescription: Other words.'),
            ("2026-01-01", "2026-02-01"),
        )
        == []
    )


def test_a_new_tier_in_the_middle_leaves_the_others_as_they_are(compare: Compare) -> None:
    """Tiers go by where they start."""
    changes = compare(
        ("{up_to: 1000, unit_price: 2}", "{up_to: 500, unit_price: 2}, {up_to: 1000, unit_price: 1.5}")
    )
    assert [(change.path[-1] if "added" in change.change else change.path[-2:]) for change in changes] == [
        ("above 0", "up_to"),
        "above 500",
    ]


def test_a_plan_that_comes_or_goes_is_one_difference(compare: Compare) -> None:
    """With its currency and charges in short, not value by value."""
    (removed, added) = compare(("  basic:", "  starter:"))[:2]
    assert removed == Change(("plans", "basic"), "removed", "usd: tokens, calls, seats", "")
    assert added == Change(("plans", "starter"), "added", "", "usd: tokens, calls, seats")


def test_a_price_row_names_the_plans_that_it_is_of(compare: Compare) -> None:
    """By the tables that their charges name, before or after."""
    (change,) = compare(("unit_price: 1.00", "unit_price: 1.10"))
    assert change.used_by == ("basic",)
    assert change.percent == Decimal(10)


def test_a_comparison_the_other_way_about_tells_the_same_places() -> None:
    """What was added is removed; the places and their order are the same. A book does not differ from itself."""
    old, new = (load_rule_book(DEMO / f"{name}.yaml") for name in ("2023-11-01", "2026-10-16"))
    there, back = compare_books(old, new), compare_books(new, old)
    assert [change.path for change in there] == [change.path for change in back]
    assert [(change.old, change.new) for change in there] == [(change.new, change.old) for change in back]
    assert compare_books(old, old) == []
    assert len(there) == 9


@pytest.mark.parametrize(
    ("percent", "text"), [("25.00", "+25 %"), ("-33.33", "-33.33 %"), ("0.00", "0 %"), (None, "")]
)
def test_a_percentage_is_told_with_its_sign(percent: str | None, text: str) -> None:
    """Up with a plus; nothing where there is none."""
    assert percent_text(None if percent is None else Decimal(percent)) == text
