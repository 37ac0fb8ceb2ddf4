"""What starts by itself: the daily close, landing whenever the queue holds something, restating what was touched."""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.control.clock import now_us
from billing_pipeline.defs.close_runs import Runs
from billing_pipeline.defs.closing import close_through, one_close_at_a_time, stretches
from billing_pipeline.defs.jobs import landing_job, restating_job
from billing_pipeline.defs.partitions import range_tags
from billing_pipeline.defs.period_closing import close_periods
from billing_pipeline.defs.resources import PipelineResource
from billing_pipeline.defs.restating import days_to_restate
from billing_pipeline.schemas.table import PartitionKey

LANDING_INTERVAL_SECONDS = 30
RESTATING_INTERVAL_SECONDS = 30


@dg.op(
    description="Move the queue's clock to now, then close every day that has ended and whose grace is over."
)
def close_ended_days(context: dg.OpExecutionContext, pipeline: PipelineResource) -> None:
    """Close what can be closed; a day whose records may still come stays open until the next tick."""
    billing = pipeline.open()
    now = now_us()
    with billing.queue() as queue:
        if queue.next_offset() == 0:
            context.log.info("the log is empty: nothing to close")
            return
        queue.advance(max(now, queue.clock()))
    through = billing.calendar.last_closed(now)
    closed = close_through(
        billing,
        context.instance,
        context.repository_def.get_job,
        through,
        lambda what, _done, _of: context.log.info(what),
        periods=False,
    )
    for failure in closed.without_report:
        context.log.warning("no anomaly report: %s", failure)
    for failure in closed.without_meter_events:
        context.log.warning("meter events wait: %s", failure)
    context.log.info("closed %d days up to %s in %d runs", len(closed.days), through, len(closed.run_ids))


@dg.op(description="Send the invoices of every period that has ended to Stripe, and reconcile them.")
def close_ended_periods(context: dg.OpExecutionContext, pipeline: PipelineResource) -> None:
    """Push what is due; an invoice that waits for somebody, or failed, is tried again by the next tick."""
    billing = pipeline.open()
    with one_close_at_a_time(billing.settings.home):
        runs = Runs(context.instance, context.repository_def.get_job)
        failures = close_periods(
            billing,
            runs,
            billing.calendar.last_closed(now_us()),
            lambda what, _done, _of: context.log.info(what),
        )
    if failures:
        raise dg.Failure("; ".join(failures), allow_retries=False)
    context.log.info("closed the periods in %d runs", len(runs.ids))


@dg.job(description="The period close: the invoices of every period that has ended go to Stripe.")
def close_periods_that_ended() -> None:
    """Close every period that has ended."""
    close_ended_periods()


period_close_schedule = dg.ScheduleDefinition(
    name="period_close_schedule",
    job=close_periods_that_ended,
    cron_schedule="25 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour, after the daily close: periods end on any day, by the customers' anchor days.",
)


@dg.job(description="The daily close: a sequence of runs, for the rule versions found in each day.")
def daily_close() -> None:
    """Close every day that has ended."""
    close_ended_days()


daily_close_schedule = dg.ScheduleDefinition(
    name="daily_close_schedule",
    job=daily_close,
    cron_schedule="5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour: a day is closed soon after its grace is over, whatever the grace is.",
)


@dg.sensor(
    job=landing_job,
    minimum_interval_seconds=LANDING_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Lands the durable queue whenever it holds records that are not in the lake.",
)
def landing_sensor(pipeline: PipelineResource) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for a landing of the receipt day that is open now."""
    billing = pipeline.open()
    with billing.queue() as queue:
        pending = billing.lander(queue).pending()
        end, clock = queue.next_offset(), queue.clock()
    if pending == 0:
        yield dg.SkipReason("everything in the queue has been landed")
        return
    day = billing.calendar.receipt_day(clock)
    yield dg.RunRequest(run_key=f"landing-{end}", partition_key=day.isoformat())


@dg.sensor(
    job=restating_job,
    minimum_interval_seconds=RESTATING_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Restates just the usage days that late events and corrections have touched, once they are rolled up.",
)
def restating_sensor(
    context: dg.SensorEvaluationContext, pipeline: PipelineResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for one run per contiguous range of touched days; what a close has restated already is not asked for."""
    days, seen = days_to_restate(pipeline.open(), int(context.cursor or 0))
    context.update_cursor(str(seen))
    if not days:
        yield dg.SkipReason("no rollups were made that have not been restated")
    for part in stretches(days):
        first, last = PartitionKey(part[0]), PartitionKey(part[-1])
        yield dg.RunRequest(run_key=f"restated-{seen}-{first}", tags=range_tags(first, last))
