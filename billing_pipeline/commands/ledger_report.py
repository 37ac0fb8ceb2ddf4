"""`billing reconcile ledger`: differences by customer, day and cause, then credit grants on both sides."""

import json
from collections.abc import Sequence
from datetime import date, timedelta

import click
from rich.console import Console
from rich.table import Table

from billing_pipeline.audit.guard_credit import GrantCredit, grant_credits
from billing_pipeline.audit.guard_day import guarded_accounts, last_held_day
from billing_pipeline.audit.ledger_reconciliation import ReconciledDay, Reconciler
from billing_pipeline.audit.report import DayRange
from billing_pipeline.guardrails.nano import nano_words
from billing_pipeline.guardrails.operators import OperatorPrices, OperatorTerms
from billing_pipeline.invoicing.guard_true_up import TruedUp, true_up_days
from billing_pipeline.invoicing.period_close.push_stage import refuse_unclosed
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.periods import parse_period, period_end, period_start
from billing_pipeline.schemas.ledger_causes import CAUSES
from billing_pipeline.schemas.tables import USAGE_ROLLUPS

DAYS_BEFORE = timedelta(days=30)


def run_ledger(
    pipeline: Pipeline, days: DayRange, customer_id: str | None, period: str | None, *, as_json: bool
) -> bool:
    """Compare and print; whether everything is explained."""
    booked = _book(pipeline, period) if period else []
    chosen = _days(pipeline, days)
    rows = list(
        Reconciler(pipeline.workshop, pipeline.control, pipeline.guard_policies).rows(chosen, customer_id)
    )
    found = grant_credits(pipeline.workshop, pipeline.control, customer_id)
    if as_json:
        print(json.dumps(_document(rows, found, booked), indent=2))  # noqa: T201 - the command's output
    else:
        _print(Console(), rows, found, booked)
    return not any(row.figures.causes["unexplained"] for row in rows)


def _book(pipeline: Pipeline, period: str) -> list[TruedUp]:
    try:
        start = parse_period(period)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--book-true-up") from error
    with pipeline.engine.session() as session:
        registry = registry_until(pipeline.workshop, session, date.max)
    customers = {customer_id for customer_id, _ in guarded_accounts(pipeline.control)}
    anchors = {registry.anchor_day(customer_id) for customer_id in customers}
    ends = sorted({period_end(start, anchor) for anchor in anchors if period_start(start, anchor) == start})
    if not ends:
        message = f"no customer whom the guard knows has a period that starts on {start}"
        raise click.BadParameter(message, param_hint="--book-true-up")
    refuse_unclosed(pipeline.calendar, ends, pipeline.watermark())
    with pipeline.guard_ledger(OperatorTerms(), OperatorPrices()) as ledger:
        return true_up_days(pipeline.workshop, pipeline.control, ledger, ends)


def _days(pipeline: Pipeline, days: DayRange) -> list[date]:
    posted = max((file.key.day for file in pipeline.lake.files(USAGE_ROLLUPS)), default=None)
    known = [each for each in (posted, last_held_day(pipeline.control)) if each is not None]
    last = days.last or max(known, default=None)
    if last is None:
        return []
    return days_between(days.first or last - DAYS_BEFORE, last)


def _document(
    rows: Sequence[ReconciledDay], found: Sequence[GrantCredit], booked: Sequence[TruedUp]
) -> dict[str, object]:
    return {
        "explained": not any(row.figures.causes["unexplained"] for row in rows),
        "days": [
            {
                "usage_day": row.usage_day.isoformat(),
                "customer_id": row.customer_id,
                "currency": row.currency,
                "guard_settled": str(row.figures.settled),
                "rated": str(row.figures.rated),
                "difference": str(row.figures.difference),
                "causes": {cause: str(amount) for cause, amount in row.figures.causes.items()},
                "overrun": str(row.figures.overrun),
                "overdraft": str(row.figures.overdraft),
                "holds": row.figures.holds,
                "events": row.figures.events,
            }
            for row in rows
        ],
        "credit": [
            {
                **{name: getattr(each, name) for name in ("customer_id", "currency", "grant_id")},
                **{
                    name: str(getattr(each, name))
                    for name in ("amount", "guard_left", "invoices_left", "difference", "not_invoiced")
                },
            }
            for each in found
        ],
        "true_ups": [
            {
                "customer_id": figures.customer_id,
                "currency": figures.currency,
                "period": figures.reference,
                "amount": str(amount),
                "booked_now": is_new,
            }
            for figures, amount, is_new in booked
        ],
    }


def _print(
    console: Console, rows: Sequence[ReconciledDay], found: Sequence[GrantCredit], booked: Sequence[TruedUp]
) -> None:
    for figures, amount, is_new in booked:
        done = "booked" if is_new else "was booked before:"
        console.print(
            f"true-up {figures.reference} of {figures.customer_id}: {done} {nano_words(amount, figures.currency)}",
            highlight=False,
        )
    table = Table(title="Ledger against meter", title_justify="left")
    for name in ("usage day", "customer"):
        table.add_column(name)
    for name in ("settled", "rated", "difference"):
        table.add_column(name, justify="right")
    table.add_column("because of", overflow="fold")
    for row in rows:
        amounts = (row.figures.settled, row.figures.rated, row.figures.difference)
        table.add_row(
            str(row.usage_day),
            row.customer_id,
            *(nano_words(amount, row.currency) for amount in amounts),
            _because(row),
        )
    console.print(table)
    _print_credits(console, found)
    unexplained = [row for row in rows if row.figures.causes["unexplained"]]
    if unexplained:
        console.print(
            f"{len(unexplained)} rows have an unexplained part: see docs/guard-reconciliation.md",
            style="bold red",
        )
    else:
        console.print("Everything is explained.", style="bold")


def _because(row: ReconciledDay) -> str:
    causes = row.figures.causes
    return ", ".join(
        f"{cause.replace('_', ' ')} {nano_words(causes[cause], row.currency)}"
        for cause in CAUSES
        if causes[cause]
    )


def _print_credits(console: Console, found: Sequence[GrantCredit]) -> None:
    if not found:
        return
    table = Table(title="Credit", title_justify="left")
    for name in ("customer", "grant"):
        table.add_column(name)
    for name in ("granted", "left by the guard", "left by invoices", "difference", "settled, not invoiced"):
        table.add_column(name, justify="right")
    for each in found:
        amounts = (each.amount, each.guard_left, each.invoices_left, each.difference, each.not_invoiced)
        table.add_row(
            each.customer_id, each.grant_id, *(nano_words(amount, each.currency) for amount in amounts)
        )
    console.print(table)
