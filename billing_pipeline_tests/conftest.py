"""What the tests of the pipeline share: a fresh company, events in short, receiving them, and running the stages.

The queue's wall clock stands far in the future, so that no test depends on the day on which it runs.
"""

import gc
import io
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

import billing_pipeline.control.guard_tables
import billing_pipeline.control.invoice_tables  # noqa: F401 - as above
from billing_pipeline.cli import main
from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse_value
from billing_pipeline.contract.registry import RegistryChange, control_record
from billing_pipeline.control.database import open_control
from billing_pipeline.control.tables import METADATA
from billing_pipeline.errors import SettingsError
from billing_pipeline.ingest.landing import STRETCH_RECORDS, Lander
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.invoicing.lines.rating_stage import list_invoice_lines, rate
from billing_pipeline.lake.engine import Engine
from billing_pipeline.lake.spark_engine import SparkEngine
from billing_pipeline.lake.spark_process import check_installed
from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.rollups import list_unmetered, roll_up, versions_found
from billing_pipeline.metering.stage import StageResult, scan
from billing_pipeline.metering.validation import validate
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.schemas.tables import TABLES
from billing_pipeline.settings import PROJECT_ROOT, Settings
from billing_pipeline_tests.control_databases import new_control_url
from billing_pipeline_tests.fresh_databases import made_once

FAR_FUTURE_US = 2_208_988_800_000_000  # 2040

MEMORY = Path("/dev/shm")  # noqa: S108 - only where the system offers it; pytest makes a folder of its own there
MEMORY_FREE_BYTES = 4 << 30
LONGEST = ("defs", "scenarios", "docs")
COLLECTION_THRESHOLDS = (100_000, 50, 100)
"""Far above Python's own: most of what it would go through again and again is what the libraries hold for good."""

Entry = tuple[str, LogRecord]
"""A receipt time (RFC 3339) and what was received."""
Completed = subprocess.CompletedProcess[str]


def pytest_configure() -> None:
    """Let all that tests write be written to memory where there is enough: thousands of small commits wait for no disk.

    `--basetemp` or `PYTEST_DEBUG_TEMPROOT` choose another folder. And let Python look for garbage less often.
    """
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_FREE_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    gc.set_threshold(*COLLECTION_THRESHOLDS)


def _settings(home: Path) -> Settings:
    return Settings(
        home=home,
        data=PROJECT_ROOT / "data",
        stripe_api_key=None,
        stripe_api_base=None,
        memory_limit_mb=1000,
        threads=2,
    )


def _instant(text: str) -> int:
    instant = instant_us(text)
    assert instant is not None, text
    return instant


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders whose files take longest, so that all workers end at about the same time."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


