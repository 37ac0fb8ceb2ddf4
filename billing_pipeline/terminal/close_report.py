"""`billing close`: progress while it runs, what each invoice came to after it."""

from datetime import date

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from billing_pipeline.definitions import defs
from billing_pipeline.defs.closing import Closed, close_through
from billing_pipeline.errors import InvoicesNotPushedError
from billing_pipeline.metering.stage import scan
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.money import format_minor
from billing_pipeline.rating.periods import period_name
from billing_pipeline.schemas.tables import BLOCKED_INVOICES, INVOICE_LINES
from billing_pipeline.terminal.dagster_home import open_dagster


def run_close(pipeline: Pipeline, through: date) -> Closed:
    """Close through a day, and print the invoices of the periods that ended."""
    console = Console()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        open_dagster(pipeline.settings) as instance,
        Progress(*columns, console=console, transient=True) as bars,
    ):
        task = bars.add_task("opening", total=None)
        closed = close_through(
            pipeline,
            instance,
            defs().resolve_job_def,
            through,
            lambda what, done, of: bars.update(task, description=what, completed=done, total=of),
        )
    if not closed.days:
        console.print(f"Nothing to close: every day up to {through} is closed.")
        _tell_not_pushed(console, closed)
        return closed
    console.print(
        f"Closed {len(closed.days)} days, {closed.days[0]} to {closed.days[-1]}, in {len(closed.run_ids)} runs."
    )
    for failure in closed.without_report:
        console.print(f"No anomaly report, which holds nothing up: {failure}", style="yellow", markup=False)
    for failure in closed.without_meter_events:
        console.print(
            f"Meter events wait, the next close sends them: {failure}", style="yellow", markup=False
        )
    print_invoices(console, pipeline, list(closed.days))
    _tell_not_pushed(console, closed)
    return closed


def _tell_not_pushed(console: Console, closed: Closed) -> None:
    """The days are closed; what did not get to Stripe ends the command with an error all the same.

    Raises:
        InvoicesNotPushedError: a run of pushes failed.
    """
    if closed.waiting:
        days = ", ".join(str(day) for day in closed.waiting)
        console.print(
            f"Not all invoices of the periods that ended on {days} have gone out: `billing period status` says why.",
            soft_wrap=True,
        )
    if closed.not_pushed:
        raise InvoicesNotPushedError("; ".join(closed.not_pushed))


def print_invoices(console: Console, pipeline: Pipeline, days: list[date]) -> None:
    """Print the invoices, and the blocked ones, of the periods that end on some days."""
    with pipeline.engine.session() as session:
        scan(pipeline.workshop, session, "lines", INVOICE_LINES, days)
        invoices = session.rows(
            "SELECT customer_id, billing_period, currency, count(*), CAST(sum(amount_minor) AS BIGINT) FROM lines "
            "GROUP BY ALL ORDER BY billing_period, customer_id, currency"
        )
        scan(pipeline.workshop, session, "blocked", BLOCKED_INVOICES, days)
        blocked = session.rows("SELECT customer_id, billing_period, message FROM blocked ORDER BY ALL")
    table = Table(title="Invoices", title_justify="left")
    for name, justify in (("customer", "left"), ("period", "left"), ("lines", "right"), ("total", "right")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    for customer_id, period, currency, lines, total in invoices:
        if isinstance(period, date) and isinstance(total, int):
            table.add_row(
                str(customer_id), period_name(period), str(lines), format_minor(total, str(currency))
            )
    if invoices:
        console.print(table)
    for customer_id, period, message in blocked:
        console.print(f"held back: {customer_id}, period {period}: {message}", markup=False, soft_wrap=True)
