"""`billing stripe meter-events`: what Stripe was told of usage, and what people can do about it."""

import json
import sys
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing_pipeline.invoicing.meter_events.meter_outbox import MeterOutbox
    from billing_pipeline.invoicing.meter_events.stripe_meters import StripeMeters

DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.group("meter-events")
def meter_events() -> None:
    """Usage told to Stripe as meter events, for the plans that it prices."""


@meter_events.command("status")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def status(*, as_json: bool) -> None:
    """Show how far the meter events are, and why some of them wait or were refused."""
    with _opened() as (outbox, _):
        counts = {str(state): count for state, count in sorted(outbox.counts().items())}
        open_events = [
            {"identifier": each.identifier, "customer_id": each.customer_id, "event_name": each.event_name}
            | {"usage_day": each.usage_day.isoformat(), "value": each.value, "state": str(each.state)}
            | {"detail": each.detail}
            for each in outbox.of_period()
            if each.state not in ("delivered", "cancelled")
        ]
        account = outbox.account
    if as_json:
        click.echo(json.dumps({"account": account, "counts": counts, "open": open_events}, indent=2))
        return
    click.echo(
        f"{account}: " + (", ".join(f"{n} {state}" for state, n in counts.items()) or "no meter events")
    )
    for event in open_events:
        click.echo(
            "{state:9} {customer_id} {event_name} {usage_day} {value} {identifier} {detail}".format(**event)
        )


@meter_events.command("errors")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def errors(*, as_json: bool) -> None:
    """Read back what Stripe reports of events that it took and could not count; status 1 if there are any."""
    from billing_pipeline.control.clock import now_us
    from billing_pipeline.invoicing.meter_events.meter_errors import meter_errors, read_back_errors
    from billing_pipeline.invoicing.push.outbox import Outbox
    from billing_pipeline.invoicing.push.sending import Sender

    with _opened() as (outbox, port):
        sender = Sender(Outbox(outbox.engine, outbox.account, now_us), now_us)
        read_back_errors(outbox, port, sender, now_us())
        found = meter_errors(outbox)
    if as_json:
        click.echo(json.dumps([vars(each) for each in found], indent=2))
    else:
        for each in found:
            click.echo(f"{each.code} {each.identifier or '(no identifier)'} {each.meter_id}: {each.message}")
        click.echo(f"{len(found)} errors reported.")
    if found:
        sys.exit(1)


@meter_events.command("send")
@click.option("--refused", is_flag=True, help="Also those that Stripe refused, after that was mended.")
@click.option("--day", type=DAY, help="Plan this closed posting day first, where the close could not.")
def send(*, refused: bool, day: datetime | None) -> None:
    """Send what is planned and not delivered; status 1 where some of it waits or is refused."""
    from billing_pipeline.control.clock import now_us
    from billing_pipeline.invoicing.meter_events.acting import plan_refused_again
    from billing_pipeline.invoicing.meter_events.meter_run import planned_partitions, run_meter_events
    from billing_pipeline.invoicing.meter_events.sending import send_meter_events
    from billing_pipeline.invoicing.period_close.push_stage import refuse_unclosed
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    faults: list[str] = []
    with _opened() as (outbox, port):
        if refused:
            click.echo(f"{plan_refused_again(outbox)} refused events are planned again.")
        if day is not None:
            pipeline, days = Pipeline(load_settings()), [day.date()]
            watermark = pipeline.watermark()
            refuse_unclosed(pipeline.calendar, days, watermark)
            policies = pipeline.invoicing_policies
            run = run_meter_events(pipeline.workshop, outbox.engine, policies, port, days, clock=now_us)
            kept = planned_partitions(pipeline.workshop, run.planned)
            pipeline.record(kept, watermark=watermark, run_id="command")
            report, faults = run.sent, run.faults
        else:
            report = send_meter_events(outbox, port, clock=now_us)
            faults = [each.detail for each in report.moved if each.state in ("refused", "expired")]
            faults += dict.fromkeys(report.waiting.values())
    by_state: dict[str, int] = {}
    for event in report.moved:
        by_state[event.state] = by_state.get(event.state, 0) + 1
    told = ", ".join(f"{count} {state}" for state, count in sorted(by_state.items()))
    click.echo(f"{told or 'nothing moved'}, {report.requests_sent} requests.")
    for fault in faults:
        click.echo(fault)
    if faults:
        sys.exit(1)


@meter_events.command("cancel")
@click.argument("identifier")
@click.option("--why", required=True, help="What is kept beside it.")
def cancel(identifier: str, why: str) -> None:
    """Cancel the event of IDENTIFIER in Stripe, within 24 hours of its delivery."""
    from billing_pipeline.control.clock import now_us
    from billing_pipeline.invoicing.meter_events.acting import cancel_event

    with _opened() as (outbox, port):
        event = cancel_event(outbox, port, identifier, why, now_us)
    click.echo(f"{identifier} is cancelled: {event.value} of {event.event_name} are not billed.")


@meter_events.command("settle")
@click.argument("identifier")
@click.option("--counted/--not-counted", required=True, help="Whether Stripe has counted it.")
@click.option("--why", required=True, help="What is kept beside it.")
def settle(identifier: str, why: str, *, counted: bool) -> None:
    """Say whether Stripe has counted the event of IDENTIFIER, where that could not be told."""
    from billing_pipeline.invoicing.meter_events.acting import settle_event

    with _opened() as (outbox, _):
        event = settle_event(outbox, identifier, why, counted=counted)
    click.echo(f"{identifier} is {event.state}.")


@contextmanager
def _opened() -> "Iterator[tuple[MeterOutbox, StripeMeters]]":
    from billing_pipeline.control.clock import now_us
    from billing_pipeline.invoicing.meter_events.meter_outbox import MeterOutbox
    from billing_pipeline.invoicing.meter_events.stripe_meters import StripeMeters
    from billing_pipeline.invoicing.push.outbox import Outbox
    from billing_pipeline.invoicing.push.sending import Sender
    from billing_pipeline.invoicing.stripe.connection import connect_stripe
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    pipeline = Pipeline(load_settings())
    with connect_stripe(pipeline.settings) as gateway:
        port = StripeMeters(gateway)
        account = Sender(Outbox(pipeline.control, "", now_us), now_us).read(port.account)
        yield MeterOutbox(pipeline.control, account, now_us), port
