"""What `billing export` writes: the FOCUS dataset, and invoices as CSV or JSON."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO, cast

import click

from billing_pipeline.audit.export.csv_file import write_rows
from billing_pipeline.audit.export.exported_lines import Exported, ExportedLine, exported
from billing_pipeline.audit.export.focus_file import write_focus
from billing_pipeline.audit.export.invoice_rows import INVOICE_COLUMNS, invoice_rows, invoices_of
from billing_pipeline.audit.export.list_prices import ListPrices
from billing_pipeline.audit.export.placed_file import placed_file
from billing_pipeline.audit.invoice_reconciliation.named_periods import end_days
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.terminal.invoice_view import as_document


def run_focus(pipeline: Pipeline, period: str, path: Path | None, provider: str, *, output: str) -> None:
    """Write the FOCUS dataset of a period and say how much it is.

    Raises:
        NoInvoicePeriodError: no period bears the name.
        FocusFaultError: a row breaks a rule; nothing was written.
    """
    path = path or Path(f"focus-{period}.{output}")
    written = write_focus(
        _days(pipeline, period),
        ListPrices(pipeline.books),
        provider,
        path,
        cast("Literal['parquet', 'csv']", output),
    )
    click.echo(f"{path}: {written.rows:,} rows of {written.lines:,} invoice lines, FOCUS 1.2, {output}")


def run_invoices(pipeline: Pipeline, period: str, path: Path | None, *, output: str) -> None:
    """Write the invoices of a period to a file, or print them.

    Raises:
        NoInvoicePeriodError: no period bears the name.
    """
    days = _days(pipeline, period)
    with _opened(path) as file:
        (_write_csv if output == "csv" else _write_json)(file, days)


def _days(pipeline: Pipeline, period: str) -> Iterator[Exported]:
    days = end_days(pipeline.workshop, pipeline.control, period)
    return exported(pipeline.workshop, pipeline.control, days, period)


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with placed_file(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        yield file


def _write_csv(file: TextIO, days: Iterator[Exported]) -> None:
    write_rows(file, [INVOICE_COLUMNS])
    for day in days:
        for lines in invoices_of(day):
            write_rows(file, invoice_rows(day, lines))


def _write_json(file: TextIO, days: Iterator[Exported]) -> None:
    """An array with one document per invoice, each written as soon as it is made."""
    before = "[\n"
    for day in days:
        for lines in invoices_of(day):
            file.write(before + json.dumps(_document(day, lines), ensure_ascii=False, indent=2))
            before = ",\n"
    file.write("[]\n" if before == "[\n" else "\n]\n")


def _document(day: Exported, lines: list[ExportedLine]) -> dict[str, Any]:
    """As `billing invoice show --json` has it, with the customer's name and where each line is in Stripe."""
    first = lines[0]
    found = as_document(
        first.customer_id, first.billing_period, first.currency, [line._asdict() for line in lines]
    )
    for line, document in zip(lines, found["lines"], strict=True):
        stripe = day.in_stripe(line)
        document["stripe"] = {name: value for name, value in stripe._asdict().items() if value}
    return {"customer_name": day.customer_name(first.customer_id), **found}
