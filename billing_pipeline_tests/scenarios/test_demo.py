"""The simulated company's month: every record is accounted for, invoices agree, doing it again does nothing."""

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from billing_pipeline.demo.company import company_log, expected_outcomes
from billing_pipeline.settings import PROJECT_ROOT

Sql = Callable[[Path, str], list[dict[str, Any]]]

OUTCOMES = """
    SELECT CASE WHEN NOT billable THEN 'not_billable' WHEN posting_day > usage_day THEN 'late' ELSE 'valid' END
        AS outcome, count(*) AS records FROM unique_usage_events WHERE allocation_index = 0 GROUP BY ALL
    UNION ALL SELECT outcome, count(*) FROM duplicate_usage_events GROUP BY ALL
    UNION ALL SELECT 'correction:' || outcome, count(DISTINCT queue_offset) FROM usage_corrections GROUP BY ALL
    UNION ALL SELECT 'rejected:' || reason_code, count(*) FROM rejected_usage_events GROUP BY ALL
    UNION ALL SELECT 'control', count(*) FROM registry_changes
"""


def test_every_record_sent_is_found_with_the_outcome_it_was_sent_for(
    demo_home: tuple[Path, str], sql: Sql
) -> None:
    """Nothing is dropped, nothing is counted twice, and what is refused is refused for the expected reason."""
    home, printed = demo_home
    expected = expected_outcomes(company_log())
    assert {row["outcome"]: row["records"] for row in sql(home, OUTCOMES)} == expected
    assert sql(home, "SELECT count(*) AS records FROM raw_usage_events") == [
        {"records": sum(expected.values())}
    ]
    assert "differs" not in printed
    for outcome, count in expected.items():
        line = next(line for line in printed.splitlines() if f" {outcome} " in line)
        assert line.count(f"{count:,}") == 2


def test_the_printed_invoice_its_json_and_stripe_say_the_same_total(
    demo_home: tuple[Path, str],
    billing: Callable[..., str],
    stripe_invoices: Callable[[Path], list[dict[str, Any]]],
) -> None:
    """One amount per customer, wherever it is looked at."""
    home, printed = demo_home
    in_stripe = stripe_invoices(home)
    assert {invoice["status"] for invoice in in_stripe} == {"open"}
    assert len({invoice["customer_id"] for invoice in in_stripe}) == len(in_stripe) == 6
    for invoice in in_stripe:
        document = json.loads(billing(home, "invoice", "show", invoice["customer_id"], "2026-10", "--json"))
        assert document["total_minor"] == invoice["total"]
        assert document["total_minor"] == sum(line["amount_minor"] for line in document["lines"])
        listed = next(
            line
            for line in printed.splitlines()
            if f" {invoice['customer_id']} " in line and " 2026-10 " in line
        )
        assert f" {document['total']} " in listed
    shown = json.loads(billing(home, "invoice", "show", "cobalt-robotics", "2026-10", "--json"))
    total = next(line for line in printed.splitlines() if " Total " in line)
    assert f" {shown['total']} " in total


def test_the_readme_shows_what_the_demo_prints(demo_home: tuple[Path, str]) -> None:
    """Every line of the README's first excerpt is a line of the demo's output, but for the width of columns."""
    _, printed = demo_home
    readme = (PROJECT_ROOT / "README.md").read_text("utf-8")
    excerpt = re.findall(r"^```text\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)[0]
    for line in excerpt.splitlines():
        assert re.sub(r" +", " ", line) in re.sub(r" +", " ", printed)


def test_the_demo_and_the_close_done_again_change_nothing(
    demo_home: tuple[Path, str],
    billing: Callable[..., str],
    hashes: Callable[..., dict[str, str]],
    stripe_invoices: Callable[[Path], list[dict[str, Any]]],
) -> None:
    """The same hashes, the same invoices in Stripe, and not one request more to it."""
    home, _ = demo_home
    before = hashes(home), stripe_invoices(home), _requests(home)
    assert len(before[0]) > 70
    assert "Nothing to close" in billing(home, "demo")
    assert "Nothing to close" in billing(home, "close", "--through", "2026-11-04")
    assert (hashes(home), stripe_invoices(home), _requests(home)) == before


def test_late_usage_of_the_month_waits_for_the_next_invoice(demo_home: tuple[Path, str], sql: Sql) -> None:
    """October's usage that arrives in November is metered on its posting day, under October's rules."""
    home, _ = demo_home
    late = sql(
        home,
        "SELECT DISTINCT usage_day < '2026-11-01' AS of_october, rule_version FROM usage_rollups "
        "WHERE posting_day >= '2026-11-02' AND usage_day < posting_day",
    )
    assert {"of_october": True, "rule_version": "2026-10-16"} in late
    assert sql(home, "SELECT DISTINCT period_end_day FROM invoice_lines") == [
        {"period_end_day": "2026-10-31"}
    ]


def _requests(home: Path) -> int:
    with sqlite3.connect(home / "control.sqlite") as control:
        return int(control.execute("SELECT count(*) FROM stripe_requests").fetchone()[0])
