"""Invoices from events to Stripe: the reconciliation of the invoice periods that end on a day."""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.audit.invoice_reconciliation.comparison import needing_someone
from billing_pipeline.audit.invoice_reconciliation.plot import plotted
from billing_pipeline.audit.invoice_reconciliation.report import reconciler, stored_rows
from billing_pipeline.audit.invoice_reconciliation.shown import totals, totals_table
from billing_pipeline.defs.checks import checked_days, verdict
from billing_pipeline.defs.ingest import SINGLE_RUN
from billing_pipeline.defs.metering import OF_POSTING_DAY
from billing_pipeline.defs.partitions import DAILY, days_of
from billing_pipeline.defs.resources import PipelineResource
from billing_pipeline.defs.table_assets import report, spec
from billing_pipeline.schemas.tables import RECONCILIATION_REPORT

UPSTREAM: list[dg.AssetDep | str] = [
    dg.AssetDep("usage_rollups", partition_mapping=OF_POSTING_DAY),
    *(each for each in RECONCILIATION_REPORT.upstream if each != "usage_rollups"),
    "stripe_invoice_pushes",
]


@dg.multi_asset(specs=[spec(RECONCILIATION_REPORT, DAILY, UPSTREAM)], backfill_policy=SINGLE_RUN)
def reconciliation_report(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Follow every invoice from events over rollups, charges and lines to Stripe; explain each difference."""
    billing = pipeline.open()
    days = days_of(context.partition_keys)
    result = reconciler(
        billing.workshop, billing.control, billing.invoicing_policies, billing.settings
    ).write(days)
    for day in days:
        rows = stored_rows(billing.workshop, [day])
        if not rows:
            continue
        found = totals(rows)
        shown: dict[str, dg.MetadataValue | int] = {
            "three-way totals": dg.MetadataValue.md(totals_table(found)),
            "rows that need somebody": len(needing_someone(rows)),
        }
        picture = plotted(found)
        if picture is not None:
            shown["plot"] = dg.MetadataValue.md(
                f"![charges, invoice lines and Stripe](data:image/png;base64,{picture})"
            )
        context.add_asset_metadata(shown, asset_key=RECONCILIATION_REPORT.name, partition_key=day.isoformat())
    yield from report(context, billing, result, [RECONCILIATION_REPORT], billing.watermark())


@dg.asset_check(
    asset=RECONCILIATION_REPORT.name,
    description="Events, rollups, charges, invoice lines and Stripe agree, or the difference is explained and needs "
    "nobody.",
)
def invoices_reconciled(
    context: dg.AssetCheckExecutionContext, pipeline: PipelineResource
) -> dg.AssetCheckResult:
    """Name what is unexplained, and what a person has changed in Stripe."""
    billing = pipeline.open()
    days = checked_days(context, billing, RECONCILIATION_REPORT)
    faults = [
        f"{row.period_end_day}: {row.customer_id} {row.currency or row.meter} {row.comparison}: "
        f"{row.shown(row.expected)} against {row.shown(row.found)}: {row.message}"
        for row in needing_someone(stored_rows(billing.workshop, days))
    ]
    return verdict(faults, days, dg.AssetCheckSeverity.ERROR)
