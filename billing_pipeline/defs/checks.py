"""Asset checks: schema of every table, conservation between tables, the close gate, usage without meter or price.

They are unpartitioned and look at the partitions of the run they belong to; run by hand they look at the latest ones.
"""

from collections.abc import Callable, Sequence
from datetime import date

import dagster as dg

from billing_pipeline.audit.conservation import credit_faults, line_faults, open_days, record_faults
from billing_pipeline.audit.raw_log import landed_log, shape_checks
from billing_pipeline.audit.recorded_hashes import reproduced_hashes
from billing_pipeline.audit.rollup_conservation import rollup_faults
from billing_pipeline.contract.instants import instant_text
from billing_pipeline.defs.partitions import DAYS_AT_ONCE, days_in_tags, version_in_tags
from billing_pipeline.defs.resources import PipelineResource
from billing_pipeline.invoicing.guard_true_up import missing_true_ups
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.pandera_schemas import faults_of
from billing_pipeline.schemas.table import Table
from billing_pipeline.schemas.tables import (
    ANOMALY_REPORT,
    BLOCKED_INVOICES,
    BY_NAME,
    DUPLICATE_USAGE_EVENTS,
    INVOICE_LINES,
    LEDGER_RECONCILIATION,
    RAW_USAGE_EVENTS,
    TABLES,
    UNMETERED_USAGE,
)

FAULTS_SHOWN = 20
CLOSE_GATE = "close_gate"
Faults = Callable[[Workshop, Sequence[date], str | None], list[str]]
"""Of some days, and of one rule version where the run is about one."""


def checked_days(context: dg.AssetCheckExecutionContext, pipeline: Pipeline, table: Table) -> list[date]:
    """The days of the run, or the latest days of the table where the run has none."""
    days = days_in_tags(context.run.tags)
    return days or sorted({file.key.day for file in pipeline.lake.files(table)})[-DAYS_AT_ONCE:]


def verdict(
    faults: Sequence[str], days: Sequence[date], severity: dg.AssetCheckSeverity
) -> dg.AssetCheckResult:
    """The result of a check that lists faults."""
    return dg.AssetCheckResult(
        passed=not faults,
        severity=severity,
        description="; ".join(faults[:FAULTS_SHOWN]) or None,
        metadata={
            "days": f"{days[0]} to {days[-1]}" if days else "none",
            "faults": len(faults),
        },
    )


def _schema_check(table: Table) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=table.name,
        name=f"{table.name}_schema",
        description="Every row keeps the table's pandera schema: types, missing values, enumerations, bounds.",
        blocking=True,
    )
    def check(context: dg.AssetCheckExecutionContext, pipeline: PipelineResource) -> dg.AssetCheckResult:
        billing = pipeline.open()
        days = checked_days(context, billing, table)
        paths = [file.path for file in billing.lake.files(table, days)]
        return verdict(faults_of(table, paths), days, dg.AssetCheckSeverity.ERROR)

    return check


def _conservation_check(asset: str, name: str, description: str, faults: Faults) -> dg.AssetChecksDefinition:
    table = BY_NAME[asset]

    @dg.asset_check(asset=asset, name=name, description=description, blocking=True)
    def check(context: dg.AssetCheckExecutionContext, pipeline: PipelineResource) -> dg.AssetCheckResult:
        billing = pipeline.open()
        days = checked_days(context, billing, table)
        found = faults(billing.workshop, days, version_in_tags(context.run.tags)) if days else []
        return verdict(found, days, dg.AssetCheckSeverity.ERROR)

    return check


