"""Customers, products and meters of a Stripe account through its own SDK."""

from collections.abc import Iterable, Mapping
from typing import Any

import stripe

from billing_pipeline.invoicing.stripe.gateway import StripeGateway, errors_of
from billing_pipeline.invoicing.stripe.port import CUSTOMER_ID, Parameters
from billing_pipeline.invoicing.sync.mapping import PLAN, Kind
from billing_pipeline.invoicing.sync.port import StripeThing

_PAGE_SIZE = 100
_HTTP_NOT_FOUND = 404
_SHOWN: Mapping[Kind, tuple[str, ...]] = {
    "customer": ("name", "email"),
    "product": ("name", "description"),
    "meter": ("display_name",),
}
_OURS: Mapping[Kind, str] = {"customer": CUSTOMER_ID, "product": PLAN}


class StripeDirectory:
    """The adapter of `SyncPort`, over the connection of a gateway."""

    def __init__(self, gateway: StripeGateway) -> None:
        self._gateway = gateway
        v1 = gateway.client.v1
        self._services: dict[Kind, Any] = {
            "customer": v1.customers,
            "product": v1.products,
            "meter": v1.billing.meters,
        }

    def account(self) -> str:
        """The account and mode that the key belongs to."""
        return self._gateway.account()

    def create(self, kind: Kind, parameters: Parameters, idempotency_key: str) -> str:
        """Make an object; its id."""
        with errors_of(f"create {kind}"):
            made = self._services[kind].create(dict(parameters), {"idempotency_key": idempotency_key})
            return str(made.id)

    def update(self, kind: Kind, stripe_id: str, parameters: Parameters, idempotency_key: str) -> None:
        """Bring an object up to date."""
        with errors_of(f"update {kind}"):
            self._services[kind].update(stripe_id, dict(parameters), {"idempotency_key": idempotency_key})

    def find(self, kind: Kind, our_key: str) -> StripeThing | None:
        """The active object that carries our key."""
        found = (each for each in self.things(kind) if each.our_key == our_key and each.is_active)
        return next(iter(sorted(found, key=lambda each: each.stripe_id)), None)

    def retrieve_customer(self, stripe_id: str) -> StripeThing | None:
        """The customer, or None where there is none, or none any more."""
        with errors_of("retrieve customer"):
            try:
                customer = self._gateway.client.v1.customers.retrieve(stripe_id)
            except stripe.InvalidRequestError as error:
                if error.http_status == _HTTP_NOT_FOUND:
                    return None
                raise
        return None if getattr(customer, "deleted", False) else _thing("customer", customer)

    def things(self, kind: Kind) -> list[StripeThing]:
        """All of a kind, whoever made them."""
        with errors_of(f"list {kind}s"):
            found: Iterable[Any] = self._services[kind].list({"limit": _PAGE_SIZE}).auto_paging_iter()
            return [_thing(kind, each) for each in found]


def _thing(kind: Kind, found: Any) -> StripeThing:
    if kind == "meter":
        our_key, is_active = str(found.event_name), found.status == "active"
    else:
        metadata = {} if found.metadata is None else found.metadata.to_dict()
        our_key, is_active = str(metadata.get(_OURS[kind], "")), getattr(found, "active", True)
    shown = {name: str(value) for name in _SHOWN[kind] if (value := getattr(found, name, None)) is not None}
    return StripeThing(stripe_id=found.id, our_key=our_key, shown=shown, is_active=bool(is_active))
