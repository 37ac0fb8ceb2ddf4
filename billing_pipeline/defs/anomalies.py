"""The anomaly report: each day's usage beside what was to be expected of it."""

from collections.abc import Iterator

import dagster as dg

from billing_pipeline.defs.ingest import SINGLE_RUN
from billing_pipeline.defs.metering import OF_POSTING_DAY
from billing_pipeline.defs.partitions import DAILY, days_of
from billing_pipeline.defs.resources import PipelineResource
from billing_pipeline.defs.table_assets import report, spec
from billing_pipeline.guardrails.anomalies.plot import plotted
from billing_pipeline.guardrails.anomalies.report import report_anomalies
from billing_pipeline.guardrails.anomalies.shown import shown_days, table_text
from billing_pipeline.schemas.tables import ANOMALY_REPORT


@dg.multi_asset(
    specs=[spec(ANOMALY_REPORT, DAILY, [dg.AssetDep("usage_rollups", partition_mapping=OF_POSTING_DAY)])],
    backfill_policy=SINGLE_RUN,
)
def anomaly_report(
    context: dg.AssetExecutionContext, pipeline: PipelineResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Say how far each customer's usage of each meter is from what it ordinarily is; draw what stands out."""
    billing = pipeline.open()
    days = days_of(context.partition_keys)
    result = report_anomalies(billing.workshop, billing.control, days)
    for day, anomalies in shown_days(billing.workshop, days).items():
        shown = {"anomalies": dg.MetadataValue.md(table_text(anomalies))}
        picture = plotted(anomalies)
        if picture is not None:
            shown["plot"] = dg.MetadataValue.md(
                f"![usage beside what is expected](data:image/png;base64,{picture})"
            )
        context.add_asset_metadata(shown, asset_key=ANOMALY_REPORT.name, partition_key=day.isoformat())
    yield from report(context, billing, result, [ANOMALY_REPORT], billing.watermark())
