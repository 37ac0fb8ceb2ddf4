"""What is less now of a final invoice reaches Stripe by the plan's policy: over the simulator, on either database."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from itertools import count
from typing import NamedTuple

import pytest
from sqlalchemy import Engine

from billing_pipeline.control.database import open_control
from billing_pipeline.invoicing.policies.policy import Decreases, InvoicingPolicies, InvoicingPolicy
from billing_pipeline.invoicing.push.billed import BilledLine
from billing_pipeline.invoicing.push.credit_notes import CreditNoteResult, push_credit_notes
from billing_pipeline.invoicing.push.delivery import PlannedDelivery, plan_delivery
from billing_pipeline.invoicing.push.invoice_push import PushResult, push_invoices
from billing_pipeline.invoicing.push.known_reader import read_known
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.stripe.gateway import StripeGateway

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
_customers = count(1)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeGateway]:
    with running_simulator(tmp_path_factory.mktemp("stripe") / "simulator.sqlite") as address:
        gateway = StripeGateway("sk_test_decreases", address)
        yield gateway
        gateway.close()


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    engine = open_control(migrated_url)
    yield engine
    engine.dispose()


class Customer(NamedTuple):
    """A customer of its own, so that tests can share a simulator."""

    engine: Engine
    gateway: StripeGateway
    customer_id: str

    def line(self, line_id: str, minor: int, period: date, usage_period: date) -> BilledLine:
        return BilledLine(
            customer_id=self.customer_id,
            billing_period=period,
            currency="usd",
            line_id=line_id,
            description=f"Line {line_id}",
            amount_minor=minor,
            quantity=Decimal(7),
            unit="call",
            kind="adjustment" if usage_period < period else "usage",
            component="usage",
            term="",
            plan="pro",
            project_id="chat",
            usage_period=usage_period,
            reason="",
            rule_version="1",
            evidence_digest="e" * 64,
        )

    def october(self) -> str:
        """Its final invoice of October, 70.00 USD; the id in Stripe."""
        ((result,), _) = self.push([self.line("own", 70_00, OCTOBER, OCTOBER)], "next_invoice")
        assert (result.state, result.total_minor) == ("finalized", 70_00)
        return str(result.stripe_invoice_id)

    def november(self) -> list[BilledLine]:
        """40.00 of its own; for October 5.00 less and 2.00 more."""
        return [
            self.line("calls", 40_00, NOVEMBER, NOVEMBER),
            self.line("less", -5_00, NOVEMBER, OCTOBER),
            self.line("more", 2_00, NOVEMBER, OCTOBER),
        ]

    def plan(self, lines: Sequence[BilledLine], decreases: Decreases) -> PlannedDelivery:
        known = read_known(self.engine, self.gateway.account(), lines)
        policies = InvoicingPolicies(by_plan={"pro": InvoicingPolicy(decreases=decreases)})
        return plan_delivery(lines, "Acme Inc.", policies, known)

    def push(
        self, lines: Sequence[BilledLine], decreases: Decreases
    ) -> tuple[list[PushResult], list[CreditNoteResult]]:
        delivery = self.plan(lines, decreases)
        notes = push_credit_notes(self.engine, self.gateway, delivery.credit_notes)
        return push_invoices(self.engine, self.gateway, [delivery.invoice]), notes

    def corrects(self, invoice_id: str) -> dict[str, str | None]:
        """By our line id what each line in Stripe corrects."""
        found = self.gateway.client.v1.invoices.line_items.list(invoice_id).data
        metadata = [line.metadata.to_dict() for line in found]
        return {about["line_id"]: about.get("corrects") for about in metadata}


@pytest.fixture
def customer(engine: Engine, gateway: StripeGateway) -> Customer:
    return Customer(engine, gateway, f"customer-{next(_customers)}")


def test_a_decrease_goes_on_the_next_invoice(customer: Customer) -> None:
    """With what it corrects in its metadata, beside the increase."""
    october = customer.october()
    ((invoice,), notes) = customer.push(customer.november(), "next_invoice")
    assert (invoice.state, invoice.total_minor, notes) == ("finalized", 37_00, [])
    assert customer.corrects(str(invoice.stripe_invoice_id)) == {
        "calls": None,
        "less": october,
        "more": october,
    }
    assert customer.gateway.credit_notes(october) == []


@pytest.mark.parametrize("is_paid", [True, False])
def test_a_decrease_is_credited_on_the_invoice_that_it_corrects(customer: Customer, *, is_paid: bool) -> None:
    """The increase goes on the next invoice; what was paid already is in the customer's balance."""
    october = customer.october()
    if is_paid:
        customer.gateway.client.v1.invoices.pay(october)
    ((invoice,), (note,)) = customer.push(customer.november(), "credit_note")
    assert (invoice.state, invoice.total_minor) == ("finalized", 42_00)
    assert (note.state, note.total_minor, note.stripe_invoice_id) == ("issued", -5_00, october)
    assert customer.corrects(str(invoice.stripe_invoice_id)) == {"calls": None, "more": october}
    (made,) = customer.gateway.credit_notes(october)
    assert (made.credit_note_id, made.total, made.metadata["corrects"]) == (
        note.stripe_credit_note_id,
        5_00,
        october,
    )
    (line,) = customer.gateway.credit_note_lines(made.credit_note_id)
    assert (line.line_id, line.amount) == ("less", 5_00)
    corrected = customer.gateway.retrieve_invoice(october)
    assert corrected is not None
    assert corrected.amount_remaining == (0 if is_paid else 65_00)


