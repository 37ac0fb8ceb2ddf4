"""Ledger and meter over a month: holds, their events, usage that never asked, a late event, a correction; one ledger.

Acme has prepaid five dollars. The guard's holds draw on them as they are settled; at the close the invoice draws on the
same grant, and the true-up brings what the guard has spent to what was invoiced, so that both have the same left.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.audit.guard_invariants import guard_faults
from billing_pipeline.guardrails.commands import AddGrant
from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline.guardrails.outbox import OutboxSender
from billing_pipeline.guardrails.requests import Reserve, Settle
from billing_pipeline.guardrails.store.sqlite_store import SqliteStore
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import load_settings
from billing_pipeline_tests.scenarios.company import Company, corrected, used

CENT = 10**7
GRANTED = 500 * CENT
OUTPUT = {"model": "atlas-large", "token_class": "output"}


def instant(text: str) -> int:
    """`02-03T12:00` of 2025 in UTC µs."""
    return int(datetime.fromisoformat(f"2025-{text}").replace(tzinfo=UTC).timestamp()) * 1_000_000


class Guarded:
    """The guard of the company, at one instant after the other: its ledger, its prices, its outbox."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.at_us = 0
        self.pipeline = pipeline
        self.queue = SqliteQueue(pipeline.settings.queue_path, wall_clock=lambda: self.at_us)
        customers = pipeline.guard_customers(self.queue)
        store = SqliteStore(Path(str(pipeline.control.url.database)), lambda: self.at_us)
        self.ledger = LedgerWriter(
            store, pipeline.guard_terms(customers), pipeline.guard_pricer(customers), sweep_seconds=3600
        )
        self.customers = customers
        self.outbox = OutboxSender(pipeline.control, self.queue, lambda: self.at_us)

    def spend(self, tokens: int, event_id: str) -> int:
        """Hold and settle so many output tokens; what was booked."""
        usage = Usage(unit="token", quantity=str(tokens), dimensions=OUTPUT, source="app", id=event_id)
        reserve = Reserve(customer_id="acme", project_id="p", usage=(usage,), idempotency_key=event_id)
        hold = self.ledger.submit(reserve).result(30)
        return int(self.ledger.submit(Settle(hold_id=hold.hold_id, usage=(usage,))).result(30).booked)

    def close(self) -> None:
        """End it, and let the next writer of the queue in."""
        self.ledger.close()
        self.customers.close()
        self.queue.close()
        self.pipeline.control.dispose()


@pytest.fixture(scope="module")
def guarded(in_home: Callable[[Path], Any]) -> Callable[..., Any]:
    """The guard of a company at an instant, for as long as the block runs."""

    @contextmanager
    def run(company: Company, at: str) -> Iterator[Guarded]:
        with in_home(company.home):
            guard = Guarded(Pipeline(load_settings()))
            guard.at_us = instant(at)
            try:
                yield guard
            finally:
                guard.close()

    return run


def tokens(event_id: str, occurred_at: str, quantity: str, **fields: object) -> dict[str, object]:
    """Output tokens of a product that never asked."""
    return used(event_id, occurred_at, quantity, unit="token", dimensions=OUTPUT, **fields)


