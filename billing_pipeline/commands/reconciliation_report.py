"""`billing reconcile invoices`: each invoice from events to Stripe, and what needs somebody."""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from billing_pipeline.audit.invoice_reconciliation.comparison import MINOR, ReportRow, needing_someone
from billing_pipeline.audit.invoice_reconciliation.named_periods import end_days, newest_period, of_period
from billing_pipeline.audit.invoice_reconciliation.report import reconciler
from billing_pipeline.audit.invoice_reconciliation.shown import SHOWN_MOST, totals
from billing_pipeline.audit.values import document
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.money import format_minor
from billing_pipeline.rating.periods import period_name

_STYLES = {"equal": "", "explained": "", "person": "bold yellow", "unexplained": "bold red"}
_COMPARISONS = {
    "events_rollups": "events ↔ rollups",
    "rollups_charges": "rollups ↔ charges",
    "charges_lines": "charges ↔ lines",
    "lines_stripe": "lines ↔ Stripe",
    "meter_events_stripe": "meter events ↔ Stripe",
}
_WORDS = {"person": "somebody must act", "unexplained": "unexplained"}


def run_invoices(pipeline: Pipeline, period: str | None, customer_id: str | None, *, as_json: bool) -> bool:
    """Compare and print; whether nothing is unexplained and nothing needs a person.

    Raises:
        NoInvoicePeriodError: no period bears the name.
        StripeError: Stripe cannot be read.
    """
    workshop = pipeline.workshop
    name = period or newest_period(workshop)
    days = end_days(workshop, pipeline.control, name)
    compare = reconciler(workshop, pipeline.control, pipeline.invoicing_policies, pipeline.settings)
    rows: list[ReportRow] = of_period(compare.rows(days, customer_id), name)
    if as_json:
        print(json.dumps(_document(name, rows), ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
    else:
        _print(Console(), name, rows, all_rows=customer_id is not None)
    return not needing_someone(rows)


def _document(name: str, rows: Sequence[ReportRow]) -> dict[str, object]:
    return {
        "period": name,
        "reconciled": not needing_someone(rows),
        "totals": [{**document(each), "difference": f"{each.difference:f}"} for each in totals(rows)],
        "rows": [document(row) for row in rows],
    }


def _print(console: Console, name: str, rows: Sequence[ReportRow], *, all_rows: bool) -> None:
    """Quantities that are equal are only counted, unless it is about one customer."""
    _print_totals(console, name, rows)
    _print_quantities(
        console, [row for row in rows if row.unit != MINOR and (all_rows or row.status != "equal")]
    )
    equal = sum(row.status == "equal" for row in rows)
    console.print(f"{equal:,} of {len(rows):,} comparisons are equal.", highlight=False)
    told = [row for row in rows if row.cause]
    if told:
        _print_causes(console, told)
    wanting = needing_someone(rows)
    if not wanting:
        console.print("Everything is explained.", style="bold")
        return
    for status in ("person", "unexplained"):
        count = sum(row.status == status for row in wanting)
        if count:
            told_of = f"{count} of {len(rows)} comparisons: {_WORDS[status]}; see docs/reconciliation.md"
            console.print(told_of, style=_STYLES[status], highlight=False)


def _print_totals(console: Console, name: str, rows: Sequence[ReportRow]) -> None:
    table = Table(title=f"Invoices of {name}", title_justify="left")
    for column in ("customer", "period"):
        table.add_column(column)
    for column in ("charges", "lines", "Stripe", "difference"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("because of", overflow="fold")
    found = sorted(totals(rows), key=lambda each: not each.needs_someone)
    for each in found[:SHOWN_MOST]:
        amounts = (each.charged, each.billed, each.in_stripe, each.difference)
        table.add_row(
            each.customer_id,
            period_name(each.billing_period),
            *(format_minor(int(amount), each.currency) if each.currency else "" for amount in amounts),
            ", ".join(each.causes).replace("_", " "),
            style="bold yellow" if each.needs_someone else None,
        )
    console.print(table)
    if len(found) > SHOWN_MOST:
        console.print(f"and {len(found) - SHOWN_MOST:,} more; use --json for all")


def _print_quantities(console: Console, rows: Sequence[ReportRow]) -> None:
    if not rows:
        return
    table = Table(title="Quantities", title_justify="left")
    for column in ("customer", "comparison", "meter"):
        table.add_column(column)
    for column in ("expected", "found", "difference"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("because of", overflow="fold")
    for row in rows:
        usage = f" of {period_name(row.usage_period)}" if row.usage_period else ""
        table.add_row(
            row.customer_id,
            _COMPARISONS[row.comparison],
            f"{row.meter}{usage}",
            *(row.shown(amount) for amount in (row.expected, row.found, row.difference)),
            row.cause.replace("_", " "),
            style=_STYLES[row.status] or None,
        )
    console.print(table)


def _print_causes(console: Console, rows: Sequence[ReportRow]) -> None:
    table = Table(title="What is to be said", title_justify="left")
    table.add_column("customer")
    table.add_column("cause")
    table.add_column("what it is, and what to do", overflow="fold")
    for row in rows:
        about = f"{row.reference}: " if row.reference else ""
        table.add_row(
            row.customer_id,
            row.cause.replace("_", " "),
            about + row.message,
            style=_STYLES[row.status] or None,
        )
    console.print(table)