def test_pushed_again_under_another_policy_nothing_moves(customer: Customer) -> None:
    """Neither a credited line onto the invoice, nor one of the invoice into a credit note."""
    customer.october()
    first = customer.push(customer.november(), "credit_note")
    ((invoice,), (note,)) = customer.push(customer.november(), "next_invoice")
    assert (invoice.stripe_invoice_id, note.stripe_credit_note_id) == (
        first[0][0].stripe_invoice_id,
        first[1][0].stripe_credit_note_id,
    )
    assert (invoice.state, note.state, invoice.requests_sent + note.requests_sent) == (
        "finalized",
        "issued",
        0,
    )


def test_what_was_on_an_invoice_is_not_credited_by_a_policy_that_came_later(customer: Customer) -> None:
    customer.october()
    customer.push(customer.november(), "next_invoice")
    ((invoice,), notes) = customer.push(customer.november(), "credit_note")
    assert (invoice.state, invoice.requests_sent, notes) == ("finalized", 0, [])


def test_a_decrease_of_an_invoice_voided_by_hand_is_left_to_a_person(customer: Customer) -> None:
    """The rest of November is invoiced; the decrease is on neither, run after run."""
    october = customer.october()
    customer.gateway.client.v1.invoices.void_invoice(october)
    for _ in range(2):
        ((invoice,), (note,)) = customer.push(customer.november(), "credit_note")
        assert (invoice.state, invoice.total_minor) == ("finalized", 42_00)
        assert note.state == "refused"
        assert f"{october} is void in Stripe" in note.message
    assert customer.gateway.credit_notes(october) == []


def test_a_second_decrease_finds_less_room(customer: Customer) -> None:
    """The credit notes of earlier months count: what does not fit goes on the invoice."""
    october = customer.october()
    november = [customer.line("first", -60_00, NOVEMBER, OCTOBER)]
    ((invoice,), (note,)) = customer.push(november, "credit_note")
    assert (invoice.state, note.state) == ("skipped", "issued")
    december = date(2026, 12, 1)
    lines = [
        customer.line("own", 30_00, december, december),
        customer.line("second", -20_00, december, OCTOBER),
        customer.line("third", -10_00, december, OCTOBER),
    ]
    ((invoice,), (note,)) = customer.push(lines, "credit_note")
    assert (invoice.state, invoice.total_minor) == ("finalized", 10_00)
    assert (note.state, note.total_minor) == ("issued", -10_00)
    assert sorted(note.total for note in customer.gateway.credit_notes(october)) == [10_00, 60_00]


def test_several_pushers_at_once_issue_one_credit_note(customer: Customer) -> None:
    """All of them come to the same one."""
    october = customer.october()
    (note,) = customer.plan(customer.november(), "credit_note").credit_notes
    with ThreadPoolExecutor(4) as pool:
        pending = [
            pool.submit(push_credit_notes, customer.engine, customer.gateway, [note]) for _ in range(4)
        ]
        results = [future.result()[0] for future in pending]
    (made,) = customer.gateway.credit_notes(october)
    assert {result.stripe_credit_note_id for result in results if result.state == "issued"} == {
        made.credit_note_id
    }
    assert {result.state for result in results} <= {"issued", "failed"}
    assert customer.push(customer.november(), "credit_note")[1][0].state == "issued"
    assert len(customer.gateway.credit_notes(october)) == 1
