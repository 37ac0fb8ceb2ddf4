"""The guard's ledger beside the meter: the daily reconciliation, and the true-up when an invoice period closes."""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.audit.ledger_reconciliation import Reconciler
from billing_pipeline.defs.ingest import SINGLE_RUN
from billing_pipeline.defs.metering import OF_POSTING_DAY
from billing_pipeline.defs.partitions import DAILY, days_of
from billing_pipeline.defs.resources import PipelineResource
from billing_pipeline.defs.table_assets import report, spec
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
    result = Reconciler(billing.workshop, billing.control).write(days_of(context.partition_keys))
    yield from report(context, billing, result, [LEDGER_RECONCILIATION], billing.watermark())
