"""Splitting a quantity among payers: the parts add up to the whole, always."""

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.contract.allocation import split
from billing_pipeline.contract.decimals import normalized, plain
from billing_pipeline.contract.parsing import faults, parse
from billing_pipeline.rating.money import sum_exact

EVENT: dict[str, Any] = {
    "id": "e-1",
    "source": "gateway",
    "type": "usage",
    "schema_version": 2,
    "customer_id": "acme",
    "project_id": "bot",
    "occurred_at": "2026-03-01T12:00:00Z",
    "unit": "token",
    "quantity": "10.0",
    "correlation_id": "r-1",
}


def shared(*shares: object) -> bytes:
    rows = [
        {"customer_id": f"c{index}", "project_id": "p", "share": share} for index, share in enumerate(shares)
    ]
    return json.dumps(EVENT | {"allocations": rows}).encode()


@pytest.mark.parametrize(
    ("quantity", "shares", "parts"),
    [
        ("100", ["0.333", "0.333", "0.334"], ["33", "33", "34"]),
        ("1", ["0.5", "0.5"], ["1", "0"]),
        ("0.5", ["0.5", "0.5"], ["0.3", "0.2"]),
        ("0", ["0.5", "0.5"], ["0", "0"]),
        ("2", ["0.25", "0.25", "0.25", "0.25"], ["1", "1", "0", "0"]),
        ("10", ["0.15", "0.85"], ["2", "8"]),
    ],
)
def test_the_largest_remainder_takes_what_is_left(quantity: str, shares: list[str], parts: list[str]) -> None:
    """At the quantity's own scale, ties in the listed order."""
    assert split(quantity, shares) == parts


@given(
    st.decimals(min_value=0, max_value=10**20, places=9, allow_nan=False),
    st.lists(st.integers(1, 10**9), min_size=1, max_size=15),
)
def test_the_parts_add_up_to_the_whole(quantity: Decimal, weights: list[int]) -> None:
    """No part is further from its exact share than one unit of the quantity's scale."""
    text = plain(quantity)
    shares = [Decimal(weight).scaleb(-18) for weight in weights]
    shares.append(Decimal(1) - sum(shares, start=Decimal(0)))
    parts = [Decimal(part) for part in split(text, [format(share, "f") for share in shares])]
    assert sum_exact(parts) == Decimal(text)
    unit = Decimal(1).scaleb(-len(text.partition(".")[2]))
    # Fractions: the ambient decimals have 28 digits, and the product of these has more.
    exact = [Fraction(share) * Fraction(text) for share in shares]
    assert all(abs(Fraction(part) - share) < unit for part, share in zip(parts, exact, strict=True))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**28), max_value=10**28, places=9))
def test_normalizing_keeps_the_value(value: Decimal) -> None:
    """Plain text, the same number, and normalizing again changes nothing."""
    text = plain(value)
    assert Decimal(text) == value
    assert normalized(text) == text
    assert "E" not in text


def test_the_split_is_kept_with_the_event() -> None:
    """The record has each payer's share and part, at the scale of the normalized quantity, and of the event."""
    payers = [{"allocation_index": index, "customer_id": f"c{index}", "project_id": "p"} for index in (0, 1)]
    assert json.loads(parse(shared("0.55", "0.450")).allocations or "") == [
        payers[0] | {"share": "0.55", "quantity": "6", "event_share": "0.55"},
        payers[1] | {"share": "0.45", "quantity": "4", "event_share": "0.45"},
    ]


def test_the_parts_of_the_event_itself_add_up_to_one() -> None:
    """Shares with more than nine fractional digits are cut by largest remainder, ties in the listed order."""
    third = "0.333333333333333333"
    parts = json.loads(parse(shared(third, third, "0.333333333333333334")).allocations or "")
    assert [part["event_share"] for part in parts] == ["0.333333333", "0.333333333", "0.333333334"]


@pytest.mark.parametrize(
    ("shares", "code"),
    [
        (("0.5", "0.4"), "shares_not_one"),
        (("0.5", "0.6"), "shares_not_one"),
        (("1", "0"), "invalid_share"),
        (("1.5", "-0.5"), "invalid_share"),
        (("1e0",), "invalid_share"),
        ((1,), "wrong_type"),
        ((None, "1"), "missing_field"),
        (("0.0625",) * 16 + ("0.1",), "too_many_shares"),
    ],
)
def test_shares_that_do_not_make_a_whole_are_refused(shares: tuple[object, ...], code: str) -> None:
    """Shares are decimal texts above 0 that add up to exactly 1."""
    assert code in [fault.reason_code.value for fault in faults(shared(*shares))]
