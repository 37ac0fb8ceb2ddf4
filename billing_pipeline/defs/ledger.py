"""The guard's ledger beside the meter: the daily reconciliation, and the true-up when an invoice period closes."""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.audit.ledger_reconciliation import Reconciler
from billing_pipeline.defs.ingest import SINGLE_RUN
from billing_pipeline.defs.metering import OF_POSTING_DAY
from billing_pipeline.defs.partitions import DAILY, days_of
from billing_pipeline.defs.resources import PipelineResource
from billing_pipeline.defs.table_assets import OWNERS, report, spec
from billing_pipeline.guardrails.nano import nano_words
from billing_pipeline.guardrails.operators import OperatorPrices, OperatorTerms
from billing_pipeline.invoicing.guard_true_up import true_up_days
from billing_pipeline.invoicing.period_close.push_stage import refuse_unclosed
from billing_pipeline.schemas.tables import LEDGER_RECONCILIATION

UPSTREAM: list[dg.AssetDep | str] = [
    dg.AssetDep("usage_rollups", partition_mapping=OF_POSTING_DAY),
    "unique_usage_events",
    "usage_corrections",
    "registry_changes",
]


@dg.multi_asset(specs=[spec(LEDGER_RECONCILIATION, DAILY, UPSTREAM)], backfill_policy=SINGLE_RUN)
def ledger_reconciliation(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Set what the guard settled on usage days beside what was rated for them, and explain the difference."""
    billing = pipeline.open()
    result = Reconciler(billing.workshop, billing.control, billing.guard_policies).write(
        days_of(context.partition_keys)
    )
    yield from report(context, billing, result, [LEDGER_RECONCILIATION], billing.watermark())


@dg.asset(
    deps=["invoice_lines", "blocked_invoices"],
    partitions_def=DAILY,
    backfill_policy=SINGLE_RUN,
    group_name="invoicing",
    owners=OWNERS,
    kinds={"ledger"},
)
def guard_true_ups(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> dg.MaterializeResult[None]:
    """The guard's ledger brought to what was invoiced, once for every account and invoice period that ends."""
    billing = pipeline.open()
    days = days_of(context.partition_keys)
    refuse_unclosed(billing.calendar, days, billing.watermark())
    with billing.guard_ledger(OperatorTerms(), OperatorPrices()) as ledger:
        results = true_up_days(billing.workshop, billing.control, ledger, days)
    rows = [
        f"| {figures.customer_id} | {figures.reference} | {nano_words(figures.invoiced, figures.currency)} "
        f"| {nano_words(figures.settled + figures.booked, figures.currency)} | {nano_words(booked, figures.currency)} |"
        for figures, booked, _ in results
    ]
    head = ["| customer | period | invoiced | in the ledger | true-up |", "|---|---|---:|---:|---:|"]
    return dg.MaterializeResult(
        metadata={
            "true-ups": len(results),
            "booked now": sum(result.changed for result in results),
            "accounts": dg.MetadataValue.md("\n".join([*head, *rows])),
        }
    )
