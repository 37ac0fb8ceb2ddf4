"""What the sync needs of Stripe. `stripe_directory.StripeDirectory` is the one adapter; tests wrap or fake it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from billing_pipeline.invoicing.stripe.port import Parameters
from billing_pipeline.invoicing.sync.mapping import Kind


@dataclass(frozen=True, kw_only=True)
class StripeThing:
    """A customer, product or meter in Stripe: what tells whose it is, and the fields that people see.

    Attributes:
        our_key: ours from the metadata, or a meter's event name; "" where it is nobody's of ours.
        shown: name, email, description or display_name, as far as they are set.
        is_active: it is not deleted, archived or deactivated.
    """

    stripe_id: str
    our_key: str
    shown: Mapping[str, str]
    is_active: bool = True


class SyncPort(Protocol):
    """Every call raises a subclass of `StripeError` when Stripe does not do it."""

    def account(self) -> str:
        """The account and mode that the key belongs to, like `acct_123/test`."""

    def create(self, kind: Kind, parameters: Parameters, idempotency_key: str) -> str:
        """Make an object; its id."""

    def update(self, kind: Kind, stripe_id: str, parameters: Parameters, idempotency_key: str) -> None:
        """Bring an object up to date."""

    def find(self, kind: Kind, our_key: str) -> StripeThing | None:
        """The active object that carries our key, by listing (search lags behind)."""

    def retrieve_customer(self, stripe_id: str) -> StripeThing | None:
        """The customer, or None where there is none, or none any more."""

    def things(self, kind: Kind) -> list[StripeThing]:
        """All of a kind, whoever made them."""
