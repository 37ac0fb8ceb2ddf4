"""Plans and add-ons are read with their flat fees and trials, and their names are apart."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.errors import DocumentError
from billing_pipeline.rating.plan_terms.flat_fee import FlatFee
from billing_pipeline.rating.rule_book import RuleBook
from billing_pipeline.rating.rule_book_yaml import load_rule_books

Load = Callable[..., RuleBook]


def test_a_charge_without_a_meter_is_a_flat_fee(load: Load) -> None:
    """It stands among the charges, and is kept apart from those that take usage."""
    plan = load().plans["team"]
    assert plan.flat_fees == (
        FlatFee("seats", Decimal(99), "in_advance", prorate=False, description="Seats"),
        FlatFee("support_plan", Decimal("10.5"), description="Support"),
    )
    assert [charge.name for charge in plan.charges] == ["tokens", "calls"]
    assert plan.charge_names == {"tokens", "calls", "seats", "support_plan"}
    assert plan.trial_days == 14


def test_an_add_on_is_read_like_a_plan(load: Load) -> None:
    """With charges in its own currency, and no trial."""
    add_on = load().add_ons["sso"]
    assert add_on.currency == "usd"
    assert [fee.name for fee in add_on.flat_fees] == ["sso_fee"]
    assert add_on.trial_days == 0


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "trial_days: 14",
            "trial_days: 1.5",
            "10: plans.team.trial_days: '1.5' is no whole number from 0 to 3660",
        ),
        (
            "name: seats,",
            "name: seats, meter: calls,",
            "14: plans.team.charges[2].meter: a flat_fee is due whatever",
        ),
        (
            "name: calls, meter: calls,",
            "name: calls,",
            "13: plans.team.charges[1]: has no `meter`; only a flat_fee",
        ),
        (
            "model: flat_fee, amount: 99",
            "model: flatfee, amount: 99",
            "14: plans.team.charges[2].price.model: unknown",
        ),
        ("model: flat_fee, amount: 99", "amount: 99", "14: plans.team.charges[2].price: has no `model`"),
        (
            "amount: 99.00",
            "amount: 99.001",
            "14: plans.team.charges[2].price.amount: 99.001 cannot be billed in usd",
        ),
        ("amount: 99.00, ", "", "14: plans.team.charges[2].price.amount: missing"),
        (
            "pay: in_advance",
            "pay: advance",
            "14: plans.team.charges[2].price.pay: unknown 'advance'; did you mean",
        ),
        (
            "name: support_plan",
            "name: calls",
            "15: plans.team.charges[3]: 'calls' is the name of an earlier charge",
        ),
        ("  sso:\n", "  team:\n", "24: add_ons.team: 'team' is the name of a plan; give the add-on another"),
        (
            "  sso:\n",
            "  sso:\n    trial_days: 3\n",
            "25: add_ons.sso.trial_days: is for plans; an add-on has no free",
        ),
    ],
)
def test_a_fault_of_a_plan_names_its_line_and_field(
    faults_of: Callable[..., list[str]], old: str, new: str, fault: str
) -> None:
    """Each fault is found where it stands, before what follows from it."""
    found = faults_of((old, new))
    assert any(text.startswith(fault) for text in found), found


ADD_ON = "  {}:\n    currency: {}\n    charges: [{{name: fee, price: {{model: flat_fee, amount: 1}}}}]\n"


def _folder(folder: Path, later: str) -> list[str]:
    """The faults of a folder whose second version has these plans and add-ons."""
    head = "version: '{0}'\neffective_from: 2026-0{0}-01T00:00:00Z\nunits: [call]\nmeters: {{}}\n"
    first = "plans:\n" + ADD_ON.format("basic", "usd") + "add_ons:\n" + ADD_ON.format("extra", "usd")
    (folder / "1.yaml").write_text(head.format(1) + first, "utf-8")
    (folder / "2.yaml").write_text(head.format(2) + later, "utf-8")
    with pytest.raises(DocumentError) as caught:
        load_rule_books(folder)
    return [
        f"{Path(each.path).name}:{each.line}: {each.field}: {each.message}" for each in caught.value.faults
    ]


def test_add_ons_keep_their_currency_over_the_versions(tmp_path: Path) -> None:
    """As plans do."""
    (found,) = _folder(
        tmp_path, "plans:\n" + ADD_ON.format("basic", "usd") + "add_ons:\n" + ADD_ON.format("extra", "eur")
    )
    assert found.startswith(
        "2.yaml:10: add_ons.extra: is in eur, but in usd in version '1'; it keeps its currency"
    )


def test_a_plan_does_not_become_an_add_on_nor_the_other_way_about(tmp_path: Path) -> None:
    """A name that customers have is one thing in all versions."""
    found = _folder(
        tmp_path, "plans:\n" + ADD_ON.format("extra", "usd") + "add_ons:\n" + ADD_ON.format("basic", "usd")
    )
    assert [text.split(";")[0] for text in found] == [
        "2.yaml:6: plans.extra: is an add-on in version '1'",
        "2.yaml:10: add_ons.basic: is a plan in version '1'",
    ]
