"""Rating: what the usage of the invoice periods that end on a day costs."""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.defs.ingest import SINGLE_RUN
from billing_pipeline.defs.metering import OF_POSTING_DAY
from billing_pipeline.defs.partitions import DAILY, days_of
from billing_pipeline.defs.resources import PipelineResource
from billing_pipeline.defs.table_assets import report, spec
from billing_pipeline.invoicing.lines.rating_stage import rate
from billing_pipeline.schemas.tables import BLOCKED_INVOICES, RATED_CHARGES, RATED_PERIODS

RATED = (RATED_CHARGES, RATED_PERIODS, BLOCKED_INVOICES)
UPSTREAM: list[dg.AssetDep | str] = [
    dg.AssetDep("usage_rollups", partition_mapping=OF_POSTING_DAY),
    "unmetered_usage",
    "registry_changes",
    "duplicate_usage_events",
]


@dg.multi_asset(specs=[spec(table, DAILY, UPSTREAM) for table in RATED], backfill_policy=SINGLE_RUN)
def rated_usage(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Price the usage of every customer whose invoice period ends; list whom missing prices hold back."""
    billing = pipeline.open()
    result = rate(billing.workshop, days_of(context.partition_keys))
    yield from report(context, billing, result, RATED, billing.watermark())
