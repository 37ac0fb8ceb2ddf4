"""What the outbox knows, read from either database, and as quick for thousands of customers as for one."""

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import Engine, event, insert

from billing_pipeline.control.database import open_control, writing
from billing_pipeline.control.invoice_tables import STRIPE_CREDIT_NOTE_TRANSITIONS, STRIPE_CREDIT_NOTES
from billing_pipeline.control.tables import STRIPE_PUSH_TRANSITIONS, STRIPE_PUSHES
from billing_pipeline.invoicing.policies.policy import Delivery
from billing_pipeline.invoicing.push.billed import BilledLine
from billing_pipeline.invoicing.push.delivery_records import record_deliveries, record_rated_lines
from billing_pipeline.invoicing.push.known import KnownCreditNote, KnownInvoice
from billing_pipeline.invoicing.push.known_reader import read_known

ACCOUNT = "acct/test"
METERED: Delivery = "meter_events"
SEPTEMBER, OCTOBER, NOVEMBER = date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    engine = open_control(migrated_url)
    yield engine
    engine.dispose()


def _line(customer_id: str, line_id: str, minor: int, usage_period: date = SEPTEMBER) -> BilledLine:
    return BilledLine(
        customer_id=customer_id,
        billing_period=OCTOBER,
        currency="usd",
        line_id=line_id,
        description="",
        amount_minor=minor,
        quantity=Decimal(),
        unit="",
        kind="adjustment" if usage_period < OCTOBER else "usage",
        component="usage",
        term="",
        plan="pro",
        project_id="",
        usage_period=usage_period,
        reason="",
        rule_version="",
        evidence_digest="",
    )


def _push(
    customer_id: str, period: date, revision: int, *line_ids: str, account: str = ACCOUNT
) -> dict[str, object]:
    lines = [{"metadata": {"line_id": line_id}} for line_id in line_ids]
    return {
        "account": account,
        "customer_id": customer_id,
        "billing_period": period.isoformat(),
        "currency": "usd",
        "revision": revision,
        "plan": json.dumps({"batches": [{"lines": lines[:1]}, {"lines": lines[1:]}]}),
        "line_count": len(lines),
        "total_minor": 100 * revision,
        "lines_hash": "",
        "planned_at": 0,
    }


def _steps(push_id: int, *states: str) -> list[dict[str, object]]:
    return [
        {
            "push_id": push_id,
            "step": step,
            "state": state,
            "stripe_invoice_id": f"in_{push_id}" if step else None,
            "detail": "",
            "recorded_at": 0,
        }
        for step, state in enumerate(states)
    ]


def _note(period: date, corrects: date, revision: int, minor: int, *line_ids: str) -> dict[str, object]:
    return {
        "account": ACCOUNT,
        "customer_id": "acme",
        "billing_period": period.isoformat(),
        "corrects": corrects.isoformat(),
        "currency": "usd",
        "revision": revision,
        "stripe_invoice_id": "in_2",
        "plan": json.dumps({"lines": [{"metadata": {"line_id": line_id}} for line_id in line_ids]}),
        "total_minor": minor,
        "lines_hash": "",
        "planned_at": 0,
    }


def _note_steps(note_id: int, *states: str) -> list[dict[str, object]]:
    return [
        {"credit_note_id": note_id, "step": step, "state": state, "detail": "", "recorded_at": 0}
        for step, state in enumerate(states)
    ]


def _filled(engine: Engine) -> None:
    pushes = [
        _push("acme", SEPTEMBER, 1, "old"),
        _push("acme", SEPTEMBER, 2, "a"),
        _push("acme", OCTOBER, 1, "b", "c"),
        _push("beta", SEPTEMBER, 1, "d"),
        _push("acme", SEPTEMBER, 3, "e", account="acct/live"),
    ]
    steps = [
        *_steps(1, "planned", "superseded"),
        *_steps(2, "planned", "draft", "lines_added", "verified", "finalized", "reconciled"),
        *_steps(3, "planned", "draft", "lines_added", "verified", "finalized"),
        *_steps(4, "planned", "draft"),
        *_steps(5, "planned", "draft", "finalized"),
    ]
    notes = [
        _note(OCTOBER, SEPTEMBER, 1, -30, "x"),
        _note(OCTOBER, SEPTEMBER, 2, -20, "x", "y"),
        _note(NOVEMBER, SEPTEMBER, 1, -10, "z"),
        _note(NOVEMBER, OCTOBER, 1, -10, "w"),
        _note(OCTOBER, date(2026, 8, 1), 1, -5, "v"),
    ]
    note_steps = [
        *_note_steps(1, "planned", "superseded"),
        *_note_steps(2, "planned"),
        *_note_steps(3, "planned", "sending"),
        *_note_steps(4, "planned"),
        *_note_steps(5, "planned", "superseded"),
    ]
    with writing(engine) as connection:
        connection.execute(insert(STRIPE_PUSHES), pushes)
        connection.execute(insert(STRIPE_PUSH_TRANSITIONS), steps)
        connection.execute(insert(STRIPE_CREDIT_NOTES), notes)
        connection.execute(insert(STRIPE_CREDIT_NOTE_TRANSITIONS), note_steps)


