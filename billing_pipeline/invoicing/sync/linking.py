"""Linking: a customer that Stripe has already becomes the one that stands for ours."""

import time
from collections.abc import Callable

from sqlalchemy import Engine, select

from billing_pipeline.control.tables import STRIPE_OBJECTS
from billing_pipeline.errors import StripeLinkError
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.invoicing.stripe.port import CUSTOMER_ID, Parameters
from billing_pipeline.invoicing.sync.port import SyncPort


def link_customer(
    engine: Engine,
    port: SyncPort,
    customer_id: str,
    stripe_id: str,
    *,
    clock: Callable[[], int],
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Let a Stripe customer stand for ours, for good; whether that is new.

    Our id is written into its metadata; name and email follow with the next sync.

    Raises:
        StripeLinkError: one of the two stands for somebody else already, or Stripe has no such customer.
        StripeError: Stripe refused, failed or is not reachable.
    """
    reading = Sender(Outbox(engine, "", clock), clock, sleep)
    account = reading.read(port.account)
    outbox = Outbox(engine, account, clock)
    known = outbox.stripe_id("customer", customer_id)
    if known is not None and known != stripe_id:
        raise StripeLinkError(customer_id, stripe_id, f"{customer_id} is {known} in Stripe already")
    other = _owner(engine, account, stripe_id)
    if other is not None and other != customer_id:
        raise StripeLinkError(customer_id, stripe_id, f"it stands for {other} already")
    thing = reading.read(lambda: port.retrieve_customer(stripe_id))
    if thing is None:
        raise StripeLinkError(customer_id, stripe_id, f"{account} has no such customer")
    if thing.our_key not in {"", customer_id}:
        raise StripeLinkError(customer_id, stripe_id, f"its metadata say that it is {thing.our_key}")
    if known == stripe_id and thing.our_key == customer_id:
        return False

    def call(sent: Parameters, key: str) -> bool:
        port.update("customer", stripe_id, sent, key)
        return True

    sender = Sender(outbox, clock, sleep)
    metadata = {"metadata": {CUSTOMER_ID: customer_id}}
    sender.send("link_customer", f"{customer_id}@{stripe_id}", metadata, call, lambda _request: None)
    outbox.remember("customer", customer_id, stripe_id)
    return True


def _owner(engine: Engine, account: str, stripe_id: str) -> str | None:
    table = STRIPE_OBJECTS
    query = select(table.c.our_key).where(
        table.c.account == account, table.c.kind == "customer", table.c.stripe_id == stripe_id
    )
    with engine.connect() as connection:
        found: str | None = connection.execute(query).scalar()
    return found
