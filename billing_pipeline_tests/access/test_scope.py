"""What a key's scope covers."""

import pytest

from billing_pipeline.access.scope import Scope


def test_an_unlimited_scope_covers_everything() -> None:
    scope = Scope()
    assert scope.denial("app", ("acme", "other")) is None
    assert scope.denial_of_correction("app") is None


@pytest.mark.parametrize(
    ("source", "covered"), [("app", True), ("app2", False), ("eu/app", True), ("eu/", True), ("eu", False)]
)
def test_sources_are_named_exactly_or_by_how_they_begin(source: str, covered: bool) -> None:
    scope = Scope(sources=("app", "eu/*"))
    denial = scope.denial(source, ("acme",))
    assert (denial is None) is covered
    assert denial is None or (denial.field, denial.value) == ("source", source)
    assert (scope.denial_of_correction(source) is None) is covered


def test_each_payer_must_be_a_customer_of_the_scope() -> None:
    scope = Scope(customers=frozenset({"acme", "globex"}))
    assert scope.denial("app", ("acme", "globex")) is None
    denial = scope.denial("app", ("acme", "initech"))
    assert denial is not None
    assert (denial.field, denial.value) == ("customer_id", "initech")


def test_a_key_limited_to_customers_may_not_correct() -> None:
    """A correction does not say whose usage it changes."""
    denial = Scope(customers=frozenset({"acme"})).denial_of_correction("app")
    assert denial is not None
    assert denial.field == "type"
