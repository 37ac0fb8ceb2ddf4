"""Fees, discounts, minimums, credits, overrides and trials downstream of rating: shown, pushed, traced and proven."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.audit.conservation import credit_faults, line_faults
from billing_pipeline.audit.replay import replay
from billing_pipeline.audit.report import EVERY_DAY
from billing_pipeline.audit.trace_event import trace_event
from billing_pipeline.audit.trace_line import LineTrace, trace_line
from billing_pipeline.audit.verify import verify
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.invoicing.period_close.push_stage import planned_invoices
from billing_pipeline.invoicing.push.planned import PlannedLine
from billing_pipeline.lake.overlay import OverlaidLake
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_book
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import RATED_CHARGES
from billing_pipeline.terminal.invoice_view import show_invoice
from billing_pipeline.terminal.trace_report import show_line
from billing_pipeline_tests.audit.conftest import record_company

OCTOBER, NOVEMBER = date(2026, 10, 31), date(2026, 11, 30)
DAYS = [date(2026, 10, 5), date(2026, 10, 20), OCTOBER, date(2026, 11, 4), NOVEMBER]
EARLY, MID, AFTER = "2026-10-05T12:00:00Z", "2026-10-20T12:00:00Z", "2026-11-04T12:00:00Z"
BOOK = """
version: "1"
effective_from: 2026-01-01T00:00:00Z
units: [call, usd]
meters:
  calls: {unit: call, aggregation: sum}
  payments: {unit: usd, aggregation: sum, group_by: [method, amount]}
plans:
  team:
    currency: usd
    charges:
      - {name: calls, meter: calls, price: {model: per_unit, unit_price: 0.01}}
      - name: payments
        meter: payments
        price: {model: percentage, percent: 1, per_event_max: 5.00, amount_dimension: amount}
      - {name: seats, price: {model: flat_fee, amount: 20.00, pay: in_arrears, prorate: true}}
    discounts: [{name: launch, percent: 10, applies_to: [calls]}]
    minimums: [{name: commitment, amount: 100.00, prorate: true}]
  other:
    currency: usd
    charges:
      - {name: calls, meter: calls, price: {model: per_unit, unit_price: 0.02}}
      - {name: base, price: {model: flat_fee, amount: 5.00, pay: in_advance, prorate: true}}
    not_charged: [payments]
"""
Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def terms(
    *,
    new_pipeline: Callable[..., Pipeline],
    usage: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
    tmp_path_factory: pytest.TempPathFactory,
) -> Pipeline:
    """Three customers: acme with an override and a grant, fresh on trial, moved to another plan after the close."""

    def calls(event_id: str, customer_id: str, occurred_at: str, quantity: str = "1000") -> LogRecord:
        fields = {"unit": "call", "dimensions": {}, "quantity": quantity, "customer_id": customer_id}
        return usage(event_id, occurred_at, **fields)

    def paid(event_id: str, amount: str) -> LogRecord:
        dimensions = {"method": "card", "amount": amount}
        return usage(event_id, MID, unit="usd", dimensions=dimensions, quantity=amount)

    start, price = date(2026, 10, 1), {"model": "per_unit", "unit_price": "0.005"}
    grant: dict[str, object] = {"amount": "30.00", "currency": "usd", "reason": "pilot"}
    log = [
        *((EARLY, record) for record in registered("acme", plan="team")),
        (EARLY, change("contract_override", "acme", "override", date(2026, 10, 16), name="pilot",
                       charge="calls", price=price)),
        (EARLY, change("credit_grant", "acme/hello", "grant", start, **grant)),
        *((EARLY, record) for record in registered("fresh", plan=None)),
        (EARLY, change("plan_assignment", "fresh", "assign", start, plan="team", trial_days=10)),
        *((EARLY, record) for record in registered("moved", plan="team")),
        *((EARLY, calls(f"{name}-1", name, EARLY)) for name in ("acme", "fresh", "moved")),
        *((MID, calls(f"{name}-2", name, MID)) for name in ("acme", "fresh")),
        (MID, paid("small", "100")),
        (MID, paid("large", "1000")),
        (AFTER, calls("late", "acme", MID, "100")),
        (AFTER, change("plan_assignment", "moved", "assign", start, plan="other")),
        (AFTER, calls("moved-late", "moved", EARLY, "500")),
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("book") / "1.yaml"
    path.write_text(BOOK, "utf-8")
    pipeline = new_pipeline(RuleBooks((load_rule_book(path),)))
    receive(pipeline, log)
    record_company(pipeline, close(pipeline, DAYS), DAYS)
    return pipeline


@pytest.fixture
def traced(terms: Pipeline, rows: Rows) -> Callable[..., LineTrace]:
    """The trace of the one line of a customer's component and term in the invoice of a month."""

    def run(
        customer_id: str, component: str, term: str = "", charge: str = "", end: date = OCTOBER
    ) -> LineTrace:
        ((line_id,),) = rows(
            terms,
            f"SELECT line_id FROM invoice_lines WHERE customer_id = '{customer_id}' AND component = '{component}' "
            f"AND term = '{term}' AND charge = '{charge}' AND period_end_day = DATE '{end}' "
            f"AND usage_period = DATE '2026-10-01'",
        )
        return trace_line(terms.workshop, terms.control, line_id, None)

    return run


