"""The adapter of the sync speaks Stripe's protocol through the real SDK."""

from collections.abc import Iterator

import pytest

from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.invoicing.sync.port import StripeThing
from billing_pipeline.invoicing.sync.stripe_directory import StripeDirectory
from billing_pipeline_tests.invoicing.stripe.canned_stripe import (
    CannedStripe,
    canned_stripe,
    listed,
    refused,
)

ADA = {
    "id": "cus_1",
    "object": "customer",
    "name": "Ada",
    "email": None,
    "metadata": {"billing_customer_id": "acme"},
}


@pytest.fixture
def canned() -> Iterator[CannedStripe]:
    with canned_stripe() as stripe:
        yield stripe


@pytest.fixture
def directory(canned: CannedStripe) -> Iterator[StripeDirectory]:
    gateway = StripeGateway("sk_test_sync", canned.address)
    yield StripeDirectory(gateway)
    gateway.close()


def test_objects_are_made_and_updated(canned: CannedStripe, directory: StripeDirectory) -> None:
    """Under the key of the outbox."""
    canned.answers["POST /v1/customers"] = (200, ADA)
    canned.answers["POST /v1/products/prod_1"] = (200, {"id": "prod_1", "object": "product"})
    canned.answers["POST /v1/billing/meters"] = (200, {"id": "mtr_1", "object": "billing.meter"})
    assert directory.create("customer", {"name": "Ada", "metadata": {"a": "b"}}, "k1") == "cus_1"
    directory.update("product", "prod_1", {"name": "growth"}, "k2")
    assert directory.create("meter", {"event_name": "calls"}, "k3") == "mtr_1"
    assert [(name, headers["Idempotency-Key"]) for name, _, headers in canned.requests] == [
        ("POST /v1/customers", "k1"),
        ("POST /v1/products/prod_1", "k2"),
        ("POST /v1/billing/meters", "k3"),
    ]
    assert canned.requests[0][1] == {"name": "Ada", "metadata[a]": "b"}


def test_objects_are_found_by_our_key(canned: CannedStripe, directory: StripeDirectory) -> None:
    """By metadata, a meter by its event name; what is archived or deactivated is not found."""
    canned.answers["GET /v1/customers"] = listed({**ADA, "id": "cus_0", "metadata": {}}, ADA)
    canned.answers["GET /v1/products"] = listed(
        {"id": "prod_1", "name": "growth", "active": False, "metadata": {"billing_plan": "growth"}},
        {"id": "prod_2", "name": "growth", "active": True, "metadata": {"billing_plan": "growth"}},
    )
    meter = {"display_name": "Calls", "event_name": "calls"}
    canned.answers["GET /v1/billing/meters"] = listed({"id": "mtr_1", "status": "inactive", **meter})
    assert directory.find("customer", "acme") == StripeThing(
        stripe_id="cus_1", our_key="acme", shown={"name": "Ada"}
    )
    found = directory.find("product", "growth")
    assert found is not None
    assert found.stripe_id == "prod_2"
    assert directory.find("meter", "calls") is None


def test_a_customer_that_is_deleted_is_none(canned: CannedStripe, directory: StripeDirectory) -> None:
    """Nor is one that never was."""
    canned.answers["GET /v1/customers/cus_1"] = (200, ADA)
    canned.answers["GET /v1/customers/cus_2"] = (200, {"id": "cus_2", "object": "customer", "deleted": True})
    canned.answers["GET /v1/customers/cus_3"] = (404, refused("No such customer: cus_3")[1])
    found = directory.retrieve_customer("cus_1")
    assert found is not None
    assert found.our_key == "acme"
    assert [directory.retrieve_customer(each) for each in ("cus_2", "cus_3")] == [None, None]
