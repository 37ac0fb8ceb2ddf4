"""Everything Dagster sees: loads `defs/`, nothing else."""

import warnings

import dagster as dg

# Single-run backfills and mappings between partitions are what this pipeline is built on; that Dagster still marks
# them as beta is known, and a warning for each asset at every start would hide the ones that matter.
warnings.filterwarnings("ignore", category=dg.BetaWarning)


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, checks, jobs, schedules, sensors and resources."""
    from billing_pipeline.defs import (
        anomalies,
        checks,
        ingest,
        invoicing,
        jobs,
        ledger,
        meter_events,
        metering,
        rating,
        reconciliation,
        resources,
        triggers,
    )

    return dg.Definitions(
        assets=dg.load_assets_from_modules(
            [ingest, metering, rating, invoicing, anomalies, ledger, reconciliation, meter_events]
        ),
        asset_checks=dg.load_asset_checks_from_modules([checks, reconciliation]),
        jobs=[
            jobs.landing_job,
            jobs.records_job,
            jobs.rollups_job,
            jobs.completeness_job,
            jobs.restating_job,
            jobs.anomalies_job,
            jobs.meter_events_job,
            jobs.invoices_job,
            jobs.period_job,
            jobs.reconciliation_job,
            triggers.daily_close,
            triggers.close_periods_that_ended,
        ],
        schedules=[triggers.daily_close_schedule, triggers.period_close_schedule],
        sensors=[triggers.landing_sensor, triggers.restating_sensor],
        resources=resources.resources(),
        executor=dg.in_process_executor,
    )
