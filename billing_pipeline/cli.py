"""The `billing` command. Heavy parts are imported by the command that needs them, so `--help` answers at once."""

import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from billing_pipeline.commands.explain import explain
from billing_pipeline.commands.export import export
from billing_pipeline.commands.guard import guard
from billing_pipeline.commands.invoice import invoice
from billing_pipeline.commands.keys import keys
from billing_pipeline.commands.period import period
from billing_pipeline.commands.reconcile import reconcile
from billing_pipeline.commands.review import review
from billing_pipeline.commands.serve import serve
from billing_pipeline.commands.stripe import stripe
from billing_pipeline.errors import BillingError

if TYPE_CHECKING:
    from billing_pipeline.pipeline import Pipeline

FORMATS = ("azure-llm", "agent-trace", "ndjson", "cloudevents")
DAY = click.DateTime(formats=["%Y-%m-%d"])


def main() -> None:
    """Run the command; an error that a person can mend is one message, not a traceback."""
    try:
        billing.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except BillingError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="billing-pipeline")
def billing() -> None:
    """Usage-based billing: usage events in, invoices that can be defended line by line out."""


@billing.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--format", "format_name", required=True, type=click.Choice(FORMATS), help="What the files hold."
)
@click.option("--start", help="Instant (with offset) at which a trace is laid out; needed by agent-trace.")
@click.option("--days", default=14, show_default=True, help="Days over which an undated trace is laid out.")
@click.option("--customers", default=10, show_default=True, help="Customers that a trace is shared among.")
@click.option("--seed", default=0, show_default=True, help="Which customer gets what, in a trace.")
@click.option("--received-at", help="now, occurred, or the name of a field; traces: occurred, others: now.")
@click.option("--register", is_flag=True, help="Register unknown customers and projects, on --plan.")
@click.option("--plan", default="standard", show_default=True, help="Plan of customers registered here.")
@click.option("--strict", is_flag=True, help="Stop before anything is appended if one line is invalid.")
@click.option("--allow-late", is_flag=True, help="Go on where events are late or too late.")
def import_files(files: tuple[Path, ...], format_name: str, start: str | None, **options: object) -> None:
    """Import FILES of events into the durable queue, in the order of their receipt times."""
    from billing_pipeline.terminal.import_report import ImportRequest, run_import

    request = ImportRequest(format_name=format_name, files=files, start=start, **options)  # type: ignore[arg-type]  # click checks them
    run_import(_pipeline(), request)


@billing.group()
def queue() -> None:
    """The durable queue and its clock."""


@queue.command("status")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def queue_status(as_json: bool) -> None:
    """Show depth, lag, clock, reading groups, and where the log is."""
    from billing_pipeline.terminal.queue_status import show_queue

    show_queue(_pipeline(), as_json=as_json)


@queue.command("prune")
@click.option(
    "--keep-days", required=True, type=click.IntRange(min=0), help="Keep what was received within these days."
)
def queue_prune(keep_days: int) -> None:
    """Delete for ever what has been landed and is old; without this command the queue keeps everything."""
    from billing_pipeline.terminal.queue_status import prune_queue

    prune_queue(_pipeline(), keep_days)


@queue.command("advance")
@click.option("--to", "instant", required=True, help="Instant with offset, such as 2026-11-01T01:00:00Z.")
def queue_advance(instant: str) -> None:
    """Promise that nothing received before an instant will come any more."""
    from billing_pipeline.terminal.queue_status import advance_queue

    advance_queue(_pipeline(), instant)


@billing.command()
@click.option("--reason", required=True, help="Code of the rejection, or outcome of a refused correction.")
@click.option("--day", type=DAY, help="Only what was received on this receipt day.")
@click.option("--limit", type=click.IntRange(min=1), help="Send at most so many, the oldest first.")
@click.option("--dry-run", is_flag=True, help="Count only; nothing is sent.")
def requeue(reason: str, day: datetime | None, limit: int | None, dry_run: bool) -> None:
    """Send refused records again, once each, after the cause was mended."""
    from billing_pipeline.ingest.requeuing import RequeueRequest
    from billing_pipeline.terminal.requeue_report import run_requeue

    run_requeue(_pipeline(), RequeueRequest(reason, day.date() if day else None, limit, dry_run))


@billing.command()
@click.option("--through", required=True, type=DAY, help="Last day to close.")
def close(through: datetime) -> None:
    """Make every partition up to a day, headless: land, meter, rate, invoice, push."""
    from billing_pipeline.terminal.close_report import run_close

    run_close(_pipeline(), through.date())


