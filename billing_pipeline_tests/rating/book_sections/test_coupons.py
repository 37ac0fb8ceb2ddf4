"""Coupons are read as written, for charges of any plan or add-on."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from billing_pipeline.rating.plan_terms.coupon import Coupon
from billing_pipeline.rating.rule_book import RuleBook


def test_coupons_are_read_as_they_are_written(load: Callable[..., RuleBook]) -> None:
    """For one invoice, for some periods, or for ever."""
    assert load().coupons == {
        "welcome": Coupon(
            "welcome",
            percent=Decimal(20),
            once=True,
            applies_to=frozenset({"tokens", "sso_fee"}),
            description="Welcome",
        ),
        "ten_off": Coupon("ten_off", amount=Decimal(10), currency="usd", periods=3, description="Ten off"),
        "friends": Coupon("friends", percent=Decimal(100), description="Friends"),
    }


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("percent: 20", "percent: 120", "29: coupons.welcome.percent: 120 is more than 100"),
        ("percent: 20, ", "", "29: coupons.welcome: has neither `percent` nor `amount`"),
        (
            "percent: 20",
            "percent: 20, currency: usd",
            "29: coupons.welcome.currency: stands beside `percent`",
        ),
        (
            "tokens, sso_fee",
            "tokens, sso",
            "29: coupons.welcome.applies_to[1]: unknown 'sso'; did you mean 'sso_fee'",
        ),
        (
            "currency: usd, duration: 3",
            "duration: 3",
            "30: coupons.ten_off: has an `amount` but no `currency`",
        ),
        ("currency: usd, dur", "currency: usb, dur", "30: coupons.ten_off.currency: unknown currency 'usb'"),
        ("amount: 10.00", "amount: 10.001", "30: coupons.ten_off.amount: 10.001 cannot be billed in usd"),
        ("duration: 3", "duration: 0", "30: coupons.ten_off.duration: '0' is no whole number from 1 to 1200"),
        (
            "duration: 3",
            "duration: always",
            "30: coupons.ten_off.duration: unknown 'always'; give once, forever",
        ),
        (", duration: 3", "", "30: coupons.ten_off.duration: missing"),
        ("ten_off:", "Ten:", "30: coupons.Ten: 'Ten' is no name"),
        ("duration: 3", "duration: 3, once: true", "30: coupons.ten_off.once: unknown key 'once'"),
    ],
)
def test_a_fault_of_a_coupon_names_its_line_and_field(
    faults_of: Callable[..., list[str]], old: str, new: str, fault: str
) -> None:
    """Each fault is found where it stands, and alone."""
    (found,) = faults_of((old, new))
    assert found.startswith(fault)