def shown(pipeline: Pipeline, period: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The invoice of acme as JSON."""
    show_invoice(pipeline, "acme", period, as_json=True)
    return dict(json.loads(capsys.readouterr().out))


def test_an_invoice_is_read_from_usage_to_credits(
    terms: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    """Usage, fee, discount, minimum, then the total before credits and what the grant pays of it."""
    invoice = shown(terms, "2026-10", capsys)
    lines = [
        (line["component"], line["term"], line["charge"], line["amount_minor"]) for line in invoice["lines"]
    ]
    assert lines == [
        ("usage", "", "calls", 1000),
        ("usage", "pilot", "calls", 500),
        ("usage", "", "payments", 600),
        ("flat_fee", "", "seats", 2000),
        ("discount", "launch", "calls", -150),
        ("minimum", "commitment", "", 6050),
        ("credit", "hello", "", -3000),
    ]
    assert (invoice["before_credits"], invoice["total"]) == ("100.00 USD", "70.00 USD")
    assert invoice["lines"][-1]["quantity"] is None
    assert {line["rated_as_of"] for line in invoice["lines"]} == {"2026-10-31"}


def test_an_adjustment_says_why_and_what_the_quantity_was(
    terms: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    """100 late calls move the line of the override, and through it the discount and the minimum."""
    lines = [line for line in shown(terms, "2026-11", capsys)["lines"] if line["kind"] == "adjustment"]
    found = [(line["component"], line["amount_minor"], line["reason"]) for line in lines]
    assert sorted(found) == [
        ("discount", -5, "other_usage"), ("minimum", -45, "other_usage"), ("usage", 50, "late_usage")
    ]  # fmt: skip
    ((before, now),) = [
        (line["quantity_before"], line["quantity"]) for line in lines if line["component"] == "usage"
    ]
    assert (before, now) == ("1000", "1100")


def test_an_invoice_for_people_has_no_quantity_where_there_is_none(
    terms: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    show_invoice(terms, "acme", "2026-10", as_json=False)
    october = capsys.readouterr().out
    show_invoice(terms, "acme", "2026-11", as_json=False)
    november = capsys.readouterr().out
    assert "at least 100 USD, charged 39.50 USD" in october
    assert "Before credits" in october
    assert " 0 " not in october
    assert "quantity 1,000 → 1,100" in november
    assert "reason: late usage" in november
    assert "Before credits" not in november


def test_lines_for_stripe_name_their_component_and_have_no_quantity_without_a_unit(terms: Pipeline) -> None:
    (invoice,) = [each for each in planned_invoices(terms.workshop, [OCTOBER]) if each.customer_id == "acme"]
    found = {line.metadata["component"]: line for line in invoice.lines}
    assert list(found) == ["usage", "flat_fee", "discount", "minimum", "credit"]
    assert about(found["minimum"]) == ("", "commitment", None)
    assert about(found["flat_fee"]) == ("1 period", None, None)
    assert found["credit"].description.startswith("Credit hello: of 30.00 USD")
    reasons = {
        line.metadata.get("reason")
        for each in planned_invoices(terms.workshop, [NOVEMBER])
        for line in each.lines
        if line.metadata["kind"] == "adjustment"
    }
    assert reasons == {"late_usage", "other_usage"}


def about(line: PlannedLine) -> tuple[str, str | None, str | None]:
    return line.quantity_text, line.metadata.get("term"), line.metadata.get("reason")


def test_a_fee_paid_in_advance_is_no_adjustment(terms: Pipeline, rows: Rows) -> None:
    fees = rows(
        terms, "SELECT usage_period, kind FROM invoice_lines WHERE charge = 'base' ORDER BY usage_period"
    )
    assert fees == [(date(2026, 11, 1), "usage"), (date(2026, 12, 1), "usage")]


@pytest.mark.parametrize(
    ("component", "term", "charge", "taken_from"),
    [
        ("flat_fee", "", "seats", "20 per period: 20 USD"),
        ("discount", "launch", "calls", "10 % off 15.00 USD: -1.5 USD"),
        ("minimum", "commitment", "", "at least 100 USD, charged 39.50 USD: 60.5 USD"),
        ("credit", "hello", "", "of 30.00 USD, 0.00 USD left: -30 USD"),
    ],
)
def test_a_fee_term_or_credit_says_what_it_was_taken_from(
    traced: Callable[..., LineTrace], component: str, term: str, charge: str, taken_from: str
) -> None:
    found = traced("acme", component, term, charge)
    assert found.taken_from == (taken_from,)
    assert (found.rollups, found.event_rows, found.adds_up) == ((), 0, True)


def test_lines_of_an_override_and_of_the_plan_rest_on_their_own_days(
    traced: Callable[..., LineTrace],
) -> None:
    """The adjustment too, by the late call."""
    plan, pilot = traced("acme", "usage", "", "calls"), traced("acme", "usage", "pilot", "calls")
    assert ids(plan) == ["acme-1"]
    assert ids(pilot) == ["acme-2"]
    late = traced("acme", "usage", "pilot", "calls", NOVEMBER)
    assert ids(late) == ["acme-2", "late"]
    assert plan.adds_up and pilot.adds_up and late.adds_up  # noqa: PT018 - one statement about three


def test_lines_of_a_free_trial_rest_on_its_days(traced: Callable[..., LineTrace]) -> None:
    assert ids(traced("fresh", "usage", "trial", "calls")) == ["fresh-1"]
    assert ids(traced("fresh", "usage", "", "calls")) == ["fresh-2"]


def test_a_line_whose_price_folds_dimensions_rests_on_all_its_rows(traced: Callable[..., LineTrace]) -> None:
    found = traced("acme", "usage", "", "payments")
    assert ids(found) == ["small", "large"]
    assert (len(found.rollups), found.rollup_quantity, found.adds_up) == (2, Decimal(1100), True)


def test_a_line_is_traced_by_the_contract_that_was_known_when_it_was_rated(
    traced: Callable[..., LineTrace],
) -> None:
    """A plan that was changed afterwards, without a re-rating, prices nothing of that period."""
    found = traced("moved", "usage", "", "calls", NOVEMBER)
    assert (found.line.plan, found.line.rated_as_of) == ("team", OCTOBER)
    assert ids(found) == ["moved-1", "moved-late"]
    assert found.adds_up


def ids(found: LineTrace) -> list[str]:
    return [each.id for each in found.events]


@pytest.mark.parametrize(
    ("event_id", "lines"),
    [
        ("acme-2", [("pilot", OCTOBER), ("pilot", NOVEMBER)]),
        ("fresh-1", [("trial", OCTOBER)]),
        ("small", [("", OCTOBER)]),
        ("moved-1", [("", OCTOBER), ("", NOVEMBER)]),
    ],
)
def test_an_event_leads_to_the_lines_of_its_override_trial_or_folded_price(
    terms: Pipeline, event_id: str, lines: list[tuple[str, date]]
) -> None:
    (part,) = trace_event(terms.workshop, terms.control, "app", event_id).parts
    (metering,) = part.meterings
    assert [(line.term, line.period_end_day) for line in metering.lines] == lines


def test_the_trace_of_a_line_for_people_is_in_words(
    terms: Pipeline,
    traced: Callable[..., LineTrace],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for found in (
        traced("acme", "minimum", "commitment"),
        traced("acme", "usage", "pilot", "calls", NOVEMBER),
    ):
        show_line(terms, found.line.line_id, every_event=True, as_json=False)
    told = capsys.readouterr().out
    assert "minimum commitment, 60.50 USD" in told
    assert "no usage of a meter; taken from" in told
    assert "adjustment: late_usage, booked before 5.00 USD, quantity 1,000 → 1,100" in told
    assert "calls by pilot: 1,100 call" in told


def test_a_company_with_terms_is_proven_and_replayed(terms: Pipeline, tmp_path: Path) -> None:
    """Every check holds, and charges, rated periods and lines come out of the log again."""
    checks = {each.name: each for each in verify(terms.workshop, terms.control, EVERY_DAY, lambda *_: None)}
    assert {name: each.faults for name, each in checks.items() if each.faults} == {}
    assert checks["hashes: rated_periods"].looked_at.startswith("5 partitions, ")
    assert checks["conservation: credits"].looked_at == "5 closed days"
    engine = terms.engine.with_scratch(tmp_path / "spill")
    scratch = OverlaidLake(terms.lake, tmp_path / "scratch")
    found = replay(
        replace(terms.workshop, engine=engine), terms.control, scratch, NOVEMBER,
        version=None, rows_most=5, told=lambda *_: None,
    )  # fmt: skip
    rated = {each.table: each for each in found}
    assert rated["rated_periods"].replayed_rows > 0
    assert all(not each.differences for each in rated.values())


@pytest.mark.parametrize(
    ("amount", "fault"),
    [
        (
            "CASE component WHEN 'credit' THEN -3001 ELSE amount_minor END",
            "2026-10-31: acme usd: grant hello has paid: 3001 minor units, at most 3000",
        ),
        (
            "CASE component WHEN 'minimum' THEN -2000 ELSE amount_minor END",
            "2026-10-31: acme usd: an invoice with credits or once-only coupons comes to: -1050 minor units",
        ),
    ],
)
def test_a_grant_that_paid_too_much_and_an_invoice_below_zero_are_found(
    terms: Pipeline, tmp_path: Path, amount: str, fault: str
) -> None:
    assert credit_faults(terms.workshop, DAYS) == []
    assert line_faults(terms.workshop, DAYS) == []
    statement = tmp_path / "edit.sql"
    statement.write_text(f"SELECT * REPLACE ({amount} AS amount_minor) FROM part", "utf-8")
    scratch = OverlaidLake(terms.lake, tmp_path / "scratch")
    changed = scratch.new_file(RATED_CHARGES)
    with terms.engine.session() as session:
        session.scan("part", RATED_CHARGES, [f.path for f in terms.lake.files(RATED_CHARGES, [OCTOBER])])
        session.keep("edited", statement)
        session.write(RATED_CHARGES, "edited", changed)
    scratch.replace(RATED_CHARGES, [PartitionKey(OCTOBER)], [changed])
    assert credit_faults(replace(terms.workshop, lake=scratch), DAYS) == [fault]