def _reproduction_check(table: Table) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=table.name,
        name="recorded_hash_reproduces",
        description="The content hash recorded of each partition comes out of the lake's files again.",
        blocking=True,
    )
    def check(context: dg.AssetCheckExecutionContext, pipeline: PipelineResource) -> dg.AssetCheckResult:
        billing = pipeline.open()
        days, version = checked_days(context, billing, table), version_in_tags(context.run.tags)
        chosen = set(days)
        found = reproduced_hashes(
            billing.workshop,
            billing.control,
            table,
            lambda key: key.day in chosen and version in (None, key.rule_version),
        )
        return verdict(found.faults, days, dg.AssetCheckSeverity.ERROR)

    return check


def _none_listed_check(
    table: Table, name: str, description: str, columns: str, where: str = "true"
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=table.name, name=name, description=description)
    def check(context: dg.AssetCheckExecutionContext, pipeline: PipelineResource) -> dg.AssetCheckResult:
        billing = pipeline.open()
        days = checked_days(context, billing, table)
        with billing.engine.session() as session:
            scan(billing.workshop, session, "listed", table, days)
            query = f"SELECT {columns} FROM listed WHERE {where} ORDER BY ALL LIMIT {FAULTS_SHOWN}"
            rows = session.rows(query)
        # At most its customer's invoice is held back, so this warns and does not stop the run.
        faults = [": ".join(str(value) for value in row) for row in rows]
        return verdict(faults, days, dg.AssetCheckSeverity.WARN)

    return check


@dg.asset_check(
    asset=RAW_USAGE_EVENTS.name,
    name=CLOSE_GATE,
    blocking=True,
    description="All that was received before the close of the day has been landed: the watermark is past it.",
)
def close_gate(context: dg.AssetCheckExecutionContext, pipeline: PipelineResource) -> dg.AssetCheckResult:
    """Stop a run over days that are still open. To look at an open day, materialize what comes after it by itself."""
    billing = pipeline.open()
    days = checked_days(context, billing, RAW_USAGE_EVENTS)
    watermark = billing.watermark()
    faults = [
        f"{day} is still open: the watermark is {instant_text(watermark)}, it closes at "
        f"{instant_text(billing.calendar.close(day))}"
        for day in open_days(billing.workshop, days, watermark)
    ]
    return verdict(faults, days, dg.AssetCheckSeverity.ERROR)


@dg.asset_check(
    asset=DUPLICATE_USAGE_EVENTS.name,
    description="No id was sent with different contents. Amber where conflicts are only reported, red where they hold "
    "back their customers' invoices.",
)
def no_conflicts(context: dg.AssetCheckExecutionContext, pipeline: PipelineResource) -> dg.AssetCheckResult:
    """List the conflicts of the days, each beside the record that counted."""
    billing = pipeline.open()
    days = checked_days(context, billing, DUPLICATE_USAGE_EVENTS)
    with billing.engine.session() as session:
        scan(billing.workshop, session, "repeated", DUPLICATE_USAGE_EVENTS, days)
        rows = session.rows(
            "SELECT receipt_day, source, id, queue_offset, counted_queue_offset FROM repeated "
            "WHERE outcome = 'conflict' ORDER BY queue_offset"
        )
    blocks = any(billing.calendar.blocks_conflicts(row[0]) for row in rows if isinstance(row[0], date))
    faults = [
        f"{day}: {source} {event_id}: offset {offset} says otherwise than {counted}, which counted"
        for day, source, event_id, offset, counted in rows
    ]
    return verdict(faults, days, dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN)


@dg.asset_check(
    asset=RAW_USAGE_EVENTS.name,
    blocking=True,
    description="Nothing in the raw table was ever changed or removed: every retained snapshot only appended, the "
    "files are those that were landed, and each landing carries on the one before it.",
)
def raw_append_only(pipeline: PipelineResource) -> dg.AssetCheckResult:
    """Stop where the raw table is not what the chain of landings says; `billing verify` reads the files too."""
    billing = pipeline.open()
    log, files = landed_log(billing.workshop, billing.control), billing.lake.files(RAW_USAGE_EVENTS)
    faults = [fault for check in shape_checks(log, files) for fault in check.faults]
    return dg.AssetCheckResult(
        passed=not faults,
        description="; ".join(faults[:FAULTS_SHOWN]) or None,
        metadata={"snapshots": len(log.snapshots), "landings": len(log.landings), "files": len(files)},
    )


