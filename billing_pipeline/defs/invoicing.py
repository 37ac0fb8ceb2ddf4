"""Invoicing: the lines of each invoice, and their way to Stripe."""

from collections import Counter
from collections.abc import Iterator, Sequence

import dagster as dg

from billing_pipeline.defs.ingest import SINGLE_RUN
from billing_pipeline.defs.partitions import DAILY, days_of
from billing_pipeline.defs.resources import PipelineResource
from billing_pipeline.defs.table_assets import OWNERS, report, spec
from billing_pipeline.invoicing.lines.rating_stage import list_invoice_lines
from billing_pipeline.invoicing.period_close.holding import read_holding
from billing_pipeline.invoicing.period_close.push_stage import push_days, pushed_partitions, refuse_unclosed
from billing_pipeline.invoicing.push.invoice_push import PushResult
from billing_pipeline.rating.money import format_minor
from billing_pipeline.schemas.tables import INVOICE_LINES


@dg.multi_asset(specs=[spec(INVOICE_LINES, DAILY)], backfill_policy=SINGLE_RUN)
def invoice_lines(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Bill what each line key costs now, less what earlier invoices have booked of it."""
    billing = pipeline.open()
    result = list_invoice_lines(billing.workshop, days_of(context.partition_keys))
    yield from report(context, billing, result, [INVOICE_LINES], billing.watermark())


@dg.asset(
    deps=["invoice_lines", "blocked_invoices"],
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    group_name="invoicing",
    owners=OWNERS,
    kinds={"stripe"},
    retry_policy=None,
)
def stripe_invoice_pushes(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> dg.MaterializeResult[None]:
    """Every invoice of the periods that end on a day, in Stripe: verified on a draft, then finalized, exactly once.

    Without a key the project's own Stripe simulator takes them.
    """
    billing = pipeline.open()
    days = days_of(context.partition_keys)
    watermark = billing.watermark()
    refuse_unclosed(billing.calendar, days, watermark)
    holding = read_holding(billing.control, billing.invoicing_policies)
    pushed = push_days(billing.workshop, billing.control, billing.settings, days, holding=holding)
    complete = [each.day for each in pushed if each.is_complete]
    kept = pushed_partitions(billing.workshop, billing.control, complete)
    billing.record(kept, watermark=watermark, run_id=context.run.run_id)
    results = [result for each in pushed for result in each.invoices]
    notes = [note for each in pushed for note in each.credit_notes]
    for result in results:
        total = format_minor(result.total_minor, result.currency)
        context.log.info(
            "%s %s %s: %s %s", result.customer_id, result.billing_period, total, result.state, result.message
        )
    told = [
        f"{each.customer_id} {each.billing_period}: {each.message}"
        for day in pushed
        for each in day.unfinished
    ]
    told += [
        f"credit note of {each.customer_id} {each.billing_period}: {each.message}"
        for day in pushed
        for each in day.unissued
    ]
    if told:
        raise dg.Failure(
            f"{len(told)} invoices or credit notes did not reach Stripe: {'; '.join(told)}",
            allow_retries=False,
        )
    by_state = Counter(result.state for result in results)
    return dg.MaterializeResult(
        metadata={
            **{f"invoices: {state}": count for state, count in sorted(by_state.items())},
            "credit notes": len(notes),
            "requests sent": sum(each.requests_sent for each in (*results, *notes)),
            "invoices": dg.MetadataValue.md(_invoices_table(results)),
        }
    )


def _invoices_table(results: Sequence[PushResult]) -> str:
    rows = [
        f"| {r.customer_id} | {r.billing_period} | {format_minor(r.total_minor, r.currency)} "
        f"| {r.stripe_invoice_id or ''} | {r.state} | {r.message.replace('|', '/')} |"
        for r in results
    ]
    head = ["| customer | period | total | Stripe invoice | state | why |", "|---|---|---:|---|---|---|"]
    return "\n".join([*head, *rows])
