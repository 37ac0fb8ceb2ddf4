import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from billing_pipeline.errors import (
    SimulatorError,
    StripeRefusedError,
    StripeServerError,
    StripeUnreachableError,
)
from billing_pipeline.invoicing.simulator.http_messages import Handler, Request, Response
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.invoicing.stripe.port import CUSTOMER_ID, LINE_ID, PUSH

API_KEY = "sk_test_do_not_show_me"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[StripeGateway]:
    with running_simulator(tmp_path / "simulator.sqlite") as address:
        gateway = StripeGateway(API_KEY, address)
        yield gateway
        gateway.close()


def _draft(gateway: StripeGateway) -> tuple[str, str]:
    customer = gateway.create_customer({"name": "Ada", "metadata": {CUSTOMER_ID: "ada"}}, "customer")
    invoice = gateway.create_invoice(
        {"customer": customer, "currency": "usd", "auto_advance": False, "metadata": {PUSH: "p"}}, "invoice"
    )
    return customer, invoice.invoice_id


def test_an_invoice_goes_through_its_whole_life(gateway: StripeGateway) -> None:
    """Created, filled, paged through, finalized and found again, over HTTP and the real SDK."""
    customer, invoice_id = _draft(gateway)
    lines = [{"amount": n - 2, "description": "x", "metadata": {LINE_ID: f"l{n}"}} for n in range(230)]
    assert gateway.add_lines(invoice_id, {"lines": lines[:100]}, "lines 0").total == sum(range(-2, 98))
    gateway.add_lines(invoice_id, {"lines": lines[100:]}, "lines 1")
    assert {line.line_id: line.amount for line in gateway.lines(invoice_id)} == {
        f"l{n}": n - 2 for n in range(230)
    }
    final = gateway.finalize_invoice(invoice_id, {"auto_advance": False}, "finalize")
    assert (final.status, final.total, final.metadata) == ("open", sum(range(-2, 228)), {PUSH: "p"})
    assert gateway.find_invoices(customer, "p") == [final] == [gateway.retrieve_invoice(invoice_id)]
    assert gateway.find_invoices(customer, "q") == []
    assert gateway.find_customers("ada", 0) == [customer]
    assert gateway.find_customers("bob", 0) == []


def test_a_draft_that_is_gone_stays_gone(gateway: StripeGateway) -> None:
    """Deleting twice is fine; what is gone is None, not an error."""
    _, invoice_id = _draft(gateway)
    gateway.delete_draft(invoice_id)
    gateway.delete_draft(invoice_id)
    assert gateway.retrieve_invoice(invoice_id) is None


def test_the_account_says_its_mode(gateway: StripeGateway) -> None:
    """Objects of test mode and live mode never share a mapping."""
    assert gateway.account() == "acct_simulator/test"


def test_a_refusal_is_told_apart(gateway: StripeGateway) -> None:
    """A 4xx is a refusal with its status and Stripe's own words."""
    with pytest.raises(StripeRefusedError, match="No such customer") as caught:
        gateway.create_invoice({"customer": "cus_nope"}, "k")
    assert (caught.value.status, caught.value.operation) == (400, "create invoice")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (500, StripeServerError),
        (503, StripeServerError),
        (429, StripeUnreachableError),
        (409, StripeUnreachableError),
    ],
)
def test_failures_are_classified(tmp_path: Path, status: int, expected: type[Exception]) -> None:
    """A failed server must be looked up; too many requests and conflicts are sent again."""

    def failing(_handler: Handler) -> Handler:
        def handle(_request: Request) -> Response:
            return Response(status, '{"error": {"message": "no", "type": "api_error"}}')

        return handle

    with running_simulator(tmp_path / "simulator.sqlite", wrap=failing) as address:
        gateway = StripeGateway(API_KEY, address)
        with pytest.raises(expected):
            gateway.account()
        gateway.close()


def test_nobody_listening_is_unreachable() -> None:
    """A refused connection is no answer at all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        gateway = StripeGateway(API_KEY, address)
        with pytest.raises(StripeUnreachableError):
            gateway.account()
        gateway.close()


def test_the_key_is_never_shown(gateway: StripeGateway, caplog: pytest.LogCaptureFixture) -> None:
    """Neither logs at the finest level, nor `repr`, nor a refusal hold the key; telemetry is off."""
    with caplog.at_level(logging.DEBUG):
        gateway.account()
        with pytest.raises(StripeRefusedError) as caught:
            gateway.create_invoice({"customer": "cus_nope"}, "k")
    assert API_KEY not in caplog.text + repr(gateway) + repr(vars(gateway)) + str(caught.value)
    assert stripe.enable_telemetry is False


def test_a_taken_port_is_a_clear_error(tmp_path: Path) -> None:
    """The error names the address and what to do."""
    with running_simulator(tmp_path / "one.sqlite") as address:
        port = int(address.rpartition(":")[2])
        with (
            pytest.raises(SimulatorError, match="is taken"),
            running_simulator(tmp_path / "two.sqlite", port=port),
        ):
            pass


def test_two_simulators_may_share_a_store(tmp_path: Path) -> None:
    """What one of them made the other one has, keys included."""
    path = tmp_path / "simulator.sqlite"
    with running_simulator(path) as one, running_simulator(path) as two:
        first, second = (StripeGateway(API_KEY, address) for address in (one, two))
        customer = first.create_customer({"name": "Ada"}, "k")
        assert second.create_customer({"name": "Ada"}, "k") == customer
        first.close()
        second.close()


@pytest.mark.parametrize(("net", "total"), [(1000, 1000), (None, 1190)])
def test_an_invoice_comes_to_what_it_is_without_tax(
    gateway: StripeGateway, monkeypatch: pytest.MonkeyPatch, net: int | None, total: int
) -> None:
    """Stripe may put tax on top of our lines; that is no difference to them."""
    customer = gateway.create_customer({"name": "Ada"}, f"tax-{net}")
    made = gateway.create_invoice({"customer": customer, "currency": "usd"}, f"taxed-{net}")
    taxed = gateway.client.v1.invoices.retrieve(made.invoice_id)
    taxed.total, taxed.total_excluding_tax = 1190, net
    monkeypatch.setattr(gateway.client.v1.invoices, "retrieve", lambda _id: taxed)
    found = gateway.retrieve_invoice(made.invoice_id)
    assert found is not None
    assert found.total == total
