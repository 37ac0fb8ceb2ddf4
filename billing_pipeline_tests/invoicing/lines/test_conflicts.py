"""Conflicts under the policy `block_customer`: whose invoices they hold back, and what settles them."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import ConflictPolicy, RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.settings import PROJECT_ROOT

DAYS = [date(2026, 10, 5), date(2026, 10, 31), date(2026, 11, 3), date(2026, 11, 30)]
OCTOBER, NOVEMBER = "2026-10-05T12:00:00Z", "2026-11-03T12:00:00Z"


def under(policy: ConflictPolicy) -> RuleBooks:
    books = load_rule_books(PROJECT_ROOT / "data" / "rule_books")
    return RuleBooks(
        tuple(
            dataclasses.replace(
                book, close_policy=dataclasses.replace(book.close_policy, conflict_policy=policy)
            )
            for book in books
        )
    )


@pytest.fixture(scope="module")
def log(
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
) -> list[tuple[str, LogRecord]]:
    """Two ids with different contents: one of acme alone, one that acme and then beta claim; gamma has none."""
    large = "1000000"
    return [
        *((OCTOBER, record) for name in ("acme", "beta", "gamma") for record in registered(name)),
        *(
            (OCTOBER, usage(f"own-{name}", OCTOBER, customer_id=name, quantity=large))
            for name in ("acme", "beta", "gamma")
        ),
        (OCTOBER, usage("growing", OCTOBER, quantity="1")),
        (OCTOBER, usage("growing", OCTOBER, quantity="2")),
        (OCTOBER, usage("whose", OCTOBER)),
        (OCTOBER, usage("whose", OCTOBER, customer_id="beta")),
        *(
            (NOVEMBER, usage(f"more-{name}", NOVEMBER, customer_id=name, quantity=large))
            for name in ("acme", "beta", "gamma")
        ),
        (
            NOVEMBER,
            correction("settles", "growing", NOVEMBER, action="replace", replacement={"quantity": "1"}),
        ),
    ]


@pytest.fixture(scope="module")
def close_under(
    new_pipeline: Callable[[RuleBooks], Pipeline],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Callable[..., Pipeline]:
    def run(policy: ConflictPolicy, log: list[tuple[str, LogRecord]]) -> Pipeline:
        pipeline = new_pipeline(under(policy))
        receive(pipeline, log)
        close(pipeline, DAYS)
        return pipeline

    return run


def blocked(pipeline: Pipeline, rows: Callable[..., list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    query = "SELECT period_end_day, customer_id, reason_code, count(*) FROM blocked_invoices GROUP BY ALL ORDER BY ALL"
    return rows(pipeline, query)


def test_a_conflict_holds_back_both_customers_until_a_correction_of_the_event_settles_it(
    close_under: Callable[..., Pipeline],
    log: list[tuple[str, LogRecord]],
    rows: Callable[..., list[tuple[Any, ...]]],
) -> None:
    """In November acme's first conflict is settled, by a correction that changes nothing; the second one is not."""
    pipeline = close_under("block_customer", log)
    october, november = DAYS[1], DAYS[3]
    assert blocked(pipeline, rows) == [
        (october, "acme", "conflict", 2),
        (october, "beta", "conflict", 1),
        (november, "acme", "conflict", 1),
        (november, "beta", "conflict", 1),
    ]
    billed = rows(pipeline, "SELECT DISTINCT period_end_day, customer_id FROM invoice_lines ORDER BY ALL")
    assert billed == [(october, "gamma"), (november, "gamma")]
    (message,) = rows(pipeline, "SELECT DISTINCT message FROM blocked_invoices WHERE customer_id = 'beta'")[0]
    assert "the event app whose of 2026-10-05 came again on 2026-10-05 with other content" in message
    assert "correction" in message


def test_once_all_are_settled_the_next_invoice_answers_for_the_blocked_one_too(
    close_under: Callable[..., Pipeline],
    log: list[tuple[str, LogRecord]],
    correction: Callable[..., LogRecord],
    rows: Callable[..., list[tuple[Any, ...]]],
) -> None:
    mine = correction("mine", "whose", NOVEMBER, action="replace", replacement={"project_id": "p"})
    pipeline = close_under("block_customer", [*log, (NOVEMBER, mine)])
    assert {row[0] for row in blocked(pipeline, rows)} == {DAYS[1]}
    billed = rows(
        pipeline,
        "SELECT customer_id, usage_period FROM invoice_lines WHERE period_end_day = '2026-11-30' ORDER BY ALL",
    )
    periods = (date(2026, 10, 1), date(2026, 11, 1))
    assert {row for row in billed if row[0] != "gamma"} == {
        (name, day) for name in ("acme", "beta") for day in periods
    }


def test_under_report_a_conflict_blocks_nobody(
    close_under: Callable[..., Pipeline],
    log: list[tuple[str, LogRecord]],
    rows: Callable[..., list[tuple[Any, ...]]],
) -> None:
    assert blocked(close_under("report", log), rows) == []
