"""A quarter under contracts: fees, credits, a price added later, a plan that ends, a re-rating, in the tables.

Under v1 a call costs 1 cent, under v2 (from December on) 2; the plan `pro` costs 31.00 a month in advance.
"""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.invoicing.lines.rating_stage import rate
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import RuleBook, RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_book

OCTOBER, NOVEMBER, DECEMBER = date(2026, 10, 31), date(2026, 11, 30), date(2026, 12, 31)
BOOK = """
version: {version}
effective_from: {start}T00:00:00Z
units: [call]
meters:
  calls: {{unit: call, aggregation: sum, group_by: [tool]}}
plans:
  pro:
    currency: usd
    charges:
      - {{name: seat, price: {{model: flat_fee, amount: 31.00, pay: in_advance}}}}
      - name: calls
        meter: calls
        price:
          model: per_unit
          table: {{currency: usd, by: [tool], rows: [{{match: {{tool: search}}, unit_price: {price}}}]}}
"""


class Company(NamedTuple):
    pipeline: Pipeline
    days: list[date]
    result: StageResult
    read: Callable[[str], list[tuple[Any, ...]]]


def book(folder: Path, version: str, start: str, price: str) -> RuleBook:
    path = folder / f"{version}.yaml"
    path.write_text(dedent(BOOK.format(version=version, start=start, price=price)), "utf-8")
    return load_rule_book(path)


@pytest.fixture(scope="module")
def company(
    *,
    tmp_path_factory: pytest.TempPathFactory,
    new_pipeline: Callable[..., Pipeline],
    usage: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
    rows: Callable[..., list[tuple[Any, ...]]],
) -> Company:
    folder = tmp_path_factory.mktemp("books")
    books = RuleBooks((book(folder, "v1", "2026-01-01", "0.01"), book(folder, "v2", "2026-12-01", "0.02")))
    pipeline = new_pipeline(books)

    def calls(customer_id: str, occurred_at: str, quantity: int, tool: str = "search") -> LogRecord:
        fields = {"unit": "call", "dimensions": {"tool": tool}, "quantity": str(quantity)}
        return usage(f"{customer_id}-{occurred_at}-{tool}", occurred_at, customer_id=customer_id, **fields)

    def on(moment: str, *records: LogRecord) -> list[tuple[str, LogRecord]]:
        return [(moment, record) for record in records]

    october = date(2026, 10, 1)
    starts = [registered(name, plan=None) for name in ("acme", "quiet", "gap")]
    log = on(
        "2026-10-01T12:00:00Z",
        *(record for records in starts for record in records),
        change("plan_assignment", "acme", "assign", october, plan="pro", until="2026-12-16"),
        change("plan_assignment", "quiet", "assign", date(2026, 10, 22), plan="pro"),
        change("plan_assignment", "gap", "assign", october, plan="pro"),
        change("credit_grant", "acme/welcome", "grant", october, amount="50.00", currency="usd"),
        calls("acme", "2026-10-01T11:00:00Z", 1000),
        calls("gap", "2026-10-01T11:30:00Z", 100),
        calls("gap", "2026-10-01T11:31:00Z", 100, "new_tool"),
    )
    log += on("2026-11-05T12:00:00Z", calls("acme", "2026-10-20T12:00:00Z", 500))
    row = {"match": {"tool": "new_tool"}, "unit_price": "0.05", "per": "1"}
    added = {"name": "new-tool", "charge": "calls", "rows": [row]}
    log += on("2026-11-06T12:00:00Z", change("plan_override", "pro", "override", october, **added))
    again = {"usage_period": "2026-10-01", "rules": "v2", "who": "finance", "why": "agreed in review"}
    log += on("2026-12-03T12:00:00Z", change("rerating", "acme", "rerate", **again))
    log += on("2027-01-02T00:00:00Z", calls("quiet", "2027-01-01T23:00:00Z", 1))
    receive(pipeline, log)
    days = [
        *(date(2026, 10, 1), OCTOBER, date(2026, 11, 5), date(2026, 11, 6), NOVEMBER),
        *(date(2026, 12, 3), DECEMBER),
    ]
    result = close(pipeline, days)
    return Company(pipeline, days, result, lambda query: rows(pipeline, query))


def lines(company: Company, customer_id: str, end: date) -> list[tuple[Any, ...]]:
    return company.read(
        "SELECT usage_period, component, charge || term, kind, amount_minor, reason FROM invoice_lines "
        f"WHERE customer_id = '{customer_id}' AND period_end_day = DATE '{end}' ORDER BY ALL"
    )


