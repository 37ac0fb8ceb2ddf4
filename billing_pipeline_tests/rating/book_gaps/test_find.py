"""Gaps that a rule book shows by itself are found, each at its place, and a sound book shows none."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.rating.book_gaps.find import find_gaps
from billing_pipeline.rating.book_gaps.gap import Gap
from billing_pipeline.rating.book_gaps.tier_steps import tier_steps
from billing_pipeline.rating.charge_models.price import Price, Priced, Segment
from billing_pipeline.rating.rule_book import Charge, Plan
from billing_pipeline.rating.rule_book_yaml import load_rule_book

BOOK = """\
version: "1"
effective_from: 2026-01-01T00:00:00Z
units: [token, call]
meters:
  tokens: {unit: token, aggregation: sum, group_by: [model]}
  calls: {unit: call, aggregation: count, group_by: [tool]}
price_tables:
  list: {currency: usd, by: [model], rows: [{match: {model: a}, unit_price: 1}, {match: {model: b}, unit_price: 2}]}
plans:
  basic:
    currency: usd
    charges:
      - {name: tokens, meter: tokens, price: {model: per_unit, table: list}}
      - {name: seats, price: {model: flat_fee, amount: 5}}
      - name: calls
        meter: calls
        price: {model: graduated, tiers: [{up_to: 10, unit_price: 0}, {up_to: 20, unit_price: 2}, {unit_price: 1}]}
    minimums: [{name: floor, amount: 10}]
    maximums: [{name: cap, amount: 90}]
add_ons:
  extra:
    currency: usd
    charges: [{name: more_calls, meter: calls, price: {model: per_unit, unit_price: 1}}]
coupons:
  off: {amount: 1, currency: usd, duration: once}