@pytest.fixture(scope="module")
def story(new_company: Callable[..., Company], guarded: Callable[..., Any]) -> Company:
    """February 2025, closed."""
    company = new_company(dagster_on_disk=True)
    company.write_rules(
        **{"2023-11-01": (Path(__file__).parents[2] / "data/rule_books/2023-11-01.yaml").read_text("utf-8")}
    )
    grant = {
        "id": "prepaid",
        "amount": "5.00",
        "currency": "usd",
        "effective_from": date(2025, 1, 1),
        "reason": "Prepaid",
    }
    company.write_customers({"id": "acme", "plan": "standard", "credit_grants": [grant]})
    company.receive(tokens("first", "2025-02-01T12:00:00Z", "1"))
    with guarded(company, "02-03T12:00") as guard:
        guard.ledger.submit(
            AddGrant(customer_id="acme", currency="usd", grant_id="prepaid", amount=GRANTED)
        ).result(30)
        assert guard.spend(1100, "a") == 165 * CENT // 100
        assert guard.spend(20_000, "b") == 30 * CENT
        assert guard.outbox.send() == 2
    company.receive(tokens("own", "2025-02-03T13:00:00Z", "4000"))
    with guarded(company, "02-04T12:00") as guard:
        guard.spend(10_000, "sent late")
    with guarded(company, "02-06T12:00") as guard:
        assert guard.outbox.send() == 1
    company.receive(
        tokens("late", "2025-02-03T14:00:00Z", "2000", received_at="2025-02-06T13:00:00Z"),
        corrected("less", "b", "2025-02-06T14:00:00Z", quantity_delta="-5000"),
    )
    company.billing("queue", "advance", "--to", "2025-03-01T02:00:00Z")
    company.billing("close", "--through", "2025-02-28")
    return company


def reconciled(company: Company, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(company.billing("reconcile", "ledger", "--json", *arguments))
    return found


def test_every_nano_unit_between_ledger_and_meter_has_a_cause(story: Company) -> None:
    """31.65 cents were settled on the 3rd; 6 never asked, 3 came late, 7.5 were taken back, and 0.15 are rounded."""
    found = reconciled(story, "--from", "2025-02-03", "--to", "2025-02-04")
    assert found["explained"] is True
    third, fourth = found["days"]
    causes = {cause: int(amount) for cause, amount in third["causes"].items() if amount != "0"}
    assert causes == {
        "unguarded": 6 * CENT,
        "late": 3 * CENT,
        "corrected": -75 * CENT // 10,
        "rounding": -15 * CENT // 100,
    }
    assert int(third["guard_settled"]) == 3165 * CENT // 100
    assert int(third["rated"]) - int(third["guard_settled"]) == int(third["difference"])
    assert {cause for cause, amount in fourth["causes"].items() if amount != "0"} <= {"rounding"}
    assert (fourth["holds"], fourth["events"]) == (1, 1)


def test_the_table_has_what_the_command_tells(story: Company) -> None:
    """Made by the close, and made anew for the 3rd when its late event and its correction had come."""
    rows = story.sql(
        "SELECT CAST(usage_day AS VARCHAR), guard_settled, rated, difference, late, corrected, unexplained "
        "FROM ledger_reconciliation ORDER BY usage_day"
    )
    told = reconciled(story, "--from", "2025-02-01", "--to", "2025-02-28")["days"]
    assert [tuple(map(str, row)) for row in rows] == [
        (
            day["usage_day"],
            *(day[name] for name in ("guard_settled", "rated", "difference")),
            *(day["causes"][name] for name in ("late", "corrected", "unexplained")),
        )
        for day in told
    ]
    assert story.check("ledger_reconciliation", "ledger_explained")[0]


def test_the_true_up_brings_spent_to_the_invoice(story: Company, guarded: Callable[..., Any]) -> None:
    """And both sides have the same left of the grant; booking it again changes nothing, and the books are sound."""
    (invoice,) = story.sql(
        "SELECT CAST(sum(amount_minor) AS BIGINT) FROM invoice_lines WHERE component <> 'credit'"
    )
    with guarded(story, "03-02T12:00") as guard, guard.pipeline.control.connect() as connection:
        (spent,) = connection.exec_driver_sql("SELECT spent FROM guard_accounts").one()
        assert guard_faults(guard.pipeline.control) == []
    assert spent == int(invoice[0]) * CENT > 0
    found = reconciled(story, "--book-true-up", "2025-02")
    (true_up,) = found["true_ups"]
    assert (true_up["period"], true_up["booked_now"]) == ("2025-02-01", False)
    assert sum(int(day["difference"]) for day in found["days"]) == int(true_up["amount"])
    (credit,) = found["credit"]
    assert credit["difference"] == credit["not_invoiced"] == "0"
    assert int(credit["guard_left"]) == GRANTED - spent
    assert story.check("guard_true_ups", "ledger_equals_invoices")[0]
