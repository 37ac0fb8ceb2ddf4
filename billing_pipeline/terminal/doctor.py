"""`billing doctor`: what is installed, what the stores hold, what is missing and how to mend it."""

import platform
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.errors import BillingError
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import TABLES

PACKAGES = ("dagster", "duckdb", "pyiceberg", "pandera", "sqlalchemy", "stripe")
# SQLite from 3.7.0 to 3.51.2 can corrupt a WAL database that two connections write or checkpoint at once.
SQLITE_MENDED = (3, 51, 3)


@dataclass(frozen=True)
class Finding:
    """One line of the report. `is_fault` means that something has to be mended; the text says how."""

    what: str
    told: str
    is_fault: bool = False


def run_doctor(pipeline: Pipeline) -> bool:
    """Print the findings; whether nothing has to be mended."""
    table = Table(title=f"Home {pipeline.settings.home}", title_justify="left", show_header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("told", overflow="fold")
    findings = list(_findings(pipeline))
    for finding in findings:
        table.add_row(finding.what, f"[red]mend: {finding.told}[/red]" if finding.is_fault else finding.told)
    Console().print(table)
    return not any(finding.is_fault for finding in findings)


def _findings(pipeline: Pipeline) -> Iterator[Finding]:
    yield Finding("versions", ", ".join([f"Python {platform.python_version()}", *map(_version, PACKAGES)]))
    yield Finding("SQLite", _sqlite())
    parts: tuple[tuple[str, Callable[[Pipeline], Iterator[Finding]]], ...] = (
        ("compute engine", _engine),
        ("rule books", _rule_books),
        ("registry seed", _seed),
        ("guard", _guard),
        ("queue", _queue),
        ("lake", _lake),
        ("control database", _control),
        ("close", _close),
    )
    for name, part in parts:
        try:
            yield from part(pipeline)
        except BillingError as error:
            yield Finding(name, str(error), is_fault=True)
    yield Finding("Stripe", _stripe(pipeline))
    yield Finding(
        "Dagster storage",
        f"{pipeline.settings.dagster_path}: written by several processes at once, and disposable: if it is ever "
        "damaged, delete it and close or materialize again",
    )


def _version(package: str) -> str:
    return f"{package} {version(package)}"


def _sqlite() -> str:
    if sqlite3.sqlite_version_info >= SQLITE_MENDED:
        return sqlite3.sqlite_version
    return (
        f"{sqlite3.sqlite_version}: has the WAL fault of 3.7.0 to 3.51.2; the queue is safe from it because one "
        "connection alone writes and checkpoints it"
    )


def _engine(pipeline: Pipeline) -> Iterator[Finding]:
    yield Finding("compute engine", pipeline.engine.version)


def _rule_books(pipeline: Pipeline) -> Iterator[Finding]:
    for book in pipeline.books:
        yield Finding("rule book", f"{book.version}, in force from {book.effective_from:%Y-%m-%d %H:%M} UTC")
    pipeline.check_rules()


def _seed(pipeline: Pipeline) -> Iterator[Finding]:
    yield Finding("registry seed", f"{len(pipeline.seed):,} changes precede the log")


def _guard(pipeline: Pipeline) -> Iterator[Finding]:
    policies = pipeline.guard_policies
    path = pipeline.settings.guard_path
    if not path.exists():
        yield Finding("guard", f"there is no {path}: nothing is limited (docs/guard-policies.md)")
        return
    names = {each.name for plan in policies.by_plan.values() for each in (plan.production, plan.trial)}
    yield Finding(
        "guard", f"policies {', '.join(sorted(names))}; billing guard check shows what holds for whom"
    )


def _queue(pipeline: Pipeline) -> Iterator[Finding]:
    with pipeline.queue() as queue:
        status = queue.status()
        pending = pipeline.lander(queue).pending()
    yield Finding("queue", f"{status.next_offset:,} records, {pending:,} not yet landed; {status.location}")
    for warning in status.warnings:
        yield Finding("queue", warning, is_fault=True)
    if status.next_offset:
        yield Finding("watermark", instant_text(status.clock))
    else:
        yield Finding("watermark", "none: the log is empty; import events, or run `billing demo`")


def _lake(pipeline: Pipeline) -> Iterator[Finding]:
    for table in TABLES:
        files = pipeline.lake.files(table)
        rows, days = sum(file.rows for file in files), {file.key.day for file in files}
        yield Finding(table.name, f"{rows:,} rows in {len(days)} days, {len(files)} files")


def _control(pipeline: Pipeline) -> Iterator[Finding]:
    yield Finding("control database", pipeline.control.url.render_as_string(hide_password=True))


def _close(pipeline: Pipeline) -> Iterator[Finding]:
    # Dagster's partitions are made of the rule books when they are imported: a damaged one must not stop the report.
    from billing_pipeline.defs.closing import days_due

    with pipeline.queue() as queue:
        clock = queue.clock()
    if not clock:
        return
    last = pipeline.calendar.last_closed(clock)
    due = days_due(pipeline, last)
    if due:
        yield Finding(
            "close", f"{len(due)} days up to {last} can be closed and are not: billing close --through {last}"
        )
    else:
        yield Finding("close", f"every day up to {last} is closed")


def _stripe(pipeline: Pipeline) -> str:
    if pipeline.settings.stripe_api_key:
        return "a key is set (STRIPE_API_KEY): invoices go to its account"
    return "no key is set: invoices go to the simulator of this project"
