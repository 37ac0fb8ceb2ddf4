"""A quarter of several customers, rated: tiers over two rule versions, late usage, blocked invoices, anchor days.

Prices are those of the project's rule books: tool calls under the plan `growth` cost 1 cent up to 1,000 in the
period, then 0.7 (from 16 October 2026 on 0.6) cents; 1,000,000 output tokens of atlas-large cost 15 (12) dollars.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, NamedTuple

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.invoicing.lines.rating_stage import list_invoice_lines, rate
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline

OLD, NEW = "2023-11-01", "2026-10-16"
OCTOBER, NOVEMBER, DECEMBER = date(2026, 10, 31), date(2026, 11, 30), date(2026, 12, 31)
MILLION = "1000000"


class Company(NamedTuple):
    pipeline: Pipeline
    days: list[date]
    result: StageResult
    rows: Callable[..., list[tuple[Any, ...]]]

    def lines(self, customer_id: str, period_end: date, columns: str) -> list[tuple[Any, ...]]:
        return self.rows(
            self.pipeline,
            f"SELECT {columns} FROM invoice_lines WHERE customer_id = '{customer_id}' "
            f"AND period_end_day = DATE '{period_end}' ORDER BY ALL",
        )

    def blocked(self, customer_id: str) -> list[tuple[Any, ...]]:
        return self.rows(
            self.pipeline,
            "SELECT period_end_day, reason_code, usage_period, message FROM blocked_invoices "
            f"WHERE customer_id = '{customer_id}' ORDER BY ALL",
        )


@pytest.fixture(scope="module")
def company(
    *,
    new_pipeline: Callable[[], Pipeline],
    usage: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
    rows: Callable[..., list[tuple[Any, ...]]],
) -> Company:
    def tokens(event_id: str, customer_id: str, occurred_at: str) -> LogRecord:
        return usage(event_id, occurred_at, customer_id=customer_id, quantity=MILLION)

    def calls(event_id: str, customer_id: str, occurred_at: str, quantity: str) -> LogRecord:
        fields = {"unit": "call", "dimensions": {"tool": "web_search"}, "quantity": quantity}
        return usage(event_id, occurred_at, customer_id=customer_id, **fields)

    first = "2026-10-02T12:00:00Z"
    log = [
        (first, record)
        for record in (
            *registered("acme"),
            *registered("euro", plan="enterprise"),
            *registered("mid", anchor_day=15),
            *registered("slow", plan=None),
            *registered("part", plan=None),
            change("plan_assignment", "part", "assign", date(2026, 11, 1), plan="starter"),
            *registered("odd"),
            *registered("switch"),
        )
    ]
    log += [
        ("2026-10-05T12:00:00Z", calls("a1", "acme", "2026-10-05T12:00:00Z", "900")),
        ("2026-10-05T12:00:00Z", tokens("e1", "euro", "2026-10-05T12:00:00Z")),
        ("2026-10-05T12:00:00Z", tokens("s1", "slow", "2026-10-05T12:00:00Z")),
        ("2026-10-05T12:00:00Z", calls("w1", "switch", "2026-10-05T12:00:00Z", "100")),
        ("2026-10-05T12:00:00Z", usage("o1", "2026-10-05T12:00:00Z", customer_id="odd")),
        (
            "2026-10-05T12:00:00Z",
            usage("o2", "2026-10-05T12:00:00Z", customer_id="odd", dimensions={"model": "secret"}),
        ),
        ("2026-10-15T00:30:00Z", tokens("m1", "mid", "2026-10-14T23:59:59.999999Z")),
        ("2026-10-15T00:30:00Z", tokens("m2", "mid", "2026-10-15T00:00:00Z")),
        ("2026-10-20T12:00:00Z", calls("a2", "acme", "2026-10-20T12:00:00Z", "200")),
        # after October has been closed
        ("2026-11-04T12:00:00Z", calls("a3", "acme", "2026-10-10T12:00:00Z", "100")),
        ("2026-11-04T12:00:00Z", calls("a4", "acme", "2026-10-20T12:00:00Z", "100")),
        ("2026-11-04T12:00:00Z", tokens("s2", "slow", "2026-11-04T12:00:00Z")),
        ("2026-11-04T12:00:00Z", tokens("p1", "part", "2026-11-04T12:00:00Z")),
        ("2026-11-04T12:00:00Z", tokens("p2", "part", "2026-10-30T12:00:00Z")),
        (
            "2026-11-04T12:00:00Z",
            change("plan_assignment", "switch", "assign", date(2026, 10, 1), plan="starter"),
        ),
        ("2026-11-04T12:00:00Z", calls("w2", "switch", "2026-10-20T12:00:00Z", "100")),
        ("2026-11-04T12:00:00Z", calls("w3", "switch", "2026-11-04T12:00:00Z", "100")),
        # after November has been closed
        ("2026-12-02T12:00:00Z", calls("a5", "acme", "2026-10-31T12:00:00Z", "100")),
        (
            "2026-12-02T12:00:00Z",
            change("plan_assignment", "slow", "assign", date(2026, 10, 1), plan="starter"),
        ),
        (
            "2026-12-02T12:00:00Z",
            change("plan_assignment", "part", "assign", date(2026, 10, 1), plan="starter"),
        ),
        ("2026-12-02T12:00:00Z", tokens("s3", "slow", "2026-12-02T12:00:00Z")),
    ]
    pipeline = new_pipeline()
    receive(pipeline, log)
    days = [date(2026, 10, day) for day in (2, 5, 14, 15, 20, 31)]
    days += [date(2026, 11, day) for day in (4, 14, 30)] + [date(2026, 12, day) for day in (2, 14, 31)]
    return Company(pipeline, days, close(pipeline, days), rows)


def test_tiers_pool_over_both_rule_versions_and_each_prices_its_own_stretch(company: Company) -> None:
    """900 calls under the old rules; then the first tier's last 100 and 100 of the second under the new ones."""
    lines = company.lines("acme", OCTOBER, "rule_version, quantity, amount_minor, kind")
    assert lines == [(OLD, 900, 900, "usage"), (NEW, 200, 160, "usage")]


