"""Meter events: usage told to Stripe by posting day, for the plans that Stripe prices."""

import dagster as dg

from billing_pipeline.control.clock import now_us
from billing_pipeline.defs.ingest import SINGLE_RUN
from billing_pipeline.defs.metering import OF_POSTING_DAY
from billing_pipeline.defs.partitions import DAILY, days_of
from billing_pipeline.defs.resources import PipelineResource
from billing_pipeline.defs.table_assets import OWNERS
from billing_pipeline.invoicing.meter_events.meter_run import MeterRun, planned_partitions, run_meter_events
from billing_pipeline.invoicing.meter_events.meter_stage import anything_metered
from billing_pipeline.invoicing.period_close.push_stage import refuse_unclosed


@dg.asset(
    deps=[dg.AssetDep("usage_rollups", partition_mapping=OF_POSTING_DAY), "registry_changes"],
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    group_name="meter_events",
    owners=OWNERS,
    kinds={"stripe"},
)
def stripe_meter_events(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> dg.MaterializeResult[None]:
    """Usage of plans that deliver meter events, told to Stripe once: one event per customer, charge and usage day.

    Without such a plan there is nothing to do, and no connection is made.
    """
    from billing_pipeline.invoicing.meter_events.stripe_meters import StripeMeters
    from billing_pipeline.invoicing.stripe.connection import connect_stripe

    billing = pipeline.open()
    days = days_of(context.partition_keys)
    watermark = billing.watermark()
    refuse_unclosed(billing.calendar, days, watermark)
    policies = billing.invoicing_policies
    if anything_metered(billing.control, policies, days):
        with connect_stripe(billing.settings) as gateway:
            port = StripeMeters(gateway)
            run = run_meter_events(billing.workshop, billing.control, policies, port, days, clock=now_us)
    else:
        run = MeterRun({day: [] for day in days})
    kept = planned_partitions(billing.workshop, run.planned)
    billing.record(kept, watermark=watermark, run_id=context.run.run_id)
    if run.faults:
        raise dg.Failure(
            f"{len(run.faults)} reasons keep meter events from Stripe: {'; '.join(run.faults[:10])}",
            allow_retries=False,
        )
    return dg.MaterializeResult(metadata=_metadata(run))


def _metadata(run: MeterRun) -> dict[str, int]:
    by_state: dict[str, int] = {}
    for event in run.sent.moved:
        by_state[event.state] = by_state.get(event.state, 0) + 1
    return {
        "events planned": sum(len(events) for events in run.planned.values()),
        **{f"events {state}": count for state, count in sorted(by_state.items())},
        "requests sent": run.sent.requests_sent,
        "errors reported": run.new_errors,
    }
