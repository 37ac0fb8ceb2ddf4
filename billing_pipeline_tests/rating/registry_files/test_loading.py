"""The registry seed is checked like what is applied later."""

from pathlib import Path

import pytest

from billing_pipeline.errors import DocumentError
from billing_pipeline.rating.registry_files.loading import load_seed
from billing_pipeline.rating.rule_book import RuleBooks


def test_a_missing_seed_registers_nobody(tmp_path: Path, books: RuleBooks) -> None:
    """Customers then arrive through the log."""
    assert load_seed(tmp_path / "absent.yaml", books) == []


def test_a_seed_may_say_nothing(tmp_path: Path, books: RuleBooks) -> None:
    """Like the project's own."""
    path = tmp_path / "registry.yaml"
    path.write_text("# nobody yet\n", "utf-8")
    assert load_seed(path, books) == []


def test_the_faults_of_all_checks_are_raised_together(tmp_path: Path, books: RuleBooks) -> None:
    """In the order of their lines: nothing is known before the seed, and rule books are asked."""
    path = tmp_path / "registry.yaml"
    path.write_text(
        "customers:\n"
        "  - {id: acme, effective_from: 2026-01-01, plan: taem}\n"
        "  - {id: bolt, coupons: [{coupon: welcome, effective_from: 2026-02-01}]}\n"
        "plan_overrides:\n"
        "  - {plan: team, name: x, effective_from: 2026-02-01, charge: cals, rows: [{per: 1}]}\n",
        "utf-8",
    )
    with pytest.raises(DocumentError) as caught:
        load_seed(path, books)
    assert [(fault.line, fault.field) for fault in caught.value.faults] == [
        (2, "customers[0].plan"),
        (3, "customers[1].coupons[0]"),
        (5, "plan_overrides[0].charge"),
    ]
