"""`billing invoice preview`: the invoice of a running period as it would be now."""

import json
import tempfile
from dataclasses import replace
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.text import Text

from billing_pipeline.audit.preview import Preview, preview
from billing_pipeline.contract.instants import instant_text
from billing_pipeline.control.partition_records import CLOSED_DAYS
from billing_pipeline.lake.overlay import OverlaidLake
from billing_pipeline.metering.stage import scan
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import BLOCKED_INVOICES, RAW_USAGE_EVENTS
from billing_pipeline.terminal.invoice_view import as_document, lines_of, print_invoice
from billing_pipeline.terminal.progress import shown_progress


def show_preview(pipeline: Pipeline, customer_id: str, *, as_json: bool) -> None:
    """Print the invoices (one per currency) of a customer's running period, or what would hold them back.

    Raises:
        UnknownCustomerError: the customer is not registered.
    """
    with tempfile.TemporaryDirectory(prefix="billing-preview-") as folder, shown_progress("metering") as told:
        told("landing", 0, 1)
        with pipeline.queue() as queue:
            clock = queue.clock()
            pipeline.lander(queue).land()
        today = pipeline.calendar.receipt_day(clock)
        engine = pipeline.engine.with_scratch(Path(folder) / "spill")
        workshop = replace(pipeline.workshop, engine=engine)
        told("metering what is not closed", 0, 1)
        found = preview(
            workshop,
            OverlaidLake(pipeline.lake, Path(folder)),
            customer_id,
            _first_open(pipeline, today),
            today,
        )
        told("done", 1, 1)
        lines = lines_of(found.workshop, customer_id, found.start)
        blocked = _blocked(found, customer_id)
    groups = [
        (currency, list(group)) for currency, group in groupby(lines, lambda line: str(line["currency"]))
    ]
    until = instant_text(clock)
    if as_json:
        shown = {
            "preview": True,
            "customer_id": customer_id,
            "received_until": until,
            "period_end_day": found.end.isoformat(),
            "held_back": blocked,
            "invoices": [
                as_document(customer_id, found.start, currency, group) for currency, group in groups
            ],
        }
        print(json.dumps(shown, ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
        return
    console = Console()
    for currency, group in groups:
        print_invoice(console, (customer_id, found.start, currency), group, "PREVIEW of the invoice")
    if not groups:
        console.print(
            f"Nothing to invoice yet of {customer_id} for {found.start} to {found.end}.", markup=False
        )
    for message in blocked:
        console.print(Text(f"would be held back: {message}", "yellow"))
    console.print(
        f"By what was received before {until}; the period runs until {found.end}. Nothing was written, and nothing of "
        "it is final."
    )


def _first_open(pipeline: Pipeline, today: date) -> date:
    """The day after the last one that was closed; before the first close, the first one that was landed."""
    closed = pipeline.closed_days(CLOSED_DAYS)
    if closed:
        return max(closed) + timedelta(days=1)
    return min((file.key.day for file in pipeline.lake.files(RAW_USAGE_EVENTS)), default=today)


def _blocked(found: Preview, customer_id: str) -> list[str]:
    with found.workshop.engine.session() as session:
        scan(found.workshop, session, "blocked", BLOCKED_INVOICES, [found.end])
        rows = session.rows("SELECT customer_id, message FROM blocked ORDER BY message")
    return [str(message) for each, message in rows if each == customer_id]
