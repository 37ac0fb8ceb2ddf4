"""`billing simulate`: what a draft rule book would have billed, as tables and a histogram, or as JSON."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import click
from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from billing_pipeline.audit.report import counted
from billing_pipeline.audit.simulate import simulate
from billing_pipeline.audit.simulated import Beside, CustomerSimulation, Simulation
from billing_pipeline.errors import DocumentError, SimulationRefusedError
from billing_pipeline.lake.overlay import OverlaidLake
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.money import format_minor
from billing_pipeline.rating.periods import parse_period, period_name
from billing_pipeline.rating.rule_book import RuleBook
from billing_pipeline.terminal.progress import shown_progress
from billing_pipeline.terminal.rules_diff import find_rule_book
from billing_pipeline.terminal.simulate_document import document_of, faults_document
from billing_pipeline.terminal.simulate_percent import bins_of, percent_text

REASONS_SHOWN = 3
_BAR_WIDTH = 40


def run_simulate(
    pipeline: Pipeline, rules: str, period: str, customers: Sequence[str], plot: Path | None, *, as_json: bool
) -> bool:
    """Try a draft on a period and print the result; False where the draft has faults, which are listed.

    Raises:
        SimulationRefusedError: the period is none, the home is empty, or plots cannot be drawn.
        UnknownCustomerError: a customer is not registered.
        UnknownRuleVersionError: there is no such file and no such version.
    """
    month = _month(period)
    try:
        draft = find_rule_book(pipeline, rules)
    except DocumentError as error:
        if as_json:
            click.echo(json.dumps(faults_document(error.faults), ensure_ascii=False, indent=2))
        else:
            click.echo("\n".join(map(str, error.faults)))
            click.echo(f"{rules}: {counted(len(error.faults), 'fault')}; nothing was simulated")
        return False
    if plot is not None:
        from billing_pipeline.terminal.simulate_plot import check_installed

        check_installed()
    found = _simulated(pipeline, draft, month, customers)
    if as_json:
        click.echo(json.dumps(document_of(found), ensure_ascii=False, indent=2))
    else:
        _print(Console(), found)
    if plot is not None:
        from billing_pipeline.terminal.simulate_plot import write_plot

        write_plot(found, plot)
        click.echo(f"The distribution is drawn in {plot}.", err=as_json)
    return True


def _month(period: str) -> date:
    try:
        month = parse_period(period)
    except ValueError as error:
        raise SimulationRefusedError(str(error)) from error
    if month.day != 1:
        raise SimulationRefusedError(
            f"{period} is no month; write {month:%Y-%m}: of each customer the period that starts within it is taken, "
            "on whichever day"
        )
    return month


def _simulated(pipeline: Pipeline, draft: RuleBook, month: date, customers: Sequence[str]) -> Simulation:
    if not pipeline.settings.lake_path.is_dir():
        raise SimulationRefusedError(
            f"{pipeline.settings.home} holds no usage; import some and close its days"
        )
    with tempfile.TemporaryDirectory(prefix="billing-simulate-") as name, shown_progress("opening") as told:
        folder = Path(name)
        workshop = replace(pipeline.workshop, engine=pipeline.engine.with_scratch(folder / "spill"))
        scratch = OverlaidLake(pipeline.lake, folder)
        return simulate(workshop, scratch, draft, month, customers=customers, told=told)


def _print(console: Console, found: Simulation) -> None:
    _print_charges(console, found)
    _print_customers(console, found)
    _print_histogram(console, found)
    for currency, total in found.totals.items():
        amounts = total.amounts
        console.print(
            f"{currency.upper()}: billed {format_minor(amounts.billed, currency)}, would be "
            f"{format_minor(amounts.simulated, currency)}, {_signed(amounts.difference, currency)} "
            f"({percent_text(amounts)}); {total.less:,} pay less, {total.more:,} more, {total.same:,} the same.",
            style="bold",
            highlight=False,
            soft_wrap=True,
        )
    if not found.totals:
        console.print("Nothing was billed in the period that the draft could be compared with.", style="bold")
    _print_apart(console, "would be blocked under the draft, and not counted", found.of_state("blocked"))
    _print_apart(console, "not billed yet, and not counted", found.of_state("not_billed"))
    if any(each.usage_period != found.month for each in found.customers):
        console.print(
            f"Customers whose period starts on another day: the one that starts within {period_name(found.month)}."
        )
    if found.metered_again:
        names = ", ".join(found.metered_again)
        text = f"Metered again, since the draft has other meters than the rules in force: {names}."
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _print_charges(console: Console, found: Simulation) -> None:
    table = _table(f"{period_name(found.month)} under {found.version}, by charge", "charge", "of", "meter")
    for key, amounts in found.charges.items():
        what = key.charge or key.term
        kind = "" if key.component == "usage" else key.component.replace("_", " ")
        told = " ".join(
            part for part in (what, f"({kind})" if kind else "", key.term if key.charge else "") if part
        )
        table.add_row(told, key.plan, key.meter, *_cells(amounts, key.currency))
    console.print(table)


def _print_customers(console: Console, found: Simulation) -> None:
    table = _table("By customer, the largest changes first", "customer", "period")
    ordered = sorted(found.compared, key=lambda row: (-abs(row[2].difference), row[0].customer_id, row[1]))
    for customer, currency, amounts in ordered:
        period = period_name(customer.usage_period)
        table.add_row(Text(customer.customer_id), period, *_cells(amounts, currency))
    console.print(table)


def _table(title: str, *names: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, overflow="fold")
    for name in ("billed", "would be", "difference", "percent"):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cells(amounts: Beside, currency: str) -> tuple[str, ...]:
    return (
        format_minor(amounts.billed, currency),
        format_minor(amounts.simulated, currency),
        _signed(amounts.difference, currency),
        percent_text(amounts),
    )


def _signed(minor: int, currency: str) -> str:
    return f"{'+' if minor > 0 else ''}{format_minor(minor, currency)}"


def _print_histogram(console: Console, found: Simulation) -> None:
    bins = bins_of([amounts for *_, amounts in found.compared])
    most = max((each.customers for each in bins), default=0)
    if not most:
        return
    grid = Table.grid(padding=(0, 1))
    grid.title, grid.title_justify = "Customers by change in percent", "left"
    grid.add_column(justify="right")
    grid.add_column(justify="right")
    grid.add_column(width=_BAR_WIDTH)
    for each in bins:
        bar = Bar(most, 0, each.customers, width=_BAR_WIDTH, color=each.colour) if each.customers else ""
        grid.add_row(each.label, f"{each.customers:,}", bar)
    console.print(grid)


def _print_apart(console: Console, what: str, customers: Sequence[CustomerSimulation]) -> None:
    if not customers:
        return
    console.print(f"{counted(len(customers), 'customer')} {what}:", style="yellow", highlight=False)
    for customer in customers:
        sums = ", ".join(format_minor(each.simulated, name) for name, each in customer.by_currency.items())
        head = f"  {customer.customer_id}{f', would be {sums}' if sums else ''}: "
        for reason in customer.reasons[:REASONS_SHOWN]:
            console.print(f"{head}{reason}", markup=False, highlight=False, soft_wrap=True)
        if (unlisted := len(customer.reasons) - REASONS_SHOWN) > 0:
            console.print(f"  and {counted(unlisted, 'more reason')}; --json lists all", highlight=False)