@pytest.fixture(scope="session")
def in_process() -> Callable[[Sequence[object], Mapping[str, str]], Completed]:
    """Runs `billing` as from a shell, but within this process: exit status and output under some variables."""

    def run(arguments: Sequence[object], variables: Mapping[str, str]) -> Completed:
        words = ["billing", *map(str, arguments)]
        out, err, status = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in variables.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", words)
            try:
                main()
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 0
        return Completed(words, status, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session", autouse=True)
def _fresh_databases() -> Iterator[None]:
    with made_once():
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A fresh home, and the project's own rule books."""
    return _settings(tmp_path / "home")


@pytest.fixture
def pipeline(settings: Settings) -> Pipeline:
    """A fresh company under the project's rule books."""
    return Pipeline(settings)


@pytest.fixture(scope="session")
def spark_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Spark on one thread: as few tasks as there can be, and one Java machine for all tests of a process.

    That one compiles in a hurry: over tests of a minute a thorough compiler costs more than it saves.
    """
    try:
        check_installed()
    except SettingsError as error:
        pytest.skip(f"Spark: {error}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield SparkEngine("local[*]", 1000, 1, tmp_path_factory.mktemp("spark"))


@pytest.fixture(scope="session")
def new_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Pipeline]:
    """Makes a fresh company, optionally under other rule books; for tests that need several, or one per module."""

    def make(books: RuleBooks | None = None) -> Pipeline:
        pipeline = Pipeline(_settings(tmp_path_factory.mktemp("company") / "home"))
        if books is not None:
            pipeline.books = books
        return pipeline

    return make


@pytest.fixture(scope="session")
def usage() -> Callable[..., LogRecord]:
    """One usage event: 1,000 output tokens of atlas-large by acme's project p, unless told otherwise."""

    def make(event_id: str, occurred_at: str, **fields: object) -> LogRecord:
        event: dict[str, object] = {
            "type": "usage",
            "schema_version": 2,
            "source": "app",
            "id": event_id,
            "customer_id": "acme",
            "project_id": "p",
            "occurred_at": occurred_at,
            "unit": "token",
            "quantity": "1000",
            "dimensions": {"model": "atlas-large", "token_class": "output"},
            "correlation_id": "c",
        }
        return parse_value({name: value for name, value in (event | fields).items() if value is not None})

    return make


@pytest.fixture(scope="session")
def correction() -> Callable[..., LogRecord]:
    """A correction that voids an event of the source `app`."""

    def make(correction_id: str, corrects_id: str, occurred_at: str, **fields: object) -> LogRecord:
        event: dict[str, object] = {
            "type": "correction",
            "schema_version": 2,
            "source": "support",
            "id": correction_id,
            "occurred_at": occurred_at,
            "corrects": {"source": "app", "id": corrects_id},
            "action": "void",
            "reason_code": "metering_error",
        }
        return parse_value(event | fields)

    return make


@pytest.fixture(scope="session")
def change() -> Callable[..., LogRecord]:
    """One registry change as a record of the log; `details` by keyword."""
    numbers = itertools.count()

    def make(
        entity: Any, entity_id: str, what: Any, effective_from: date = date(2026, 1, 1), **details: object
    ) -> LogRecord:
        return control_record(
            RegistryChange(entity, entity_id, what, effective_from, details), f"change-{next(numbers)}"
        )

    return make


@pytest.fixture(scope="session")
def registered(change: Callable[..., LogRecord]) -> Callable[..., list[LogRecord]]:
    """The changes that register a customer with projects, and with a plan unless it is None."""

    def make(
        customer_id: str = "acme",
        projects: Sequence[str] = ("p",),
        *,
        plan: str | None = "growth",
        **details: object,
    ) -> list[LogRecord]:
        changes = [change("customer", customer_id, "register", **details)]
        changes += [change("project", f"{customer_id}/{project}", "register") for project in projects]
        if plan is not None:
            changes.append(change("plan_assignment", customer_id, "assign", plan=plan))
        return changes

    return make


@pytest.fixture(scope="session")
def receive() -> Callable[..., None]:
    """Appends entries to a company's queue in the order given, and lands them."""

    def run(
        pipeline: Pipeline,
        entries: Sequence[Entry],
        *,
        batch_records: int = 1000,
        stretch_records: int = STRETCH_RECORDS,
    ) -> None:
        times = [_instant(received_at) for received_at, _ in entries]
        path = pipeline.settings.queue_path
        path.parent.mkdir(parents=True, exist_ok=True)
        with SqliteQueue(path, wall_clock=lambda: FAR_FUTURE_US) as queue:
            for start in range(0, len(entries), batch_records):
                records = [record for _, record in entries[start : start + batch_records]]
                queue.append("test", records, times[start : start + batch_records])
            Lander(
                queue, pipeline.lake, pipeline.duckdb, pipeline.calendar, pipeline.control, stretch_records
            ).land()

    return run


@pytest.fixture(scope="session")
def meter() -> Callable[..., StageResult]:
    """Runs the stages from the raw table to the rollups over some days, in one go."""

    def run(pipeline: Pipeline, days: Sequence[date]) -> StageResult:
        workshop = pipeline.workshop
        result = separate_registry_changes(workshop, days)
        result = result.then(validate(workshop, days)).then(identify(workshop, days))
        result = result.then(roll_up(workshop, versions_found(workshop, days)))
        return result.then(list_unmetered(workshop, days))

    return run


@pytest.fixture(scope="session")
def close(meter: Callable[..., StageResult]) -> Callable[..., StageResult]:
    """Runs every stage from the raw table to the invoice lines over some days: those that hold anything suffice."""

    def run(pipeline: Pipeline, days: Sequence[date]) -> StageResult:
        result = meter(pipeline, days).then(rate(pipeline.workshop, days))
        return result.then(list_invoice_lines(pipeline.workshop, days))

    return run


@pytest.fixture(scope="session")
def rows() -> Callable[..., list[tuple[Any, ...]]]:
    """The result of a query over the tables of a company's lake that it names."""

    def run(pipeline: Pipeline, query: str) -> list[tuple[Any, ...]]:
        with pipeline.engine.session() as session:
            named: Iterable[Any] = (table for table in TABLES if table.name in query)
            for table in named:
                scan(pipeline.workshop, session, table.name, table)
            return session.rows(query)

    return run


@pytest.fixture(params=["sqlite", "postgresql"])
def control_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a table, on either engine."""
    with new_control_url(request.param, tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a control database at head, for copies."""
    path = tmp_path_factory.mktemp("migrated") / "control.sqlite"
    open_control(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture(scope="session")
def migrated_postgres() -> Iterator[str]:
    """A control database at head on PostgreSQL, which tests share one after the other."""
    with new_control_url("postgresql", Path()) as url:
        open_control(url).dispose()
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a control database at head without a row, on either engine; quicker than migrating one."""
    if request.param == "sqlite":
        path = tmp_path / "control.sqlite"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        return f"sqlite:///{path}?timeout=60"
    url: str = request.getfixturevalue("migrated_postgres")
    engine = create_engine(url)
    with engine.begin() as connection:
        # Facts refuse to be emptied, but for who acts as a replica does.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(f"TRUNCATE {', '.join(METADATA.tables)} RESTART IDENTITY"))
    engine.dispose()
    return url
