"""Ingest: the log, landed; and the registry changes in it."""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.defs.partitions import DAILY, days_of
from billing_pipeline.defs.resources import PipelineResource
from billing_pipeline.defs.table_assets import report, spec
from billing_pipeline.ingest.landed_partitions import landed_partitions
from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS, REGISTRY_CHANGES

SINGLE_RUN = dg.BackfillPolicy.single_run()


@dg.multi_asset(specs=[spec(RAW_USAGE_EVENTS, DAILY)], backfill_policy=SINGLE_RUN)
def raw_usage_events(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Land all that the durable queue holds; show the asked days."""
    billing = pipeline.open()
    with billing.queue() as queue:
        landed = billing.lander(queue).land()
        watermark = queue.clock()
    context.log.info("landed offsets %d to %d", landed.first_offset, landed.next_offset)
    result = landed_partitions(billing.workshop, days_of(context.partition_keys))
    yield from report(context, billing, result, [RAW_USAGE_EVENTS], watermark)


@dg.multi_asset(specs=[spec(REGISTRY_CHANGES, DAILY)], backfill_policy=SINGLE_RUN)
def registry_changes(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Separate the control records from the usage."""
    billing = pipeline.open()
    result = separate_registry_changes(billing.workshop, days_of(context.partition_keys))
    yield from report(context, billing, result, [REGISTRY_CHANGES], billing.watermark())