def test_fees_in_advance_usage_and_credits_make_the_first_invoice(company: Company) -> None:
    """10.00 of calls, the seat of October and of November, less 50.00 of credit."""
    october, november = date(2026, 10, 1), date(2026, 11, 1)
    assert lines(company, "acme", OCTOBER) == [
        (october, "credit", "welcome", "usage", -50_00, ""),
        (october, "flat_fee", "seat", "usage", 31_00, ""),
        (october, "usage", "calls", "usage", 10_00, ""),
        (november, "flat_fee", "seat", "usage", 31_00, ""),
    ]


def test_late_usage_is_an_adjustment_with_its_reason_and_the_next_seat_is_prorated(company: Company) -> None:
    """The plan ends in mid-December, which was known."""
    assert lines(company, "acme", NOVEMBER) == [
        (date(2026, 10, 1), "usage", "calls", "adjustment", 5_00, "late_usage"),
        (date(2026, 12, 1), "flat_fee", "seat", "usage", 15_00, ""),
    ]
    ((before, after, booked, as_of),) = company.read(
        "SELECT quantity_before, quantity, booked_before_minor, rated_as_of FROM invoice_lines "
        f"WHERE customer_id = 'acme' AND period_end_day = DATE '{NOVEMBER}' AND component = 'usage'"
    )
    assert (before, after, booked, as_of) == (1000, 1500, 10_00, OCTOBER)


def test_a_re_rating_books_the_difference_and_says_who_and_why(company: Company) -> None:
    """1,500 calls at 2 cents are 30.00, of which 15.00 were booked."""
    assert lines(company, "acme", DECEMBER) == [
        (date(2026, 10, 1), "usage", "calls", "adjustment", 15_00, "rerating")
    ]
    assert company.read(
        "SELECT usage_period, rated_as_of, rules, rerated_by, rerated_why FROM rated_periods "
        f"WHERE customer_id = 'acme' AND period_end_day = DATE '{DECEMBER}' AND rules IS NOT NULL"
    ) == [(date(2026, 10, 1), DECEMBER, "v2", "finance", "agreed in review")]


def test_a_customer_without_usage_owes_its_fees_from_its_first_day(company: Company) -> None:
    """Ten of 31 days, and the next month in advance; afterwards one month each."""
    assert [line[4] for line in lines(company, "quiet", OCTOBER)] == [10_00, 31_00]
    assert [line[4] for line in lines(company, "quiet", NOVEMBER)] == [31_00]


def test_a_price_added_later_is_used_by_the_next_invoice_which_answers_for_both(company: Company) -> None:
    """Nobody else was held back, and the version that had been used did not change."""
    assert company.read(
        "SELECT customer_id, period_end_day, reason_code FROM blocked_invoices ORDER BY ALL"
    ) == [("gap", OCTOBER, "unpriced_usage")]
    october, november = date(2026, 10, 1), date(2026, 11, 1)
    assert lines(company, "gap", OCTOBER) == []
    assert lines(company, "gap", NOVEMBER) == [
        (october, "flat_fee", "seat", "adjustment", 31_00, "blocked_before"),
        (october, "usage", "calls", "adjustment", 1_00, "blocked_before"),
        (october, "usage", "callsnew-tool", "adjustment", 5_00, "blocked_before"),
        (november, "flat_fee", "seat", "usage", 31_00, ""),
        (date(2026, 12, 1), "flat_fee", "seat", "usage", 31_00, ""),
    ]


def test_lines_of_no_usage_name_no_rollup_partitions(company: Company) -> None:
    """Fees and credits do not; usage does, also where a re-rating prices it, or the invoice before was held back."""
    found = company.read(
        "SELECT component, customer_id, period_end_day, rollup_partitions FROM invoice_lines "
        "WHERE customer_id <> 'quiet' ORDER BY ALL"
    )
    assert {days for component, _, _, days in found if component != "usage"} == {"[]"}
    assert [(customer, end, days) for component, customer, end, days in found if component == "usage"] == [
        ("acme", OCTOBER, '["2026-10-01"]'),
        ("acme", NOVEMBER, '["2026-10-01","2026-11-05"]'),
        ("acme", DECEMBER, '["2026-10-01","2026-11-05"]'),
        ("gap", NOVEMBER, '["2026-10-01"]'),
        ("gap", NOVEMBER, '["2026-10-01"]'),
    ]


def test_rated_again_it_is_the_same_to_the_byte(company: Company) -> None:
    """Charges, rated periods and blocked invoices, made anew from the same tables."""
    before = {(each.table, each.key): each.content_hash for each in company.result.partitions}
    again = rate(company.pipeline.workshop, company.days)
    assert {(each.table, each.key): each.content_hash for each in again.partitions}.items() <= before.items()
