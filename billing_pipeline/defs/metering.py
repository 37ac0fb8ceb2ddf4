"""Metering: which records are valid, which count, and how much was used."""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.defs.ingest import SINGLE_RUN
from billing_pipeline.defs.partitions import (
    DAILY,
    DAY_AND_RULE_VERSION,
    RECEIPT_DAYS_BEFORE,
    days_of,
    partition_keys_of,
)
from billing_pipeline.defs.resources import PipelineResource
from billing_pipeline.defs.table_assets import report, spec
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.restated import restate
from billing_pipeline.metering.rollups import list_unmetered, roll_up
from billing_pipeline.metering.validation import validate
from billing_pipeline.schemas.tables import (
    DUPLICATE_USAGE_EVENTS,
    REJECTED_USAGE_EVENTS,
    RESTATED_ROLLUPS,
    UNIQUE_USAGE_EVENTS,
    UNMETERED_USAGE,
    USAGE_CORRECTION_KEYS,
    USAGE_CORRECTIONS,
    USAGE_EVENT_KEYS,
    USAGE_ROLLUPS,
    VALID_USAGE_EVENTS,
)

VALIDATED = (VALID_USAGE_EVENTS, REJECTED_USAGE_EVENTS, USAGE_EVENT_KEYS, USAGE_CORRECTION_KEYS)
IDENTIFIED = (UNIQUE_USAGE_EVENTS, DUPLICATE_USAGE_EVENTS, USAGE_CORRECTIONS)
SAME_DAY_AND_BEFORE = dg.TimeWindowPartitionMapping(start_offset=-RECEIPT_DAYS_BEFORE)
COUNTED = ("unique_usage_events", "usage_corrections")
OF_POSTING_DAY = dg.MultiToSingleDimensionPartitionMapping("posting_day")


@dg.multi_asset(
    specs=[spec(table, DAILY, ["raw_usage_events", "registry_changes"]) for table in VALIDATED],
    backfill_policy=SINGLE_RUN,
)
def validated_usage_events(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Send every record to exactly one of valid and rejected, and write the day's key files."""
    billing = pipeline.open()
    result = validate(billing.workshop, days_of(context.partition_keys))
    yield from report(context, billing, result, VALIDATED, billing.watermark())


@dg.multi_asset(specs=[spec(table, DAILY) for table in IDENTIFIED], backfill_policy=SINGLE_RUN)
def identified_usage_events(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Of every (source, id) count the first in the log, list the others beside it, and judge the corrections."""
    billing = pipeline.open()
    result = identify(billing.workshop, days_of(context.partition_keys))
    yield from report(context, billing, result, IDENTIFIED, billing.watermark())


@dg.multi_asset(
    specs=[
        spec(
            USAGE_ROLLUPS,
            DAY_AND_RULE_VERSION,
            [dg.AssetDep(name, partition_mapping=OF_POSTING_DAY) for name in COUNTED],
        )
    ],
    backfill_policy=SINGLE_RUN,
)
def usage_rollups(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Meter what is booked on a posting day, events and corrections, under the rules in force when it occurred."""
    billing = pipeline.open()
    result = roll_up(billing.workshop, partition_keys_of(context.partition_keys))
    yield from report(context, billing, result, [USAGE_ROLLUPS], billing.watermark())


@dg.multi_asset(
    specs=[
        spec(
            UNMETERED_USAGE,
            DAILY,
            [dg.AssetDep(name, partition_mapping=SAME_DAY_AND_BEFORE) for name in COUNTED],
        )
    ],
    backfill_policy=SINGLE_RUN,
)
def unmetered_usage(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """List billable usage that no meter takes; nothing is dropped silently."""
    billing = pipeline.open()
    result = list_unmetered(billing.workshop, days_of(context.partition_keys))
    yield from report(context, billing, result, [UNMETERED_USAGE], billing.watermark())


@dg.multi_asset(
    specs=[spec(RESTATED_ROLLUPS, DAILY, [dg.AssetDep("usage_rollups", partition_mapping=OF_POSTING_DAY)])],
    backfill_policy=SINGLE_RUN,
)
def restated_rollups(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Say how much was used on a day as known now, late events and corrections counted in."""
    billing = pipeline.open()
    result = restate(billing.workshop, days_of(context.partition_keys))
    yield from report(context, billing, result, [RESTATED_ROLLUPS], billing.watermark())
