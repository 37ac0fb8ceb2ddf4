"""What the pages calculate by hand is what the code calculates."""

import re
from datetime import date
from pathlib import Path

import pytest

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.metering.calendar import day_of
from billing_pipeline.metering.stage import SQL
from billing_pipeline.pipeline import calendar_of
from billing_pipeline.rating.rule_book_yaml import load_rule_books

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-a-number-is-made.md").read_text("utf-8")
INSTANT = r"\d{4}-\d\d-\d\dT[\d:.]+Z"
ROW = re.compile(
    rf"^\| ({INSTANT}) \| ({INSTANT}) \| ([\d-]+) \| ([\d-]+) \| ([\d-]*) ?\| (\w+) \|$", re.MULTILINE
)


@pytest.mark.parametrize("row", ROW.findall(PAGE))
def test_every_row_of_the_table_of_days_is_right(row: tuple[str, ...]) -> None:
    """Usage day, receipt day, posting day and lateness, under the demo's close policy."""
    calendar = calendar_of(load_rule_books(ROOT / "data" / "rule_books"))
    occurred_at, received_at = (instant_us(text) or 0 for text in row[:2])
    usage_day, receipt_day, posting_day, outcome = row[2:]
    lateness = calendar.lateness(occurred_at, received_at)
    late = calendar.posting_day(occurred_at, received_at) > day_of(occurred_at)
    assert day_of(occurred_at) == date.fromisoformat(usage_day)
    assert calendar.receipt_day(received_at) == date.fromisoformat(receipt_day)
    assert lateness == outcome
    if posting_day:
        assert calendar.posting_day(occurred_at, received_at) == date.fromisoformat(posting_day)
        assert late == (outcome == "late")


def test_the_table_of_days_is_there() -> None:
    """The pattern above finds the table's rows, across midnight and across the month's end."""
    assert len(ROW.findall(PAGE)) == len(re.findall(rf"^\| {INSTANT}", PAGE, re.MULTILINE)) > 0


def test_the_order_of_rejections_is_that_of_the_statement() -> None:
    """The numbered list has the codes of `classified.sql`, in its order."""
    decided = re.findall(r"THEN '(\w+)'", (SQL / "classified.sql").read_text("utf-8"))
    listed = re.findall(r"^\d+\. `(\w+)`", PAGE, re.MULTILINE)
    # A customer without any such project is told apart from a project only, wherever that is decided.
    assert listed.index("unknown_customer") == listed.index("unknown_project") - 1
    # A payer of a split event is rejected for one of the codes before.
    assert [code for code in listed if code != "unknown_customer"] == [
        code for code in decided if code not in ("unknown_customer", "payer")
    ]