"""
Gaps = Callable[..., list[Gap]]


@pytest.fixture
def gaps(tmp_path: Path) -> Gaps:
    """The gaps of the book with these pieces of text replaced."""

    def gaps(*changes: tuple[str, str]) -> list[Gap]:
        text = BOOK
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "book.yaml"
        path.write_text(text, "utf-8")
        return find_gaps(load_rule_book(path))

    return gaps


def test_a_sound_book_has_no_gaps(gaps: Gaps) -> None:
    """Neither free first units, nor an add-on on a charged meter, nor a falling unit price is one."""
    assert gaps() == []


INLINE = "{model: per_unit, table: {currency: usd, by: [model], rows: [{match: {model: c}, unit_price: 1}]}}"
TOKENS_AGAIN = (
    "\n      - {name: again, meter: %s, price: {model: per_unit, unit_price: 1}}\n      - {name: seats"
)


@pytest.mark.parametrize(
    ("changes", "path", "code", "words"),
    [
        (
            [("- {name: tokens, meter: tokens, price: {model: per_unit, table: list}}\n      ", "")],
            "plans/basic",
            "meter_without_charge",
            "the meter 'tokens' has no charge",
        ),
        (
            [("- name: calls\n        meter: calls", "- name: calls\n        meter: tokens")],
            "plans/basic",
            "meter_without_charge",
            "(only the add-on 'extra' prices it)",
        ),
        ([("[token, call]", "[token, call, image]")], "units/image", "unit_without_meter", "no meter takes"),
        ([("table: list", "unit_price: 3")], "price_tables/list", "unused_price_table", "no charge uses"),
        (
            [("\n      - {name: seats", TOKENS_AGAIN % "tokens")],
            "plans/basic/charges/again",
            "meter_charged_twice",
            "prices the meter 'tokens', as 'tokens' does",
        ),
        (
            [
                (
                    "  calls: {unit",
                    "  large: {unit: token, aggregation: sum, filter: {model: [a, c]}}\n  calls: {unit",
                ),
                ("\n      - {name: seats", TOKENS_AGAIN % "large"),
            ],
            "plans/basic/charges/again",
            "meters_overlap",
            "its meter 'large' and 'tokens', which 'tokens' prices",
        ),
        (
            [("group_by: [model]", "group_by: [model], filter: {model: [a]}")],
            "price_tables/list/rows/[1]",
            "dead_price_row",
            "model=b is not let through by the filter of 'tokens'",
        ),
        (
            [
                ("group_by: [model]", "group_by: [model], filter: {model: [a]}"),
                (
                    "{model: per_unit, table: list}",
                    INLINE,
                ),
                ("price_tables:\n", ""),
                (BOOK.split("\n")[7] + "\n", ""),
            ],
            "plans/basic/charges/tokens/price/table/rows/[0]",
            "dead_price_row",
            "model=c is not let through",
        ),
        (
            [("amount: 10}", "amount: 90.5}")],
            "plans/basic/minimums/floor",
            "minimum_above_maximum",
            "90.5 is above the maximum 'cap'",
        ),
        (
            [("currency: usd, dur", "currency: eur, dur")],
            "coupons/off/currency",
            "unusable_coupon",
            "no plan is in eur",
        ),
    ],
)
def test_a_gap_is_found_at_its_place(
    gaps: Gaps, changes: list[tuple[str, str]], path: str, code: str, words: str
) -> None:
    """Each says what is the matter, and is a warning."""
    found = [gap for gap in gaps(*changes) if gap.path == tuple(path.split("/")) and words in gap.message]
    assert [gap.code for gap in found] == [code]
    assert not found[0].is_note


def test_meters_whose_filters_keep_them_apart_do_not_overlap(gaps: Gaps) -> None:
    """No event is taken by both."""
    two = (
        "tokens: {unit: token, aggregation: sum, group_by: [model], filter: {model: [a, b]}}\n"
        "  large: {unit: token, aggregation: sum, filter: {model: [c]}}"
    )
    changes = [
        ("tokens: {unit: token, aggregation: sum, group_by: [model]}", two),
        ("\n      - {name: seats", TOKENS_AGAIN % "large"),
    ]
    assert gaps(*changes) == []


def test_a_row_that_one_of_two_meters_can_use_is_not_dead(gaps: Gaps) -> None:
    """A shared table holds rows for both."""
    two = (
        "tokens: {unit: token, aggregation: sum, group_by: [model], filter: {model: [a]}}\n"
        "  large: {unit: token, aggregation: sum, group_by: [model], filter: {model: [b]}}"
    )
    again = (
        "\n      - {name: again, meter: large, price: {model: per_unit, table: list}}\n      - {name: seats"
    )
    changes = [
        ("tokens: {unit: token, aggregation: sum, group_by: [model]}", two),
        ("\n      - {name: seats", again),
    ]
    assert gaps(*changes) == []


def test_a_unit_price_that_rises_is_noted(gaps: Gaps) -> None:
    """It may be meant, so it is no warning; that the first units are free is not even worth a note."""
    (gap,) = gaps(("{unit_price: 1}]}", "{unit_price: 3}]}"))
    assert gap == Gap(
        ("plans", "basic", "charges", "calls", "price", "tiers", "[2]"),
        "tier_rises",
        "the unit price rises from 2 to 3: more usage costs more each",
        is_note=True,
    )


@dataclass(frozen=True)
class _Step:
    up_to: Decimal | None


@dataclass(frozen=True)
class _AllAtTheLast(Price):
    """All units at 1, or at 0.5 once there are more than 10: the total falls there."""

    tiers: tuple[_Step, ...] = (_Step(Decimal(10)), _Step(None))

    def rate(self, segment: Segment) -> list[Priced]:
        each = Decimal(1) if segment.total <= Decimal(10) else Decimal("0.5")
        return [Priced(row.quantity * each, ()) for row in segment.rows]

    def describe(self) -> str:
        return ""


def test_a_total_that_falls_at_a_tier_is_noted(tmp_path: Path) -> None:
    """Of any charge model with tiers, by asking it for the price on both sides."""
    path = tmp_path / "book.yaml"
    path.write_text(BOOK, "utf-8")
    plan = Plan("basic", "usd", (Charge("calls", "calls", _AllAtTheLast()),))
    book = replace(load_rule_book(path), plans={"basic": plan})
    (gap,) = tier_steps(book)
    assert gap.code == "total_falls"
    assert gap.message == "the total falls from 10 at 10 to 5 just above it: less usage can cost more"
