"""`billing stripe sync` and `link`: which Stripe objects stand for ours."""

import json
import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing_pipeline.invoicing.sync.sync import SyncResult

_WORDS = {
    "created": "to be created",
    "updated": "to be updated",
}


@click.command("sync")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@click.option("--compare", is_flag=True, help="Look also for what somebody has changed in Stripe.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def sync(*, dry_run: bool, compare: bool, as_json: bool) -> None:
    """Bring customers, plans and meters to Stripe; status 1 where one of them failed."""
    from billing_pipeline.control.clock import now_us
    from billing_pipeline.invoicing.meter_events.event_name import MeteredCharge
    from billing_pipeline.invoicing.meter_events.meter_outbox import MeterOutbox
    from billing_pipeline.invoicing.push.outbox import Outbox
    from billing_pipeline.invoicing.push.sending import Sender
    from billing_pipeline.invoicing.stripe.connection import connect_stripe
    from billing_pipeline.invoicing.sync.objects import sync_objects
    from billing_pipeline.invoicing.sync.stripe_directory import StripeDirectory
    from billing_pipeline.invoicing.sync.sync import StripeSync
    from billing_pipeline.metering.registry_relations import registry_of_log
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    pipeline = Pipeline(load_settings())
    with pipeline.workshop.engine.session() as session:
        registry = registry_of_log(pipeline.workshop, session)
    with connect_stripe(pipeline.settings) as gateway:
        port = StripeDirectory(gateway)
        account = Sender(Outbox(pipeline.control, "", now_us), now_us).read(port.account)
        planned = MeterOutbox(pipeline.control, account, now_us).of_period()
        used = {MeteredCharge(each.plan, each.charge, each.meter, each.dimensions) for each in planned}
        objects = sync_objects(registry, pipeline.books, pipeline.invoicing_policies, used)
        stripe = StripeSync(pipeline.control, port, account, now_us, time.sleep)
        results = stripe.run(objects, dry_run=dry_run, compare=compare)
    if as_json:
        click.echo(json.dumps([vars(result) for result in results], indent=2, ensure_ascii=False))
    else:
        _show(account, results, dry_run=dry_run)
    if any(result.action == "failed" for result in results):
        sys.exit(1)


@click.command("link")
@click.argument("customer")
@click.argument("stripe_customer")
def link(customer: str, stripe_customer: str) -> None:
    """Let STRIPE_CUSTOMER (cus_…), which is in Stripe already, stand for our CUSTOMER."""
    from billing_pipeline.control.clock import now_us
    from billing_pipeline.errors import StripeLinkError
    from billing_pipeline.invoicing.stripe.connection import connect_stripe
    from billing_pipeline.invoicing.sync.linking import link_customer
    from billing_pipeline.invoicing.sync.stripe_directory import StripeDirectory
    from billing_pipeline.metering.registry_relations import registry_of_log
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    pipeline = Pipeline(load_settings())
    with pipeline.workshop.engine.session() as session:
        registry = registry_of_log(pipeline.workshop, session)
    if registry.customer(customer) is None:
        raise StripeLinkError(customer, stripe_customer, "the registry has no such customer of ours")
    with connect_stripe(pipeline.settings) as gateway:
        port = StripeDirectory(gateway)
        is_new = link_customer(pipeline.control, port, customer, stripe_customer, clock=now_us)
    click.echo(f"{customer} is {stripe_customer} in Stripe{'' if is_new else ', as before'}.")


def _show(account: str, results: "Sequence[SyncResult]", *, dry_run: bool) -> None:
    counts: dict[tuple[str, str], int] = {}
    for each in results:
        counts[each.kind, each.action] = counts.get((each.kind, each.action), 0) + 1
    click.echo(f"{account}{', nothing was sent' if dry_run else ''}")
    for (kind, action), count in counts.items():
        word = _WORDS.get(action, action) if dry_run else action
        click.echo(f"{kind:10} {word:14} {count:6}")
    for each in results:
        if each.action != "unchanged":
            told = f": {each.message}" if each.message else ""
            click.echo(f"{each.action:10} {each.kind} {each.our_key} {each.stripe_id}{told}")
