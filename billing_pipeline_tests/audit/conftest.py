"""A small company with a bit of everything, closed and recorded, for the stories about auditors.

Each test gets it as it was, whatever the one before has done to its files.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse
from billing_pipeline.control.database import open_control
from billing_pipeline.ingest.landed_partitions import landed_partitions
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey, Table
from billing_pipeline_tests.audit.invoiced_company import (
    IN_NOVEMBER,
    LATE,
    NEXT_END,
    InvoicedCompany,
    october,
)

OTHER, DAY, END = date(2026, 10, 5), date(2026, 10, 20), date(2026, 10, 31)
EARLY, NOON, LATER = "2026-10-05T12:00:00Z", "2026-10-20T12:00:00Z", "2026-10-20T13:00:00Z"


@pytest.fixture(scope="session")
def session_events(usage: Callable[..., LogRecord]) -> Callable[[], list[LogRecord]]:
    """An agent run: a root with a completion and a sub-agent, which calls tools; and one event of no known parent."""

    def event(event_id: str, second: int, parent_id: str | None, **fields: Any) -> LogRecord:
        instant = f"2026-10-20T11:00:{second:02}Z"
        run = {"session_id": "run-1", "correlation_id": "trace-1", "parent_id": parent_id}
        return usage(event_id, instant, **(run | fields))

    def make() -> list[LogRecord]:
        machine = {"unit": "second", "dimensions": {"machine": "cpu-2"}, "step": "agent_step"}
        tool = {"unit": "call", "dimensions": {"tool": "web_search"}, "step": "tool_call"}
        return [
            event("root", 0, None, quantity="60", **machine),
            event("root.out", 1, "root", quantity="500000", step="completion"),
            event("sub", 2, "root", quantity="30", **machine),
            event("sub.tool", 3, "sub", quantity="3", **tool),
            event("sub.out", 4, "sub", quantity="250000", step="completion"),
            event("elsewhere", 5, "span-99", quantity="1000", step="completion"),
        ]

    return make


@pytest.fixture(scope="session")
def company_log(
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    session_events: Callable[[], list[LogRecord]],
) -> list[tuple[str, LogRecord]]:
    """Offsets 0 to 5 are registrations; what follows has each outcome."""
    shares = [
        {"customer_id": "acme", "project_id": "p", "share": "0.25"},
        {"customer_id": "beta", "project_id": "p", "share": "0.75"},
    ]
    log = [(EARLY, record) for record in (*registered("acme"), *registered("beta"))]
    log += [(EARLY, usage("a", EARLY)), (EARLY, usage("a", EARLY)), (EARLY, usage("kept", EARLY))]
    log += [
        (NOON, usage("b", NOON, quantity="1000000")),
        (NOON, usage("c", NOON, customer_id="beta", quantity="2000000")),
        (NOON, usage("late", EARLY)),
        (NOON, usage("a", NOON, quantity="7")),
        (NOON, usage("page", NOON, unit="page")),
        (NOON, usage("free", NOON, billable=False, reason_code="trial")),
        (NOON, usage("shared", NOON, quantity="1001", allocations=shares)),
        *((NOON, record) for record in session_events()),
        (NOON, parse(b"\xffnot json")),
        (LATER, correction("fix", "a", LATER, correlation_id="ticket-1")),
        (LATER, correction("fix-b", "b", LATER, action="adjust", quantity_delta="-400000")),
        (LATER, correction("fix-none", "never-sent", LATER)),
    ]
    return log


def record_company(pipeline: Pipeline, result: StageResult, days: Sequence[date]) -> None:
    """Record what the stages wrote, as the runs of a close do."""
    watermark = pipeline.calendar.close(max(days))
    pipeline.record(
        landed_partitions(pipeline.workshop, days).then(result), watermark=watermark, run_id="test"
    )


@pytest.fixture(scope="session")
def closed_home(
    *,
    new_pipeline: Callable[..., Pipeline],
    company_log: list[tuple[str, LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Pipeline, Path]:
    """The closed company, and a copy of its home to restore it from."""
    pipeline = new_pipeline()
    half = len(company_log) // 2
    receive(pipeline, company_log[:half])
    receive(pipeline, company_log[half:])
    days = [OTHER, DAY, END]
    record_company(pipeline, close(pipeline, days), days)
    pipeline.control.dispose()
    kept = tmp_path_factory.mktemp("kept") / "home"
    shutil.copytree(pipeline.settings.home, kept)
    return pipeline, kept


@pytest.fixture
def company(closed_home: tuple[Pipeline, Path]) -> Iterator[Pipeline]:
    """The closed company, opened anew; its home is restored after the test."""
    made, kept = closed_home
    pipeline = Pipeline(made.settings)
    yield pipeline
    pipeline.control.dispose()
    shutil.rmtree(made.settings.home)
    shutil.copytree(kept, made.settings.home)


@pytest.fixture
def edit(company: Pipeline) -> Callable[[Table, PartitionKey, str], None]:
    """Overwrites the one file of a partition by what a query makes of `part`, behind the lake's back."""

    def run(table: Table, key: PartitionKey, query: str) -> None:
        (path,) = [file.path for file in company.lake.files(table, [key.day]) if file.key == key]
        statement = company.settings.home / "edit.sql"
        statement.write_text(query, "utf-8")
        changed = Path(path).with_suffix(".changed")
        with company.engine.session() as session:
            session.scan("part", table, [path])
            session.keep("edited", statement)
            session.write(table, "edited", changed)
        changed.replace(path)
        statement.unlink()

    return run