def test_late_usage_books_the_difference_into_the_invoice_after_and_shifts_the_tiers(
    company: Company,
) -> None:
    """Now 1,000 calls fill the first tier under the old rules, and all 300 later ones are of the second tier."""
    columns = "rule_version, quantity, booked_before_minor, amount_minor, kind, usage_period, billing_period"
    october, november = date(2026, 10, 1), date(2026, 11, 1)
    assert company.lines("acme", NOVEMBER, columns) == [
        (OLD, 1000, 900, 100, "adjustment", october, november),
        (NEW, 300, 160, 20, "adjustment", october, november),
    ]


def test_adjustments_of_several_invoices_add_up_to_the_whole_of_the_usage_period(company: Company) -> None:
    assert company.lines("acme", DECEMBER, "rule_version, quantity, booked_before_minor, amount_minor") == [
        (NEW, 400, 180, 60)
    ]
    booked = company.rows(
        company.pipeline,
        "SELECT rule_version, sum(amount_minor) FROM invoice_lines WHERE customer_id = 'acme' "
        "GROUP BY rule_version ORDER BY rule_version",
    )
    assert booked == [(OLD, 1000), (NEW, 240)]


def test_a_line_names_the_rollup_partitions_that_its_whole_rests_on(company: Company) -> None:
    """The posting days of its rollup rows, up to the invoice's end: late ones too, never those of later invoices."""
    days = "rule_version, rollup_partitions"
    assert company.lines("acme", OCTOBER, days) == [(OLD, '["2026-10-05"]'), (NEW, '["2026-10-20"]')]
    assert company.lines("acme", NOVEMBER, days) == [
        (OLD, '["2026-10-05","2026-11-04"]'),
        (NEW, '["2026-10-20","2026-11-04"]'),
    ]
    assert company.lines("acme", DECEMBER, days) == [(NEW, '["2026-10-20","2026-11-04","2026-12-02"]')]
    unlike = company.rows(
        company.pipeline,
        """
        WITH rests AS (
            SELECT l.line_id, to_json(list(DISTINCT r.posting_day ORDER BY r.posting_day))::VARCHAR AS days
            FROM invoice_lines AS l INNER JOIN usage_rollups AS r
                ON r.customer_id = l.customer_id AND r.project_id = l.project_id AND r.meter = l.meter
                AND r.dimensions = l.dimensions AND r.rule_version = l.rule_version
                AND r.posting_day <= l.period_end_day
                AND r.usage_day >= l.usage_period AND r.usage_day < l.usage_period + INTERVAL 1 MONTH
            WHERE l.component = 'usage' GROUP BY l.line_id
        )
        SELECT l.line_id FROM invoice_lines AS l LEFT JOIN rests AS r ON l.line_id = r.line_id
        WHERE l.rollup_partitions IS DISTINCT FROM coalesce(r.days, '[]')
        """,
    )
    assert unlike == []