@dg.asset_check(
    asset=LEDGER_RECONCILIATION.name,
    description="Every difference between what the guard settled and what was rated has a known cause.",
)
def ledger_explained(
    context: dg.AssetCheckExecutionContext, pipeline: PipelineResource
) -> dg.AssetCheckResult:
    """Name the customers of whose usage days something is unexplained; invoices do not wait for it."""
    billing = pipeline.open()
    days = checked_days(context, billing, LEDGER_RECONCILIATION)
    with billing.engine.session() as session:
        scan(billing.workshop, session, "reconciled", LEDGER_RECONCILIATION, days)
        rows = session.rows(
            "SELECT usage_day, customer_id, currency, unexplained, difference FROM reconciled "
            "WHERE unexplained <> 0 ORDER BY usage_day, customer_id, currency"
        )
    faults = [
        f"{day}: {customer_id} {currency}: {unexplained} of {difference} nano-units are unexplained; see "
        f"`billing reconcile ledger --customer {customer_id}`"
        for day, customer_id, currency, unexplained, difference in rows
    ]
    return verdict(faults, days, dg.AssetCheckSeverity.ERROR)


@dg.asset_check(
    asset="guard_true_ups",
    description="The guard's ledger has spent what was invoiced, for every account whose period ended.",
)
def ledger_equals_invoices(
    context: dg.AssetCheckExecutionContext, pipeline: PipelineResource
) -> dg.AssetCheckResult:
    """Name the accounts without a true-up, and what has come to their periods since."""
    billing = pipeline.open()
    days = checked_days(context, billing, INVOICE_LINES)
    faults = missing_true_ups(billing.workshop, billing.control, days)
    return verdict(faults, days, dg.AssetCheckSeverity.WARN)


schema_checks = [_schema_check(table) for table in TABLES]
# Of the tables whose rows are hashed: small ones, that decide amounts. `billing verify` looks at all.
reproduction_checks = [_reproduction_check(table) for table in TABLES if table.hash_rows]
conservation_checks = [
    _conservation_check(
        "unique_usage_events",
        "records_conserved",
        "Every record of a receipt day is in exactly one table: raw = control + valid + rejected, "
        "valid = counted + duplicate + conflict + corrections.",
        lambda workshop, days, _version: record_faults(workshop, days),
    ),
    _conservation_check(
        "usage_rollups",
        "rollups_complete",
        "Per meter and rule version the rollups of a posting day are the sum of all its billable events; "
        "run without a version, for every version found in them.",
        rollup_faults,
    ),
    _conservation_check(
        "rated_charges",
        "credits_conserved",
        "No credit grant has paid more than it is, and no credit or once-only coupon takes an invoice below zero.",
        lambda workshop, days, _version: credit_faults(workshop, days),
    ),
    _conservation_check(
        "invoice_lines",
        "lines_equal_charges",
        "Per customer the invoice lines bill exactly what the charges book.",
        lambda workshop, days, _version: line_faults(workshop, days),
    ),
]
listing_checks = [
    _none_listed_check(
        UNMETERED_USAGE,
        "all_usage_metered",
        "Every billable event is taken by a meter.",
        "customer_id, unit, dimensions, rule_version",
    ),
    _none_listed_check(
        BLOCKED_INVOICES,
        "no_invoice_blocked",
        "Every metered usage has a price; a customer without one is held back, others are not.",
        "customer_id, reason_code, message",
    ),
    _none_listed_check(
        ANOMALY_REPORT,
        "no_usage_stands_out",
        "Nobody used far more than was to be expected.",
        "posting_day, customer_id, project_id, meter, actual, expected",
        "severity = 'high'",
    ),
]