def test_the_newest_revisions_and_their_last_steps_are_known(engine: Engine) -> None:
    """Of this account alone, and of the line ids only those of final invoices that a decrease could change."""
    _filled(engine)
    known = read_known(engine, ACCOUNT, [_line("acme", "x", -20), _line("beta", "d", 3)])
    assert known.invoices == {
        ("acme", SEPTEMBER, "usd"): KnownInvoice(stripe_invoice_id="in_2", total_minor=200, finalized=True),
        ("acme", OCTOBER, "usd"): KnownInvoice(
            stripe_invoice_id="in_3", total_minor=100, finalized=True, line_ids=frozenset({"b", "c"})
        ),
        ("beta", SEPTEMBER, "usd"): KnownInvoice(stripe_invoice_id="in_4", total_minor=100, finalized=False),
    }
    note = KnownCreditNote(
        customer_id="acme",
        billing_period=OCTOBER,
        corrects=SEPTEMBER,
        currency="usd",
        stripe_invoice_id="in_2",
        total_minor=-20,
        line_ids=frozenset({"x", "y"}),
        sent=False,
    )
    assert known.notes_of(("acme", OCTOBER, "usd")) == (note,)
    assert known.credited_by_others(("acme", SEPTEMBER, "usd"), OCTOBER) == 10
    (later,) = known.notes_of(("acme", NOVEMBER, "usd"))
    assert (later.sent, later.corrects) == (True, SEPTEMBER)


def test_a_delivery_that_is_on_record_stays(engine: Engine) -> None:
    """The first one counts, also where another is wanted later, by whatever process."""
    metered, rated = ("acme", "pro", OCTOBER), ("acme", "pro", NOVEMBER)
    wanted = {metered: METERED}
    assert record_deliveries(engine, ACCOUNT, wanted, lambda: 1) == wanted
    assert record_deliveries(engine, ACCOUNT, {metered: "rated_lines", rated: "rated_lines"}) == {
        metered: "meter_events",
        rated: "rated_lines",
    }
    assert record_deliveries(engine, "acct/live", {metered: "rated_lines"}) == {metered: "rated_lines"}
    lines = [_line("acme", "a", 1), _line("beta", "b", 1), _line("beta", "c", 1)._replace(plan="")]
    record_rated_lines(engine, ACCOUNT, lines)
    assert read_known(engine, ACCOUNT, lines).deliveries == {
        metered: "meter_events",
        ("beta", "pro", OCTOBER): "rated_lines",
    }


@pytest.mark.parametrize("customers", [1, 1200])
def test_no_query_is_made_per_customer(engine: Engine, customers: int) -> None:
    """Final invoices of many customers, each with a decrease: a query for each five hundred at most."""
    names = [f"c{number}" for number in range(customers)]
    pushes = [_push(name, period, 1, f"{name}-{period}") for name in names for period in (SEPTEMBER, OCTOBER)]
    with writing(engine) as connection:
        connection.execute(insert(STRIPE_PUSHES), pushes)
        steps = [step for push in range(1, len(pushes) + 1) for step in _steps(push, "planned", "finalized")]
        connection.execute(insert(STRIPE_PUSH_TRANSITIONS), steps)
    queries: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *about: queries.append(about[2]))
    known = read_known(engine, ACCOUNT, [_line(name, "x", -1) for name in names])
    assert len([text for text in queries if text.startswith("SELECT")]) == 3 + -(-customers // 500)
    assert all(known.invoices[name, OCTOBER, "usd"].line_ids == {f"{name}-{OCTOBER}"} for name in names)
