"""The push against a real Stripe test account, where `STRIPE_TEST_KEY` names one; always against the simulator."""

import os
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine

from billing_pipeline.control.database import open_control
from billing_pipeline.invoicing.push.credit_notes import push_credit_notes
from billing_pipeline.invoicing.push.delivery import PlannedCreditNote
from billing_pipeline.invoicing.push.invoice_push import PushRules, push_invoices
from billing_pipeline.invoicing.push.planned import PlannedInvoice, PlannedLine
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.stripe.gateway import StripeGateway

KEY = os.environ.get("STRIPE_TEST_KEY", "")


@pytest.fixture(params=["simulator", "stripe"])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StripeGateway]:
    """The simulator, and a real test account where a key of one is given."""
    if request.param == "simulator":
        with running_simulator(tmp_path / "simulator.sqlite") as address:
            gateway = StripeGateway("sk_test_simulator", address)
            yield gateway
            gateway.close()
        return
    if not KEY:
        pytest.skip("STRIPE_TEST_KEY is not set: no real Stripe test account")
    assert KEY.startswith(("sk_test_", "rk_test_")), (
        "STRIPE_TEST_KEY must be a key of test mode; no other is used"
    )
    gateway = StripeGateway(KEY)
    yield gateway
    gateway.close()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Engine]:
    """An outbox of its own."""
    engine = open_control(f"sqlite:///{tmp_path / 'control.sqlite'}")
    yield engine
    engine.dispose()


def _line(name: str, amount_minor: int) -> PlannedLine:
    return PlannedLine(
        line_id=name,
        description=f"Usage {name}",
        amount_minor=amount_minor,
        quantity_text="1,000 token",
        metadata={"kind": "usage", "plan": "standard"},
    )


def test_an_invoice_is_held_finalized_reconciled_and_credited(
    gateway: StripeGateway, control: Engine
) -> None:
    """Three lines, one of them negative: a verified draft first, then final, then partly credited; all is voided."""
    customer_id = f"push-test-{uuid.uuid4().hex[:12]}"
    invoice = PlannedInvoice(
        customer_id=customer_id,
        customer_name="Push test",
        billing_period=date(2026, 10, 1),
        currency="usd",
        lines=(_line("a", 1500), _line("b", 700), _line("c", -200)),
    )
    (held,) = push_invoices(control, gateway, [invoice], rules=PushRules(hold=lambda _invoice: "look"))
    assert (held.state, held.message) == ("held", "look")
    (final,) = push_invoices(control, gateway, [invoice])
    assert (final.state, final.stripe_invoice_id) == ("finalized", held.stripe_invoice_id)
    (again,) = push_invoices(control, gateway, [invoice])
    assert (again.state, again.requests_sent) == ("finalized", 0)
    assert final.stripe_invoice_id is not None
    found = gateway.retrieve_invoice(final.stripe_invoice_id)
    assert found is not None
    try:
        assert (found.status, found.total, found.currency) == ("open", 2000, "usd")
        amounts = {line.line_id: line.amount for line in gateway.lines(found.invoice_id)}
        assert amounts == {"a": 1500, "b": 700, "c": -200}
        note = PlannedCreditNote(
            customer_id=customer_id,
            billing_period=date(2026, 11, 1),
            corrects=date(2026, 10, 1),
            currency="usd",
            stripe_invoice_id=found.invoice_id,
            lines=(_line("d", -500),),
        )
        (issued,) = push_credit_notes(control, gateway, [note])
        assert issued.state == "issued", issued.message
        (made,) = gateway.credit_notes(found.invoice_id)
        assert (made.total, made.currency) == (500, "usd")
    finally:
        for each in gateway.credit_notes(found.invoice_id):
            gateway.client.v1.credit_notes.void_credit_note(each.credit_note_id)
        gateway.client.v1.invoices.void_invoice(found.invoice_id)
