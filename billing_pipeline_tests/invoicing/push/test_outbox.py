import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from billing_pipeline.control.database import open_control
from billing_pipeline.invoicing.push.invoice_push import PushResult, push_invoices
from billing_pipeline.invoicing.push.outbox import Outbox, State
from billing_pipeline.invoicing.push.planned import PlannedInvoice, PlannedLine
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.stripe.gateway import StripeGateway

POSTGRES_URL = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
INVOICE = PlannedInvoice(
    customer_id="ada",
    customer_name="Ada",
    billing_period=date(2026, 10, 1),
    currency="usd",
    lines=(PlannedLine(line_id="l1", description="Tokens", amount_minor=5, quantity_text="1"),),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        engine = open_control(f"sqlite:///{tmp_path / 'control.sqlite'}")
        yield engine
        engine.dispose()
        return
    admin = create_engine(POSTGRES_URL, connect_args={"connect_timeout": 2})
    schema = f"outbox_{uuid.uuid4().hex}"
    try:
        with admin.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
    except OperationalError as error:
        pytest.skip(f"no PostgreSQL at 127.0.0.1:5432: {error.orig}")
    engine = open_control(f"{POSTGRES_URL}?options=-csearch_path%3D{schema}")
    try:
        yield engine
    finally:
        engine.dispose()
        with admin.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        admin.dispose()


@pytest.fixture
def outbox(engine: Engine) -> Outbox:
    return Outbox(engine, "acct/test", lambda: 7)


def test_a_revision_is_planned_once(outbox: Outbox) -> None:
    """A second process that plans the same revision changes nothing."""
    assert outbox.latest_push(INVOICE) is None
    outbox.plan(INVOICE, 1)
    outbox.plan(INVOICE, 1)
    push = outbox.latest_push(INVOICE)
    assert push is not None
    assert (push.revision, push.lines_hash, push.plan.amounts()) == (1, INVOICE.lines_hash(), {"l1": 5})
    assert outbox.progress(push).state is State.PLANNED


def test_of_two_transitions_from_one_state_the_first_counts(outbox: Outbox) -> None:
    """Two processes that make the same step do not both move on."""
    outbox.plan(INVOICE, 1)
    push = outbox.latest_push(INVOICE)
    assert push is not None
    planned = outbox.progress(push)
    outbox.move(push, planned, State.DRAFT, "in_1")
    outbox.move(push, planned, State.SUPERSEDED, None)
    now = outbox.progress(push)
    assert (now.step, now.state, now.stripe_invoice_id) == (1, State.DRAFT, "in_1")


def test_a_request_keeps_what_was_written_first(outbox: Outbox) -> None:
    """Parameters written once are what is sent, whoever comes second; a failure ends the key."""
    first = outbox.write_request("create_invoice", "ada", 0, 0, '{"a":1}')
    second = outbox.write_request("create_invoice", "ada", 0, 0, '{"a":2}')
    assert first == second
    assert (first.parameters, first.recorded_at, first.failed) == ('{"a":1}', 7, False)
    outbox.write_failure(first, "refused", "no")
    outbox.write_failure(first, "refused", "no again")
    failed = outbox.last_request("create_invoice", "ada", 0)
    assert failed is not None
    assert failed.failed
    later = outbox.write_request("create_invoice", "ada", 0, 1, '{"a":2}')
    assert (later.epoch, later.failed, later.key != first.key) == (1, False, True)
    assert outbox.last_request("create_invoice", "ada", 1) is None


def test_the_first_mapping_of_an_object_stays(outbox: Outbox) -> None:
    """Two processes that made the same customer agree on one."""
    outbox.remember("customer", "ada", "cus_1")
    outbox.remember("customer", "ada", "cus_2")
    assert outbox.stripe_id("customer", "ada") == "cus_1"
    assert outbox.stripe_id("customer", "bob") is None


def test_accounts_are_kept_apart(outbox: Outbox, engine: Engine) -> None:
    """What was pushed to the test account says nothing about the live one."""
    outbox.plan(INVOICE, 1)
    assert Outbox(engine, "acct/live", lambda: 7).latest_push(INVOICE) is None


def test_two_pushers_at_once_make_each_invoice_once(engine: Engine, tmp_path: Path) -> None:
    """Both end finalized, and Stripe holds one invoice per customer."""
    invoices = [
        PlannedInvoice(
            customer_id=f"customer-{number}",
            customer_name="Ada",
            billing_period=date(2026, 10, 1),
            currency="usd",
            lines=INVOICE.lines,
        )
        for number in range(6)
    ]
    with running_simulator(tmp_path / "simulator.sqlite") as address:
        gateway = StripeGateway("sk_test_x", address)

        def push(_: int) -> list[PushResult]:
            return push_invoices(engine, gateway, invoices)

        with ThreadPoolExecutor(2) as pool:
            for results in pool.map(push, range(2)):
                assert [result.state for result in results] == ["finalized"] * len(invoices), results
        for invoice in invoices:
            (customer,) = gateway.find_customers(invoice.customer_id, 0)
            (made,) = gateway.find_invoices(customer, f"{invoice.customer_id}/2026-10-01/usd/1")
            assert (made.status, made.total) == ("open", 5)
        gateway.close()