def test_an_invoice_is_in_the_currency_of_its_plan(company: Company) -> None:
    assert company.lines("euro", OCTOBER, "currency, amount_minor") == [("eur", 1200)]
    assert company.lines("acme", OCTOBER, "DISTINCT currency") == [("usd",)]


def test_a_period_with_an_anchor_day_ends_in_the_middle_of_the_month(company: Company) -> None:
    columns = "billing_period, usage_period, amount_minor"
    first, second = date(2026, 9, 15), date(2026, 10, 15)
    assert company.lines("mid", date(2026, 10, 14), columns) == [(first, first, 1500)]
    assert company.lines("mid", date(2026, 11, 14), columns) == [(second, second, 1500)]
    assert company.lines("mid", OCTOBER, columns) == []


def test_usage_without_a_plan_blocks_the_invoice_and_says_what_is_missing(company: Company) -> None:
    october, november = date(2026, 10, 1), date(2026, 11, 1)
    found = company.blocked("slow")
    assert [row[:3] for row in found] == [
        (OCTOBER, "unpriced_usage", october),
        (NOVEMBER, "unpriced_usage", october),
        (NOVEMBER, "unpriced_usage", november),
    ]
    assert all("plan" in row[3] for row in found)
    assert company.lines("slow", OCTOBER, "*") == company.lines("slow", NOVEMBER, "*") == []


def test_a_plan_assigned_afterwards_is_used_at_the_first_rating_that_succeeds(company: Company) -> None:
    """It was entered after October and November had been closed; until then nothing had been booked for them."""
    assert company.lines("slow", DECEMBER, "usage_period, kind, amount_minor") == [
        (date(2026, 10, 1), "adjustment", 1500),
        (date(2026, 11, 1), "adjustment", 1200),
        (date(2026, 12, 1), "usage", 1200),
    ]


def test_what_had_a_price_in_a_blocked_invoice_is_billed_by_the_next_one_too(company: Company) -> None:
    """November's own usage was priced all along; late usage of October held the whole invoice back."""
    assert [row[:3] for row in company.blocked("part")] == [(NOVEMBER, "unpriced_usage", date(2026, 10, 1))]
    assert company.lines("part", NOVEMBER, "*") == []
    assert company.lines("part", DECEMBER, "usage_period, amount_minor") == [
        (date(2026, 10, 1), 1200),
        (date(2026, 11, 1), 1200),
    ]


def test_an_unpriced_model_blocks_its_customer_and_is_named(company: Company) -> None:
    (october, november, december) = company.blocked("odd")
    assert [row[0] for row in (october, november, december)] == [OCTOBER, NOVEMBER, DECEMBER]
    assert "secret" in october[3]
    assert OLD in october[3]
    assert company.lines("odd", OCTOBER, "*") == []


def test_a_plan_change_entered_after_a_period_was_rated_does_not_touch_it(company: Company) -> None:
    """October's late usage still costs what October's plan says; under the new plan tool calls are free."""
    assert company.lines("switch", OCTOBER, "plan, amount_minor") == [("growth", 100)]
    assert company.lines("switch", NOVEMBER, "plan, usage_period, amount_minor") == [
        ("growth", date(2026, 10, 1), 100)
    ]


def test_rating_again_writes_the_same_partitions(company: Company) -> None:
    def hashes(result: StageResult) -> set[tuple[str, str, str]]:
        tables = ("rated_charges", "blocked_invoices", "invoice_lines")
        return {
            (each.table, str(each.key), each.content_hash)
            for each in result.partitions
            if each.table in tables and each.key.day in (OCTOBER, NOVEMBER)
        }

    workshop = company.pipeline.workshop
    again = rate(workshop, [NOVEMBER, OCTOBER]).then(list_invoice_lines(workshop, [OCTOBER, NOVEMBER]))
    assert len(hashes(again)) == 6
    assert hashes(again) <= hashes(company.result)
