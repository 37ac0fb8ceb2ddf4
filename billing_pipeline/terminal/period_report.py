"""`billing period` and `billing invoice list|approve`: what became of every invoice of some periods."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import insert

from billing_pipeline.audit.values import document
from billing_pipeline.control.clock import now_us
from billing_pipeline.control.database import writing
from billing_pipeline.control.invoice_tables import PERIOD_CLOSES
from billing_pipeline.control.partition_records import CLOSED_DAYS
from billing_pipeline.definitions import defs
from billing_pipeline.defs.close_runs import Runs
from billing_pipeline.defs.closing import one_close_at_a_time, refuse_days_open, report_dead_runs
from billing_pipeline.defs.period_closing import close_periods, days_to_push, refuse_unproven
from billing_pipeline.errors import InvoicesNotPushedError, NoInvoiceError
from billing_pipeline.invoicing.period_close.approvals import approve
from billing_pipeline.invoicing.period_close.holding import read_holding
from billing_pipeline.invoicing.period_close.named import NamedPeriod, periods_named
from billing_pipeline.invoicing.period_close.overview import InvoiceOutcome, Seen, outcomes
from billing_pipeline.invoicing.period_close.push_stage import billed_on, deliveries, told_twice
from billing_pipeline.invoicing.push.outbox_states import newest_account, push_states
from billing_pipeline.invoicing.push.planned import PlannedInvoice
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.money import format_minor
from billing_pipeline.terminal.dagster_home import open_dagster
from billing_pipeline.terminal.progress import shown_progress

if TYPE_CHECKING:
    from billing_pipeline.invoicing.push.delivery import PlannedDelivery
    from billing_pipeline.invoicing.push.known import InvoiceKey

_STYLES = {"finalized": "green", "failed": "red", "blocked": "yellow", "held": "yellow"}


def run_period_close(pipeline: Pipeline, name: str, *, dry_run: bool, as_json: bool) -> None:
    """Send the invoices of the periods of a name, as far as they have ended, and print what became of all of them.

    Raises:
        NoInvoicePeriodError: no period bears the name.
        CloseGateError: a day of an ended period is not closed, or a table is not what was recorded.
        InvoicesNotPushedError: some did not get to Stripe; all are printed before.
    """
    with pipeline.queue() as queue:
        watermark = queue.clock()
        pipeline.lander(queue).land()
    periods = _periods(pipeline, name)
    ended = sorted({each.end for each in periods if watermark >= pipeline.calendar.close(each.end)})
    refuse_days_open(pipeline, ended)
    failures: list[str] = []
    if dry_run:
        refuse_unproven(pipeline, [day for day in days_to_push(pipeline) if day in ended])
    else:
        with (
            one_close_at_a_time(pipeline.settings.home),
            open_dagster(pipeline.settings) as instance,
            shown_progress("closing") as told,
        ):
            report_dead_runs(instance)
            runs = Runs(instance, defs().resolve_job_def)
            failures = close_periods(pipeline, runs, max(ended, default=date.min), told, ended)
    found = _outcomes(pipeline, periods)
    if not dry_run:
        _keep(pipeline, name, found, failures)
    _show(found, as_json=as_json)
    if failures:
        raise InvoicesNotPushedError("; ".join(failures))


def show_periods(pipeline: Pipeline, name: str, *, as_json: bool) -> None:
    """Print what became of every invoice of the periods of a name.

    Raises:
        NoInvoicePeriodError: no period bears the name.
    """
    _show(_outcomes(pipeline, _periods(pipeline, name)), as_json=as_json)


def run_approve(
    pipeline: Pipeline, customer_id: str, name: str, currency: str | None, *, who: str, why: str
) -> None:
    """Keep that somebody approves the invoices of a customer's period as they are now.

    Raises:
        NoInvoicePeriodError: no period bears the name.
        NoInvoiceError: there is none to approve.
    """
    periods = [each for each in _periods(pipeline, name) if each.customer_id == customer_id]
    invoices = [
        invoice
        for invoice in _invoices(pipeline, periods)
        if invoice.customer_id == customer_id and currency in {None, invoice.currency}
    ]
    if not invoices:
        raise NoInvoiceError(
            f"there is no invoice of {customer_id!r} for {name}{f' in {currency}' if currency else ''} to approve; "
            f"see `billing invoice list {name}`"
        )
    for invoice in invoices:
        new = approve(pipeline.control, invoice, who, why)
        total = format_minor(invoice.total_minor, invoice.currency)
        print(  # noqa: T201 - the command's output
            f"{'approved' if new else 'was approved already'}: {customer_id}, {name}, {total}, {len(invoice.lines)} "
            f"lines, hash {invoice.lines_hash()[:12]}"
        )


def _periods(pipeline: Pipeline, name: str) -> list[NamedPeriod]:
    with pipeline.engine.session() as session:
        registry = registry_until(pipeline.workshop, session, date.max)
    return periods_named(registry, name)


def _invoices(pipeline: Pipeline, periods: Sequence[NamedPeriod]) -> list[PlannedInvoice]:
    account = newest_account(pipeline.control)
    return [
        each.invoice
        for day in sorted({period.end for period in periods})
        for each in deliveries(
            pipeline.control, account, pipeline.invoicing_policies, billed_on(pipeline.workshop, day)
        )
        if any(
            (each.invoice.customer_id, each.invoice.billing_period) == (period.customer_id, period.start)
            for period in periods
        )
    ]


def _outcomes(pipeline: Pipeline, periods: Sequence[NamedPeriod]) -> list[InvoiceOutcome]:
    control, account = pipeline.control, newest_account(pipeline.control)
    policies = pipeline.invoicing_policies
    planned: list[PlannedDelivery] = []
    twice: dict[InvoiceKey, str] = {}
    for day in sorted({period.end for period in periods}):
        billed = billed_on(pipeline.workshop, day)
        planned += deliveries(control, account, policies, billed)
        twice |= told_twice(control, account, billed)
    seen = Seen(
        pipeline.closed_days(CLOSED_DAYS),
        planned,
        push_states(control, account),
        replace(read_holding(control, policies), told_twice=twice),
    )
    return outcomes(pipeline.workshop, periods, seen)


def _keep(pipeline: Pipeline, name: str, found: Sequence[InvoiceOutcome], failures: Sequence[str]) -> None:
    """A row per run: what an auditor asks for is what finance was told."""
    open_states = {"running", "blocked", "held", "due", "failed"}
    outcome = "failed" if failures else "partial" if any(e.state in open_states for e in found) else "closed"
    report = {"invoices": document(found), "failures": list(failures)}
    with writing(pipeline.control) as connection:
        connection.execute(
            insert(PERIOD_CLOSES).values(
                period=name, outcome=outcome, report=json.dumps(report, sort_keys=True), recorded_at=now_us()
            )
        )


def _show(found: Sequence[InvoiceOutcome], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(document(found), ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
        return
    console = Console()
    table = Table(title="Invoices", title_justify="left")
    for name in ("customer", "period"):
        table.add_column(name, overflow="fold")
    table.add_column("total", justify="right", no_wrap=True)
    for name in ("state", "Stripe", "why"):
        table.add_column(name, overflow="fold")
    for each in found:
        if each.state != "nothing":
            table.add_row(*_row(each))
    console.print(table)
    for currency, total in sorted(_totals(found).items()):
        console.print(f"finalized: {format_minor(total, currency)}")
    counts: dict[str, int] = {}
    for each in found:
        counts[each.state] = counts.get(each.state, 0) + 1
    console.print(", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no customers")


def _row(each: InvoiceOutcome) -> tuple[Any, ...]:
    total = "" if each.total_minor is None else format_minor(each.total_minor, each.currency)
    return (
        Text(each.customer_id),
        f"{each.start} to {each.end}",
        total,
        Text(each.state, _STYLES.get(each.state, "")),
        each.stripe_id,
        Text(each.reason),
    )


def _totals(found: Sequence[InvoiceOutcome]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for each in found:
        if each.state == "finalized" and each.total_minor is not None:
            totals[each.currency] = totals.get(each.currency, 0) + each.total_minor
    return totals
