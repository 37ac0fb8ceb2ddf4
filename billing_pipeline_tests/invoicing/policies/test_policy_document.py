"""How the policies of invoicing are read, and what is wrong with them."""

import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.errors import DocumentError
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies, InvoicingPolicy
from billing_pipeline.invoicing.policies.policy_document import load_policies
from billing_pipeline.rating.charge_models.percentage import Percentage
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.settings import PROJECT_ROOT

BOOKS = load_rule_books(PROJECT_ROOT / "data" / "rule_books")


def _load(tmp_path: Path, text: str) -> InvoicingPolicies:
    path = tmp_path / "invoicing.yaml"
    path.write_text(text, "utf-8")
    return load_policies(path, BOOKS)


def test_without_a_document_every_plan_has_the_defaults(tmp_path: Path) -> None:
    """Nothing is held, zero is sent, decreases go on the next invoice, usage as rated lines."""
    assert load_policies(tmp_path / "none.yaml", BOOKS).of("growth") == InvoicingPolicy()


def test_the_project_s_own_document_has_no_fault() -> None:
    """What is shipped can be read."""
    assert load_policies(PROJECT_ROOT / "data" / "invoicing.yaml", BOOKS).default == InvoicingPolicy()


def test_a_plan_takes_from_the_default_what_it_does_not_say(tmp_path: Path) -> None:
    """Field by field."""
    policies = _load(tmp_path, "default: {zero_invoices: skip}\nplans:\n  enterprise: {approval: required}\n")
    assert policies.of("enterprise") == InvoicingPolicy(approval="required", zero_invoices="skip")
    assert policies.of("growth") == InvoicingPolicy(zero_invoices="skip")


def test_one_plan_that_needs_approval_holds_the_invoice_and_all_must_skip_zero(tmp_path: Path) -> None:
    """An invoice with lines of several plans follows the strictest."""
    policies = _load(
        tmp_path, "plans:\n  enterprise: {approval: required, zero_invoices: skip}\n  growth: {}\n"
    )
    assert policies.needs_approval({"enterprise", "growth"})
    assert not policies.needs_approval({"growth"})
    assert policies.skips_zero({"enterprise"})
    assert not policies.skips_zero({"enterprise", "growth"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plans:\n  gold: {approval: none}\n", "no rule book has a plan or add-on 'gold'"),
        ("default: {approval: sometimes}\n", "none, required"),
        ("default: {delivery: meter_events}\n", "for single plans only"),
        ("defaults: {}\n", "defaults"),
    ],
)
def test_faults_name_the_place_and_what_to_do(tmp_path: Path, text: str, message: str) -> None:
    """An unknown plan, value or field is refused, and so is meter_events for everybody."""
    with pytest.raises(DocumentError, match=message):
        _load(tmp_path, text)


def test_a_price_that_takes_its_amount_from_a_dimension_is_none_of_stripes(tmp_path: Path) -> None:
    """Stripe would get the quantity alone."""
    (book,) = list(BOOKS)[-1:]
    plan = book.plans["standard"]
    price = Percentage(Decimal(1), amount_dimension="paid")
    charge = dataclasses.replace(plan.charges[1], price=price)
    plans = {**book.plans, "standard": dataclasses.replace(plan, charges=(charge,))}
    file = tmp_path / "invoicing.yaml"
    file.write_text("plans:\n  standard: {delivery: meter_events}\n", "utf-8")
    with pytest.raises(DocumentError, match="takes its amount from a dimension"):
        load_policies(file, RuleBooks((dataclasses.replace(book, plans=plans),)))
