"""DuckDB and Spark make the same rows of every partition, out of the same log, by the same statements."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, NamedTuple

import pytest

from billing_pipeline.audit.conservation import line_faults, record_faults
from billing_pipeline.audit.rollup_conservation import rollup_faults
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse
from billing_pipeline.invoicing.lines.rating_stage import list_invoice_lines, rate
from billing_pipeline.lake.content_hash import row_hash
from billing_pipeline.lake.engine import Engine
from billing_pipeline.metering.restated import restate
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import Meter, RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.schemas.table import PartitionKey, Table
from billing_pipeline.schemas.tables import (
    BLOCKED_INVOICES,
    DUPLICATE_USAGE_EVENTS,
    INVOICE_LINES,
    REJECTED_USAGE_EVENTS,
    RESTATED_ROLLUPS,
    TABLES,
    UNMETERED_USAGE,
    USAGE_CORRECTIONS,
    USAGE_ROLLUPS,
)
from billing_pipeline.settings import PROJECT_ROOT

Entry = tuple[str, LogRecord]
METERS = {
    "peak": Meter("peak", "gb", "max", ("model",)),
    "level": Meter("level", "gb", "latest"),
    "held": Meter("held", "gb", "time_weighted_sum", ("é.'z",)),
    "models": Meter("models", "gb", "unique_count", distinct="dimensions.model"),
    "users": Meter("users", "gb", "unique_count", ("model",), distinct="user_id"),
    "some": Meter("some", "gb", "count", filter={"model": frozenset({"a|b\\c", "\uffee"})}),
}
"""Beside those of the project. The unit `page` has none, so its usage is unmetered."""
UNITS = {"acme": ("token", "gb", "gb", "gb", "call", "page"), "euro": ("token", "call")}
DAYS, PERIOD_END = [date(2026, 10, 15), date(2026, 10, 16)], [date(2026, 10, 31)]
MIDNIGHT = ("2026-10-15T23:59:59.999999Z", "2026-10-16T00:00:00Z", "2026-10-16T00:00:00.000001Z")
"""Around midnight, which is also where the second rule version begins."""
QUANTITIES = ("0", "1", "0.000000001", "12345678901234567890123456.123456789", "0.1", "33.3")
MODELS = ("atlas-large", "atlas-small", "ünïcode \U0001f600", "a|b\\c", 'quo"ted', "\uffee")
SHARES = [
    {"customer_id": "acme", "project_id": "p", "share": "0.333333333"},
    {"customer_id": "euro", "project_id": "p", "share": "0.666666667"},
]


class Company(NamedTuple):
    """A company whose stages one engine has run, and what they said."""

    pipeline: Pipeline
    result: StageResult


@pytest.fixture(scope="module")
def log(
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    change: Callable[..., LogRecord],
) -> list[Entry]:
    """On time, late, sent again, in conflict, split, corrected, refused: what two engines could differ in."""
    generator = random.Random(3)
    first = "2026-10-15T02:00:00Z"
    log = [(first, record) for name in ("acme", "euro", "gone") for record in registered(name)]
    log.append((first, change("customer", "gone", "close", date(2026, 10, 16))))
    for number in range(90):
        customer_id = generator.choice(("acme", "euro", "gone", "nobody"))
        # Only known models have a price: the invoice of acme is blocked, that of euro is not.
        models = MODELS if customer_id == "acme" else MODELS[:2]
        fields: dict[str, object] = {
            "customer_id": customer_id,
            "quantity": generator.choice(QUANTITIES),
            "dimensions": {"model": generator.choice(models), "token_class": "output", "é.'z": "1"},
            "user_id": generator.choice((None, "u", "ü")),
            "session_id": generator.choice((None, "s")),
            "unit": generator.choice(UNITS.get(customer_id, ("token", "sheet"))),
        }
        if number % 7 == 0:
            fields |= {"billable": False, "reason_code": "internal_retry"}
        if fields["unit"] == "gb":
            fields["quantity"] = generator.choice(("0", "12345678.987654321", "0.000000001", "5", "5"))
        elif number % 5 == 0:
            fields |= {"customer_id": "acme", "unit": "token", "allocations": SHARES}
            fields["dimensions"] = {"model": MODELS[0], "token_class": "output"}
        received_at = ("2026-10-16T00:00:00.000001Z", "2026-10-16T00:30:00Z", "2026-10-16T12:00:00Z")[
            number // 30
        ]
        record = usage(f"{number}", generator.choice(MIDNIGHT), **fields)
        log.append((received_at, record))
        if number % 6 == 0:
            log.append((received_at, record))
        if number % 9 == 0:
            log.append((received_at, usage(f"{number}", MIDNIGHT[0], quantity="7")))
    last = "2026-10-16T13:00:00Z"
    for number in range(0, 90, 4):
        name, corrected = f"correction {number}", f"{generator.randrange(90)}"
        changes: tuple[dict[str, object], ...] = (
            {},
            {"action": "adjust", "quantity_delta": generator.choice(("7", "-1", "-0.000000001"))},
            {"action": "replace", "replacement": {"customer_id": "euro", "quantity": "2.5"}},
            {
                "action": "replace",
                "replacement": {"dimensions": {"model": MODELS[1], "token_class": "output"}},
            },
            {"action": "replace", "replacement": {"billable": generator.choice((True, False))}},
        )
        log.append((last, correction(name, corrected, MIDNIGHT[1], **generator.choice(changes))))
    log += [
        (last, usage("future", "2026-10-16T13:05:00.000001Z")),
        (last, usage("before-rules", "2023-10-31T23:59:59.5Z")),
        (last, usage("float", MIDNIGHT[0], quantity=0.5)),
        (last, parse(b'{"id": "\xff\x00"}')),
        (last, parse(b"a\x00b")),
        (last, correction("void", "1", MIDNIGHT[1])),
        (last, correction("void-again", "1", MIDNIGHT[1])),
        (last, correction("adjust", "2", MIDNIGHT[1], action="adjust", quantity_delta="-0.000000001")),
        (last, correction("move", "3", MIDNIGHT[1], action="replace", replacement={"customer_id": "euro"})),
        (last, correction("split", "10", MIDNIGHT[1], action="replace", replacement={"quantity": "3.3"})),
        (last, correction("of-nothing", "none", MIDNIGHT[1], note="why | not \\ so")),
    ]
    return log


@pytest.fixture(scope="module")
def companies(
    new_pipeline: Callable[[RuleBooks], Pipeline],
    spark_engine: Engine,
    receive: Callable[..., None],
    meter: Callable[[Pipeline, Sequence[date]], StageResult],
    log: list[Entry],
) -> tuple[Company, Company]:
    """The same log, landed by DuckDB as ever, through every stage by DuckDB and by Spark."""
    books = [
        replace(book, units=book.units | {"gb", "page"}, meters={**book.meters, **METERS})
        for book in load_rule_books(PROJECT_ROOT / "data" / "rule_books")
    ]
    made = []
    for engine in (None, spark_engine):
        pipeline = new_pipeline(RuleBooks(tuple(books)))
        if engine is not None:
            pipeline.engine = engine
        receive(pipeline, log)
        result = meter(pipeline, DAYS).then(restate(pipeline.workshop, DAYS))
        for stage in (rate, list_invoice_lines):
            result = result.then(stage(pipeline.workshop, PERIOD_END))
        made.append(Company(pipeline, result))
    return made[0], made[1]


def partitions(pipeline: Pipeline, table: Table) -> Iterator[tuple[PartitionKey, list[str]]]:
    """The partitions of a table that hold rows, each with its files."""
    files = pipeline.lake.files(table)
    for key in sorted({file.key for file in files}, key=str):
        yield key, [file.path for file in files if file.key == key]


def contents(pipeline: Pipeline, table: Table) -> dict[str, str]:
    """The canonical row hash of every partition, taken by DuckDB whoever wrote it."""
    with pipeline.duckdb.session() as session:
        return {str(key): row_hash(session, table, paths) for key, paths in partitions(pipeline, table)}


def rows_of(pipeline: Pipeline, table: Table) -> list[tuple[Any, ...]]:
    """All rows of a table, for a message that shows where two differ."""
    with pipeline.duckdb.session() as session:
        session.scan("listed", table, [file.path for file in pipeline.lake.files(table)])
        return session.rows("SELECT * FROM listed ORDER BY ALL")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_partition_has_the_same_rows(companies: tuple[Company, Company], table: Table) -> None:
    ours, theirs = companies
    if contents(theirs.pipeline, table) != contents(ours.pipeline, table):
        assert rows_of(theirs.pipeline, table) == rows_of(ours.pipeline, table)
        pytest.fail("the rows are equal to Python, and their canonical text is not")


def test_both_say_the_same_of_what_they_did(companies: tuple[Company, Company]) -> None:
    """Rows and counts of every partition, and the hash of those that are hashed by their rows, each by its engine."""

    def told(company: Company) -> list[tuple[object, ...]]:
        by_rows = {table.name for table in TABLES if table.hash_rows}
        return [
            (
                each.table,
                str(each.key),
                each.rows,
                each.counts,
                each.content_hash if each.table in by_rows else "",
            )
            for each in company.result.partitions
        ]

    assert told(companies[1]) == told(companies[0])


def test_the_log_holds_what_engines_could_differ_in(companies: tuple[Company, Company]) -> None:
    """Lines, rollups of both rule versions, many reasons to reject: the comparison is not one of nothing."""
    pipeline = companies[0].pipeline
    assert {str(key) for key, _ in partitions(pipeline, USAGE_ROLLUPS)} >= {
        "2026-10-15|2023-11-01",
        "2026-10-16|2023-11-01",
        "2026-10-16|2026-10-16",
    }
    outcomes = {
        row[DUPLICATE_USAGE_EVENTS.column_names.index("outcome")]
        for row in rows_of(pipeline, DUPLICATE_USAGE_EVENTS)
    }
    assert outcomes == {"duplicate", "conflict"}
    for table in (RESTATED_ROLLUPS, UNMETERED_USAGE, INVOICE_LINES, BLOCKED_INVOICES):
        assert rows_of(pipeline, table), table.name
    rollups, corrections = USAGE_ROLLUPS.column_names, USAGE_CORRECTIONS.column_names
    assert {row[rollups.index("meter")] for row in rows_of(pipeline, USAGE_ROLLUPS)} >= METERS.keys()
    outcomes = {row[corrections.index("outcome")] for row in rows_of(pipeline, USAGE_CORRECTIONS)}
    assert outcomes >= {"applied", "original_not_found", "effective_negative"}
    reasons = {
        row[REJECTED_USAGE_EVENTS.column_names.index("reason_code")]
        for row in rows_of(pipeline, REJECTED_USAGE_EVENTS)
    }
    assert reasons >= {
        "future_time",
        "no_rules_in_force",
        "customer_closed",
        "unknown_customer",
        "unknown_unit",
    }


@pytest.mark.parametrize(("faults", "days"), [(record_faults, DAYS), (line_faults, PERIOD_END)])
def test_conservation_holds_by_both(
    companies: tuple[Company, Company], faults: Callable[..., list[str]], days: Sequence[date]
) -> None:
    for company in companies:
        assert faults(company.pipeline.workshop, days) == []


@pytest.mark.torture
def test_rollups_are_complete_by_both(companies: tuple[Company, Company]) -> None:
    """Meter by meter and version by version: too many statements for Spark to be quick at."""
    for company in companies:
        assert rollup_faults(company.pipeline.workshop, DAYS) == []


def test_rollups_are_complete_by_the_embedded_engine(companies: tuple[Company, Company]) -> None:
    """Of what either engine has made."""
    for company in companies:
        workshop = replace(company.pipeline.workshop, engine=company.pipeline.duckdb)
        assert rollup_faults(workshop, DAYS) == []
