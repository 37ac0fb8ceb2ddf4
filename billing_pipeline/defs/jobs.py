"""The jobs: a close is a sequence of runs, one job per partitions definition."""

import dagster as dg

records_job = dg.define_asset_job(
    "records_of_day",
    dg.AssetSelection.groups("ingest")
    | dg.AssetSelection.assets(
        "valid_usage_events",
        "rejected_usage_events",
        "usage_event_keys",
        "usage_correction_keys",
        "unique_usage_events",
        "duplicate_usage_events",
        "usage_corrections",
        "unmetered_usage",
    ),
    description="From the queue to unique usage events, for receipt days.",
)
rollups_job = dg.define_asset_job(
    "rollups_of_day",
    dg.AssetSelection.assets("usage_rollups"),
    description="Metered quantity of posting days, per rule version found in them.",
)
completeness_job = dg.define_asset_job(
    "rollups_complete",
    dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("usage_rollups"), "rollups_complete")),
    description="All rollups of some days against all their events, over all rule versions.",
)
restating_job = dg.define_asset_job(
    "restate_usage_days",
    dg.AssetSelection.assets("restated_rollups", "ledger_reconciliation"),
    description="Metered quantity of usage days as known now, after late events and corrections, and what the guard "
    "settled on them beside it.",
)
anomalies_job = dg.define_asset_job(
    "anomalies_of_day",
    dg.AssetSelection.assets("anomaly_report"),
    description="Usage of posting days beside what was to be expected of it.",
)
meter_events_job = dg.define_asset_job(
    "meter_events_of_day",
    dg.AssetSelection.assets("stripe_meter_events"),
    description="Usage of plans that deliver meter events, told to Stripe by posting day.",
)
invoices_job = dg.define_asset_job(
    "invoices_of_day",
    dg.AssetSelection.groups("rating", "invoicing")
    - dg.AssetSelection.assets("stripe_invoice_pushes", "reconciliation_report"),
    description="Charges and invoice lines of the invoice periods that end on a day.",
)
period_job = dg.define_asset_job(
    "period_close",
    dg.AssetSelection.assets("stripe_invoice_pushes"),
    description="The invoices of the periods that end on a day, verified and finalized in Stripe, each exactly once.",
)
reconciliation_job = dg.define_asset_job(
    "reconciliation_of_day",
    dg.AssetSelection.assets("reconciliation_report"),
    description="Events, rollups, charges, invoice lines and Stripe of the periods that end on a day, side by side.",
)
landing_job = dg.define_asset_job(
    "landing",
    # Landing has to do with the day that is open now: no gate for it.
    dg.AssetSelection.assets("raw_usage_events")
    - dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("raw_usage_events"), "close_gate")),
    description="Land what the durable queue holds.",
)
