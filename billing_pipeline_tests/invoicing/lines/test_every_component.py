"""Two invoices with a line of every kind: what each line says of itself, and credits that come back.

October: 3,000 calls at 0.01, a seat, a discount, a maximum and a minimum, two coupons, 15.00 of credit. Then the calls
turn out to be a mistake.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from billing_pipeline.audit.conservation import credit_faults, line_faults
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.lake.overlay import OverlaidLake
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_book
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import RATED_CHARGES
from billing_pipeline.terminal.invoice_view import show_invoice

START, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
DAYS = [date(2026, 10, 5), date(2026, 10, 31), date(2026, 11, 4), date(2026, 11, 30)]
BOOK = """
version: "1"
effective_from: 2026-01-01T00:00:00Z
units: [call]
meters:
  calls: {unit: call, aggregation: sum}
plans:
  team:
    currency: usd
    charges:
      - {name: calls, meter: calls, price: {model: per_unit, unit_price: 0.01}}
      - {name: seats, price: {model: flat_fee, amount: 4.00, pay: in_arrears}}
    discounts: [{name: launch, percent: 10, applies_to: [calls]}]
    maximums: [{name: cap, amount: 25.00, applies_to: [calls]}]
    minimums: [{name: commitment, amount: 5.00, applies_to: [seats]}]
coupons:
  friends: {percent: 5, duration: forever}
  welcome: {amount: 1.00, currency: usd, duration: once}
"""


class Company(NamedTuple):
    pipeline: Pipeline
    read: Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def company(
    *,
    new_pipeline: Callable[..., Pipeline],
    usage: Callable[..., LogRecord],
    correction: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
    rows: Callable[..., list[tuple[Any, ...]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Company:
    path = tmp_path_factory.mktemp("book") / "1.yaml"
    path.write_text(BOOK, "utf-8")
    pipeline = new_pipeline(RuleBooks((load_rule_book(path),)))
    used, after = "2026-10-05T12:00:00Z", "2026-11-04T12:00:00Z"
    grant = {"amount": "15.00", "currency": "usd"}
    log = [
        *((used, record) for record in registered("acme", plan="team")),
        (used, change("credit_grant", "acme/hello", "grant", START, **grant)),
        (used, change("coupon", "acme/friends", "redeem", START, coupon="friends")),
        (used, change("coupon", "acme/welcome", "redeem", START, coupon="welcome")),
        (used, usage("calls", used, unit="call", dimensions={}, quantity="3000")),
        (after, correction("mistake", "calls", after)),
        (after, change("plan_assignment", "acme", "end", NOVEMBER)),
    ]
    receive(pipeline, log)
    close(pipeline, DAYS)
    return Company(pipeline, lambda query: rows(pipeline, query))


def lines(company: Company, end: date) -> list[tuple[Any, ...]]:
    return company.read(
        "SELECT component, charge || term, kind, reason, booked_before_minor, amount_minor FROM invoice_lines "
        f"WHERE period_end_day = DATE '{end}' ORDER BY ALL"
    )


def test_everything_around_usage_is_a_line(company: Company) -> None:
    """30.00 of calls, 3.00 off and 2.00 above the cap; 4.00 of seats and 1.00 up to the minimum; coupons, credit."""
    assert lines(company, DAYS[1]) == [
        ("coupon", "friends", "usage", "", 0, -1_50),
        ("credit", "hello", "usage", "", 0, -15_00),
        ("discount", "callslaunch", "usage", "", 0, -3_00),
        ("flat_fee", "seats", "usage", "", 0, 4_00),
        ("invoice_coupon", "welcome", "usage", "", 0, -1_00),
        ("maximum", "callscap", "usage", "", 0, -2_00),
        ("minimum", "seatscommitment", "usage", "", 0, 1_00),
        ("usage", "calls", "usage", "", 0, 30_00),
    ]


def test_credit_that_paid_what_was_no_usage_comes_back_before_money(company: Company) -> None:
    """23.75 less are 15.00 of credit, which the grant has again, and 8.75 of money."""
    assert lines(company, DAYS[3]) == [
        ("coupon", "friends", "adjustment", "other_usage", -1_50, 1_25),
        ("credit", "hello", "adjustment", "credit_given_back", -15_00, 15_00),
        ("discount", "callslaunch", "adjustment", "other_usage", -3_00, 3_00),
        ("maximum", "callscap", "adjustment", "other_usage", -2_00, 2_00),
        ("usage", "calls", "adjustment", "correction", 30_00, -30_00),
    ]
    assert line_faults(company.pipeline.workshop, DAYS) == []
    assert credit_faults(company.pipeline.workshop, DAYS) == []


def test_the_invoice_shows_what_came_back(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    show_invoice(company.pipeline, "acme", "2026-11", as_json=True)
    invoice = json.loads(capsys.readouterr().out)
    assert (invoice["before_credits"], invoice["total"]) == ("-23.75 USD", "-8.75 USD")
    (credit,) = [line for line in invoice["lines"] if line["component"] == "credit"]
    assert credit["description"] == "Credit hello: 15.00 USD of the 15.00 USD drawn for 2026-10 given back"


@pytest.mark.parametrize("period", ["2026-10", "2026-11"])
def test_every_line_says_what_it_rests_on(
    company: Company, period: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An id of its own, words, parts that add up to the unrounded amount, a digest, and its rollup partitions."""
    show_invoice(company.pipeline, "acme", period, as_json=True)
    found = json.loads(capsys.readouterr().out)["lines"]
    assert len({line["line_id"] for line in found}) == len(found)
    for line in found:
        assert len(line["line_id"]) == 32
        assert len(line["evidence_digest"]) == 64
        assert line["description"]
        parts = sum(Decimal(part["amount"]) for part in line["tiers"])
        assert parts == Decimal(line["amount_unrounded"]), line["component"]
        assert (line["quantity"] is not None) == (line["component"] in {"usage", "flat_fee"})
        booked = ["2026-10-05"] if period == "2026-10" else ["2026-10-05", "2026-11-04"]
        assert line["rollup_partitions"] == (booked if line["component"] == "usage" else [])


@pytest.mark.parametrize(
    ("amount", "fault"),
    [
        (
            "CASE component WHEN 'credit' THEN 1 ELSE amount_minor END",
            "acme usd: grant hello was given back more than it has paid: 1 minor units, at most 0",
        ),
        (
            "CASE component WHEN 'coupon' THEN 9999 ELSE amount_minor END",
            "acme usd: an invoice that gives credit back comes to: 9149 minor units, at most 0",
        ),
    ],
)
def test_credit_that_came_back_wrongly_is_found(
    company: Company, tmp_path: Path, amount: str, fault: str
) -> None:
    workshop, end = company.pipeline.workshop, DAYS[3]
    statement = tmp_path / "edit.sql"
    statement.write_text(f"SELECT * REPLACE ({amount} AS amount_minor) FROM part", "utf-8")
    scratch = OverlaidLake(company.pipeline.lake, tmp_path / "scratch")
    changed = scratch.new_file(RATED_CHARGES)
    with company.pipeline.engine.session() as session:
        files = company.pipeline.lake.files(RATED_CHARGES, [end])
        session.scan("part", RATED_CHARGES, [file.path for file in files])
        session.keep("edited", statement)
        session.write(RATED_CHARGES, "edited", changed)
    scratch.replace(RATED_CHARGES, [PartitionKey(end)], [changed])
    assert f"{end}: {fault}" in credit_faults(replace(workshop, lake=scratch), DAYS)