@billing.command()
@click.option("--from", "first", type=DAY, help="First day to look at; default: the first there is.")
@click.option("--to", "last", type=DAY, help="Last day to look at; default: the last there is.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def verify(first: datetime | None, last: datetime | None, as_json: bool) -> None:
    """Prove the stored numbers: raw only grew, every recorded hash reproduces, nothing is lost; status 1 if not."""
    from billing_pipeline.audit.report import DayRange
    from billing_pipeline.terminal.verify_report import run_verify

    days = DayRange(first.date() if first else None, last.date() if last else None)
    if not run_verify(_pipeline(), days, as_json=as_json):
        sys.exit(1)


@billing.command()
@click.argument("day", type=DAY)
@click.option("--rule-version", "version", help="Compare only the rollups of this rule version.")
@click.option("--rows", default=20, show_default=True, help="Differing rows listed of each partition.")
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep what was computed in this folder."
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def replay(day: datetime, version: str | None, rows: int, keep: Path | None, as_json: bool) -> None:
    """Compute the closed DAY again from the log, beside what was billed; status 1 where a row differs."""
    from billing_pipeline.terminal.replay_report import run_replay

    if not run_replay(_pipeline(), day.date(), version, keep, rows, as_json=as_json):
        sys.exit(1)


@billing.command()
@click.option("--event", nargs=2, metavar="SOURCE ID", help="The way of one event to its invoice lines.")
@click.option("--session", metavar="ID", help="An agent run as a tree, with quantities and cost.")
@click.option("--line", metavar="LINE_ID", help="An invoice line back to its rollups and events.")
@click.option(
    "--all", "every_event", is_flag=True, help="List all events of a line, not just the first ones."
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a tree.")
def trace(
    event: tuple[str, str] | None, session: str | None, line: str | None, every_event: bool, as_json: bool
) -> None:
    """Follow an event, an agent session or an invoice line through every table, with offsets and files as evidence."""
    if sum(each is not None for each in (event, session, line)) != 1:
        raise click.UsageError("give exactly one of --event SOURCE ID, --session ID and --line LINE_ID")
    from billing_pipeline.terminal import trace_report

    pipeline = _pipeline()
    if event is not None:
        trace_report.show_event(pipeline, *event, as_json=as_json)
    elif session is not None:
        trace_report.show_session(pipeline, session, as_json=as_json)
    elif line is not None:
        trace_report.show_line(pipeline, line, every_event=every_event, as_json=as_json)


@billing.group()
def rules() -> None:
    """Rule books: check them, compare two versions, import prices."""


@rules.command("check")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Status 1 also where there are warnings.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
def rules_check(files: tuple[Path, ...], strict: bool, as_json: bool) -> None:
    """Say what is wrong with the rule books in FILES (default: the folder of the settings), and what they lack.

    Faults come with file, line and field, and end with status 1. Where there are none, warnings tell of gaps: a
    meter without a charge, usage without a price, usage billed twice.
    """
    from billing_pipeline.terminal.rules_check import check_rules

    if not check_rules(_pipeline(), files, strict=strict, as_json=as_json):
        sys.exit(1)


@rules.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def rules_diff(old: str, new: str, as_json: bool) -> None:
    """Say what rule book NEW says differently from OLD; each is a version of the folder, or a file."""
    from billing_pipeline.terminal.rules_diff import diff_rules

    diff_rules(_pipeline(), old, new, as_json=as_json)


@rules.group("import")
def rules_import() -> None:
    """Rule books to review, made of published prices."""


@rules_import.command("genai-prices")
@click.option("--provider", "providers", multiple=True, help="Only models of this provider; may be repeated.")
@click.option("--models", multiple=True, help="Only models named so (* and ? allowed); may be repeated.")
@click.option(
    "--from", "day", type=DAY, help="Day from which the rule book is in force; default: today (UTC)."
)
@click.option("--version", help="Name of the version; default: genai-prices-DAY.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; default: print it.",
)
@click.option(
    "--all-versions",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a rule book per day on which a price changes into this folder.",
)
def rules_import_genai_prices(day: datetime | None, **options: object) -> None:
    """Write model prices that the package genai-prices knows as a rule book to review."""
    from datetime import UTC

    from billing_pipeline.terminal.rules_import import PriceImport, import_prices

    first = day.date() if day else datetime.now(UTC).date()
    import_prices(PriceImport(day=first, **options))  # type: ignore[arg-type]  # click checks them


@billing.command()
@click.option(
    "--rules", required=True, metavar="DRAFT", help="The draft: a file, or a version of the folder."
)
@click.option("--period", required=True, help="Month in which the usage periods start, such as 2026-10.")
@click.option("--customer", "customers", multiple=True, metavar="ID", help="Only this one; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the distribution into this SVG file.",
)
def simulate(rules: str, period: str, customers: tuple[str, ...], as_json: bool, plot: Path | None) -> None:
    """Bill a past usage period under a draft rule book, beside what was billed; nothing is written or invoiced."""
    from billing_pipeline.terminal.simulate_report import run_simulate

    if not run_simulate(_pipeline(), rules, period, customers, plot, as_json=as_json):
        sys.exit(1)


@billing.command()
def rate() -> None:
    """Answer lines of JSON on stdin: what a quantity costs under a charge, one line out per line in.

    A line is `{"charge": {...}, "quantity": "1500", "currency": "usd"}`, with the charge as a rule book has it; the
    answer is `{"amount": ..., "rounded": ..., "tiers": [...]}` or `{"error": ...}` (docs/calculator.md).
    """
    from billing_pipeline.terminal.rate_report import run_rate

    run_rate()


@billing.command("sql")
@click.argument("query")
@click.option(
    "--format", "output", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True
)
def run_sql(query: str, output: str) -> None:
    """Run a read-only QUERY over the latest snapshot of all tables (docs/tables.md)."""
    from billing_pipeline.terminal.query import run_query

    run_query(_pipeline(), query, output)


@billing.command()
def schema() -> None:
    """Print the JSON Schema of the event contract."""
    import json

    from billing_pipeline.contract.json_schema import event_schema

    click.echo(json.dumps(event_schema(), indent=2))


@billing.command()
def doctor() -> None:
    """Say what is installed, what the stores hold, what is missing and how to mend it."""
    from billing_pipeline.terminal.doctor import run_doctor

    if not run_doctor(_pipeline()):
        sys.exit(1)


@billing.command()
@click.option("--through", type=DAY, default="2026-11-04", show_default=True, help="Last day to close.")
def demo(through: datetime) -> None:
    """Run a simulated AI company's month, from an empty home to printed invoices."""
    from billing_pipeline.terminal.demo_report import run_demo

    last: date = through.date()
    run_demo(_pipeline(), last)


@billing.group()
def registry() -> None:
    """Customers and their contracts: plans, add-ons, overrides, coupons, credit grants."""


@registry.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would be appended; nothing is.")
def registry_apply(file: Path, dry_run: bool) -> None:
    """Enter what FILE says and the log does not, or nothing where it has a fault (docs/contracts.md)."""
    from billing_pipeline.terminal.registry_report import run_apply

    run_apply(_pipeline(), file, dry_run=dry_run)


@registry.command("show")
@click.argument("customer")
@click.option("--day", type=DAY, help="What holds on this day; default: today, in UTC.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
def registry_show(customer: str, day: datetime | None, as_json: bool) -> None:
    """Show what CUSTOMER has agreed to, and every change that said so."""
    from billing_pipeline.terminal.registry_view import show_customer

    show_customer(_pipeline(), customer, day.date() if day else None, as_json=as_json)


@billing.command()
@click.argument("customer")
@click.option("--period", required=True, help="Usage period: 2026-10, or the day it starts on.")
@click.option("--rules", metavar="VERSION", help="Use the prices of this rule version.")
@click.option("--who", required=True, help="Who wants it.")
@click.option("--why", required=True, help="The reason, for the records.")
def rerate(customer: str, period: str, rules: str | None, who: str, why: str) -> None:
    """Have CUSTOMER's next invoice rate a past usage period again, by the contracts known then."""
    from billing_pipeline.terminal.registry_report import run_rerate

    run_rerate(_pipeline(), customer, period, rules=rules, who=who, why=why)


billing.add_command(explain)
billing.add_command(export)
billing.add_command(guard)
billing.add_command(invoice)
billing.add_command(keys)
billing.add_command(period)
billing.add_command(reconcile)
billing.add_command(review)
billing.add_command(serve)
billing.add_command(stripe)


def _pipeline() -> "Pipeline":
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    return Pipeline(load_settings())
