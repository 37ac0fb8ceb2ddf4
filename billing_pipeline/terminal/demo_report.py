"""`billing demo`: a simulated company's month, from an empty home to printed invoices, every record accounted for."""

import time
from collections import Counter
from datetime import date

from rich.console import Console
from rich.table import Table

from billing_pipeline.contract.instants import microseconds_of
from billing_pipeline.demo.company import company_log, expected_outcomes
from billing_pipeline.demo.sending import DemoRecord
from billing_pipeline.errors import DemoRefusedError
from billing_pipeline.metering.stage import scan
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import (
    DUPLICATE_USAGE_EVENTS,
    REGISTRY_CHANGES,
    REJECTED_USAGE_EVENTS,
    UNIQUE_USAGE_EVENTS,
    USAGE_CORRECTIONS,
)
from billing_pipeline.terminal.close_report import run_close
from billing_pipeline.terminal.invoice_view import show_invoice

PRODUCER = "demo"
BATCH_RECORDS = 500
SHOWN_CUSTOMER = "cobalt-robotics"
SHOWN_PERIOD = "2026-10"


def run_demo(pipeline: Pipeline, through: date) -> None:
    """Send the month, close it, print what became of every record and one invoice in full.

    Run again it sends nothing anew: the log is there, and closing again changes nothing.

    Raises:
        DemoRefusedError: the home holds other records than the demo's.
    """
    started = time.monotonic()
    console = Console()
    log = company_log()
    _send(pipeline, log, through)
    console.print(f"A simulated AI company has sent {len(log):,} records. Closing up to {through} …")
    run_close(pipeline, through)
    _account(console, pipeline, log)
    show_invoice(pipeline, SHOWN_CUSTOMER, SHOWN_PERIOD, as_json=False)
    console.print(f"Done in {time.monotonic() - started:.0f} s. What to look at next:")
    for line in (
        "make dev                                  the Dagster UI: the asset usage_rollups first, then its lineage",
        'billing sql "SELECT reason_code, field, value, message FROM rejected_usage_events"',
        f"billing invoice show bluefin-legal {SHOWN_PERIOD} --json",
        "billing doctor                            what the stores hold",
    ):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _send(pipeline: Pipeline, log: list[DemoRecord], through: date) -> None:
    with pipeline.queue() as queue:
        end = queue.next_offset()
        if end == len(log) and queue.read_from(0, 1)[0].producer == PRODUCER:
            return
        if end:
            raise DemoRefusedError(
                f"{pipeline.settings.home} already holds {end:,} records of another company; "
                "give the demo a fresh home: BILLING_HOME=data/demo-home billing demo"
            )
        records = [record.log_record(position) for position, record in enumerate(log)]
        times = [microseconds_of(record.received_at) for record in log]
        for start in range(0, len(records), BATCH_RECORDS):
            stop = start + BATCH_RECORDS
            queue.append(PRODUCER, records[start:stop], times[start:stop])
        queue.advance(pipeline.calendar.close(through))


def _account(console: Console, pipeline: Pipeline, log: list[DemoRecord]) -> None:
    """Every record sent, by what was to become of it and where it lies now."""
    expected = expected_outcomes(log)
    found = _found(pipeline)
    table = Table(title="Every record sent is accounted for", title_justify="left")
    table.add_column("outcome", overflow="fold")
    table.add_column("sent", justify="right")
    table.add_column("found", justify="right")
    table.add_column("in table")
    for outcome in sorted(
        expected.keys() | found.keys(), key=lambda name: (name.startswith("rejected"), name)
    ):
        sent, there = expected.get(outcome, 0), found.get(outcome, 0)
        mark = "" if sent == there else "  [red]differs[/red]"
        table.add_row(outcome, f"{sent:,}", f"{there:,}{mark}", _table_of(outcome))
    table.add_section()
    table.add_row("all", f"{sum(expected.values()):,}", f"{sum(found.values()):,}", "raw_usage_events")
    console.print(table)


def _table_of(outcome: str) -> str:
    return {
        "control": REGISTRY_CHANGES.name,
        "duplicate": DUPLICATE_USAGE_EVENTS.name,
        "conflict": DUPLICATE_USAGE_EVENTS.name,
        "correction": USAGE_CORRECTIONS.name,
        "rejected": REJECTED_USAGE_EVENTS.name,
    }.get(outcome.partition(":")[0], UNIQUE_USAGE_EVENTS.name)


def _found(pipeline: Pipeline) -> Counter[str]:
    found: Counter[str] = Counter()
    queries = (
        (
            UNIQUE_USAGE_EVENTS,
            "CASE WHEN NOT billable THEN 'not_billable' WHEN posting_day > usage_day THEN 'late' ELSE 'valid' END",
        ),
        (DUPLICATE_USAGE_EVENTS, "outcome"),
        (USAGE_CORRECTIONS, "'correction:' || outcome"),
        (REJECTED_USAGE_EVENTS, "'rejected:' || reason_code"),
        (REGISTRY_CHANGES, "'control'"),
    )
    with pipeline.engine.session() as session:
        for table, outcome in queries:
            scan(pipeline.workshop, session, "records", table)
            for name, count in session.rows(
                f"SELECT {outcome} AS what, count(DISTINCT queue_offset) FROM records GROUP BY what"
            ):
                found[str(name)] += int(str(count))
    return found