@pytest.fixture(scope="session")
def invoiced(
    *,
    new_pipeline: Callable[[], Pipeline],
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Pipeline:
    """October and November; in November two cents' worth, and less than a cent's, arrive late, and a void."""
    pipeline = new_pipeline()
    late = [
        usage("c-late", "2026-10-20T13:00:00Z", customer_id="beta", quantity="1000000"),
        usage("z-late", "2026-10-20T13:00:00Z", customer_id="zulu", quantity="100"),
        correction("a-void", "a", IN_NOVEMBER),
        usage("n", IN_NOVEMBER, customer_id="beta", quantity="1000000"),
    ]
    receive(pipeline, october(usage, change, registered) + [(IN_NOVEMBER, record) for record in late])
    close(pipeline, [date(2026, 10, 1), OTHER, DAY, END, LATE, NEXT_END])
    return pipeline


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[StripeGateway]:
    with running_simulator(tmp_path / "stripe.sqlite") as address:
        gateway = StripeGateway("sk_test_reconciled", address)
        yield gateway
        gateway.close()


@pytest.fixture
def in_stripe(
    invoiced: Pipeline, gateway: StripeGateway, migrated_url: str, tmp_path: Path
) -> Iterator[InvoicedCompany]:
    """The company before anything is pushed, on either control database, with a fresh Stripe."""
    control = open_control(migrated_url)
    yield InvoicedCompany(invoiced, control, gateway, tmp_path / "stripe.sqlite")
    control.dispose()


@pytest.fixture
def tamper(invoiced: Pipeline) -> Iterator[Callable[[Table, PartitionKey, str], None]]:
    """Replaces a partition by what a query makes of it (the relation `part`); mends it at the end of the test."""
    undo: list[Callable[[], object]] = []

    def run(table: Table, key: PartitionKey, query: str) -> None:
        files = [file.path for file in invoiced.lake.files(table, [key.day]) if file.key == key]
        statement = invoiced.settings.home / "damage.sql"
        statement.write_text(query, "utf-8")
        path = invoiced.lake.new_file(table)
        with invoiced.engine.session() as session:
            session.scan("part", table, files)
            before = session.rows("SELECT * FROM part")
            session.keep("damaged", statement)
            written = session.write(table, "damaged", path)
        invoiced.lake.replace(table, [key], [] if written is None else [written.path])

        def mend() -> None:
            mended = invoiced.lake.new_file(table)
            with invoiced.engine.session() as session:
                session.load("good", table.columns, before)
                session.write(table, "good", mended)
            invoiced.lake.replace(table, [key], [mended])

        undo.append(mend)

    yield run
    for mend in undo:
        mend()
