import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from billing_pipeline.control.database import open_control
from billing_pipeline.errors import StripeServerError, StripeUnreachableError
from billing_pipeline.invoicing.push.invoice_push import PushResult, PushRules, push_invoices
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.push.planned import PlannedInvoice, PlannedLine
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.invoicing.stripe.port import PUSH

NOW_US = 1_790_000_000_000_000
DAY_US = 86_400_000_000
CHANGING = ("create_customer", "create_invoice", "add_lines", "finalize_invoice", "delete_draft")


class Killed(BaseException):
    """Stands for kill -9: no handler of the push may swallow it."""


class Interfering:
    """Calls `trigger(name, "before" | "after")` around every public method of what it wraps."""

    def __init__(self, inner: Any, trigger: Callable[[str, str], None]) -> None:
        self._inner = inner
        self._trigger = trigger

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self._trigger(name, "before")
            answer = method(*arguments, **options)
            self._trigger(name, "after")
            return answer

        return call


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeGateway]:
    with running_simulator(tmp_path_factory.mktemp("stripe") / "simulator.sqlite") as address:
        gateway = StripeGateway("sk_test_push", address)
        yield gateway
        gateway.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_control(f"sqlite:///{tmp_path_factory.mktemp('control') / 'control.sqlite'}")
    yield engine
    engine.dispose()


_customers = itertools.count(1)


def _invoice(lines: int = 3, currency: str = "usd") -> PlannedInvoice:
    """An invoice of a customer of its own, so that tests can share one simulator and one control database."""
    return PlannedInvoice(
        customer_id=f"customer-{next(_customers)}",
        customer_name="Ada GmbH",
        billing_period=date(2026, 10, 1),
        currency=currency,
        lines=tuple(
            PlannedLine(
                line_id=f"line-{number}",
                description=f"Tokens, line {number}",
                amount_minor=100 * number - 150,
                quantity_text="1,000 tokens",
                metadata={"meter": "tokens"},
            )
            for number in range(lines)
        ),
    )


def _push(engine: Engine, gateway: Any, invoice: PlannedInvoice, now_us: int = NOW_US) -> PushResult:
    (result,) = push_invoices(engine, gateway, [invoice], clock=lambda: now_us, sleep=lambda _seconds: None)
    return result


def _in_stripe(
    gateway: StripeGateway, invoice: PlannedInvoice
) -> list[tuple[str, int, dict[str | None, int]]]:
    """Status, total and amounts by line of every invoice of the customer, drafts included."""
    (customer,) = gateway.find_customers(invoice.customer_id, 0)
    found = []
    for revision in range(1, 6):
        push = f"{invoice.customer_id}/{invoice.billing_period}/{invoice.currency}/{revision}"
        found += gateway.find_invoices(customer, push)
    return [
        (made.status, made.total, {line.line_id: line.amount for line in gateway.lines(made.invoice_id)})
        for made in found
    ]


def _as_planned(invoice: PlannedInvoice) -> list[tuple[str, int, dict[str | None, int]]]:
    status = "open" if invoice.total_minor > 0 else "paid"
    return [(status, invoice.total_minor, {line.line_id: line.amount_minor for line in invoice.lines})]


@pytest.mark.parametrize("lines", [1, 3, 100, 101, 250])
def test_an_invoice_is_pushed_with_every_line(engine: Engine, gateway: StripeGateway, lines: int) -> None:
    """One finalized invoice with the right lines and total, also beyond one request and one page."""
    invoice = _invoice(lines)
    result = _push(engine, gateway, invoice)
    assert (result.state, result.total_minor, result.message) == ("finalized", invoice.total_minor, "")
    assert result.requests_sent == 3 + -(-lines // 100)
    assert _in_stripe(gateway, invoice) == _as_planned(invoice)


def test_pushing_twice_changes_nothing_and_sends_nothing(engine: Engine, gateway: StripeGateway) -> None:
    """The second run only reads the account; differently worded lines make no difference."""
    invoice = _invoice()
    first = _push(engine, gateway, invoice)
    reworded = replace(invoice, lines=tuple(replace(line, description="new words") for line in invoice.lines))
    calls: list[str] = []
    second = _push(engine, Interfering(gateway, lambda name, _when: calls.append(name)), reworded)
    assert second == replace(first, requests_sent=0)
    assert set(calls) == {"account"}


def test_every_crash_ends_with_one_right_invoice(
    engine: Engine, gateway: StripeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before or after any call of Stripe or of the outbox and run again: one right, final invoice."""
    monkeypatch.setattr("billing_pipeline.invoicing.push.plan.LINES_PER_REQUEST", 2)
    cases = 0
    for at in itertools.count():
        invoice = _invoice(3)
        seen = itertools.count()

        def trigger(_name: str, _when: str, at: int = at, seen: Iterator[int] = seen) -> None:
            if next(seen) == at:
                raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(
                "billing_pipeline.invoicing.push.invoice_push.Outbox",
                lambda *given, trigger=trigger: Interfering(Outbox(*given), trigger),
            )
            try:
                result = _push(engine, Interfering(gateway, trigger), invoice)
            except Killed:
                cases += 1
            else:
                assert result.state == "finalized"
                break
        assert _push(engine, gateway, invoice).state == "finalized"
        assert _in_stripe(gateway, invoice) == _as_planned(invoice)
    assert cases > 40


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", CHANGING[:4])
@pytest.mark.parametrize("fault", [Killed, StripeUnreachableError, StripeServerError])
def test_an_unknown_outcome_is_looked_up_when_the_key_is_dead(
    engine: Engine, gateway: StripeGateway, operation: str, when: str, fault: type[BaseException]
) -> None:
    """Whether the request was applied or not, a run a day later finds out by listing and ends right."""
    invoice = _invoice()
    error = Killed() if fault is Killed else fault(operation, "injected", 500)

    def trigger(name: str, moment: str) -> None:
        if (name, moment) == (operation, when):
            raise error

    if fault is Killed:
        with pytest.raises(Killed):
            _push(engine, Interfering(gateway, trigger), invoice)
    else:
        assert _push(engine, Interfering(gateway, trigger), invoice).state == "failed"
    sent: list[str] = []
    again = Interfering(gateway, lambda name, moment: sent.append(name) if moment == "before" else None)
    assert _push(engine, again, invoice, NOW_US + DAY_US).state == "finalized"
    assert _in_stripe(gateway, invoice) == _as_planned(invoice)
    assert sent.count(operation) == (1 if when == "before" else 0)


def test_a_failed_request_takes_a_new_key_only_after_a_look(engine: Engine, gateway: StripeGateway) -> None:
    """A key that replays a 5xx is dead: the push lists, finds nothing, and sends under the next epoch."""
    invoice = _invoice()
    failures = iter([False, True])
    calls: list[str] = []

    def failing(name: str, moment: str) -> None:
        calls.append(f"{moment} {name}")
        if (name, moment) == ("create_invoice", "before") and (replayed := next(failures, None)) is not None:
            raise StripeServerError("create invoice", "injected", 500, replayed=replayed)

    assert _push(engine, Interfering(gateway, failing), invoice).state == "finalized"
    looked = [call for call in calls if call in {"before create_invoice", "before find_invoices"}]
    assert looked == ["before create_invoice"] * 2 + ["before find_invoices", "before create_invoice"]
    assert _in_stripe(gateway, invoice) == _as_planned(invoice)
    with engine.connect() as connection:
        epochs = connection.execute(
            text(
                "SELECT epoch FROM stripe_requests WHERE operation = 'create_invoice' AND subject = :push "
                "ORDER BY epoch"
            ),
            {"push": f"{invoice.customer_id}/2026-10-01/usd/1"},
        )
        assert epochs.scalars().all() == [0, 1]


def test_finalized_with_other_lines_is_refused(engine: Engine, gateway: StripeGateway) -> None:
    """A finalized invoice is never made again: the push says what to do instead."""
    invoice = _invoice()
    _push(engine, gateway, invoice)
    changed = replace(invoice, lines=invoice.lines[:2])
    result = _push(engine, gateway, changed)
    assert (result.state, result.requests_sent) == ("refused", 0)
    assert "adjustment of the next period" in result.message
    assert _in_stripe(gateway, invoice) == _as_planned(invoice)


@pytest.mark.parametrize("operation", CHANGING[:4])
@pytest.mark.parametrize("when", ["before", "after"])
def test_lines_that_change_before_finalizing_make_a_new_revision(
    engine: Engine, gateway: StripeGateway, operation: str, when: str
) -> None:
    """The old draft is deleted and the new lines are invoiced; what is final by then stays, and is said."""
    invoice = _invoice()

    def trigger(name: str, moment: str) -> None:
        if (name, moment) == (operation, when):
            raise Killed

    with pytest.raises(Killed):
        _push(engine, Interfering(gateway, trigger), invoice)
    changed = replace(invoice, lines=invoice.lines[1:])
    result = _push(engine, gateway, changed)
    if (operation, when) == ("finalize_invoice", "after"):
        assert result.state == "refused"
        assert _in_stripe(gateway, invoice) == _as_planned(invoice)
    else:
        assert result.state == "finalized"
        assert _in_stripe(gateway, invoice) == _as_planned(changed)


def _verified(engine: Engine, gateway: StripeGateway, invoice: PlannedInvoice) -> tuple[str, str]:
    """The customer and the draft of an invoice that waits to be finalized."""
    rules = PushRules(hold=lambda _invoice: "wait")
    (result,) = push_invoices(engine, gateway, [invoice], rules=rules, clock=lambda: NOW_US)
    assert (result.state, result.message) == ("held", "wait")
    assert result.stripe_invoice_id is not None
    (customer,) = gateway.find_customers(invoice.customer_id, 0)
    return customer, result.stripe_invoice_id


def test_a_held_invoice_waits_as_a_verified_draft(engine: Engine, gateway: StripeGateway) -> None:
    """However often it is pushed; once nothing holds it, the same draft is finalized."""
    invoice = _invoice()
    assert _verified(engine, gateway, invoice) == _verified(engine, gateway, invoice)
    assert [status for status, _, _ in _in_stripe(gateway, invoice)] == ["draft"]
    assert _push(engine, gateway, invoice).state == "finalized"
    assert _in_stripe(gateway, invoice) == _as_planned(invoice)


def test_a_skipped_invoice_takes_its_draft_back(engine: Engine, gateway: StripeGateway) -> None:
    """Zero by policy, say: nothing of it stays in Stripe, and it can still be pushed later."""
    invoice = _invoice()
    _verified(engine, gateway, invoice)
    rules = PushRules(skip=lambda _invoice: "zero")
    (result,) = push_invoices(engine, gateway, [invoice], rules=rules, clock=lambda: NOW_US)
    assert (result.state, result.message) == ("skipped", "zero")
    assert _in_stripe(gateway, invoice) == []
    assert _push(engine, gateway, invoice).state == "finalized"


def test_a_draft_with_foreign_changes_is_mended(engine: Engine, gateway: StripeGateway) -> None:
    """A line that somebody added is pending again, and the draft is made anew: a difference is never finalized."""
    invoice = _invoice()
    customer, draft = _verified(engine, gateway, invoice)
    gateway.add_lines(draft, {"lines": [{"amount": 1, "description": "a gift"}]}, invoice.customer_id)
    assert _push(engine, gateway, invoice).state == "finalized"
    assert _in_stripe(gateway, invoice) == _as_planned(invoice)
    pending = gateway.client.v1.invoice_items.list({"customer": customer, "pending": True})
    assert [(item.amount, item.description) for item in pending.data] == [(1, "a gift")]


def test_a_draft_that_is_edited_again_and_again_is_left_to_a_person(
    engine: Engine, gateway: StripeGateway
) -> None:
    """Three times it is made anew; then the push says what differs and stops."""
    invoice = _invoice()
    edits = itertools.count()

    def edit(name: str, moment: str) -> None:
        if (name, moment) == ("retrieve_invoice", "before"):
            (customer,) = gateway.find_customers(invoice.customer_id, 0)
            for draft in (each for each in gateway.invoices_of(customer) if each.status == "draft"):
                line = {"amount": 1, "description": "again"}
                key = f"{invoice.customer_id} {next(edits)}"
                gateway.add_lines(draft.invoice_id, {"lines": [line]}, key)

    result = _push(engine, Interfering(gateway, edit), invoice)
    assert result.state == "refused"
    assert "a line that is not ours" in result.message
    assert "made anew 3 times" in result.message
    assert [status for status, _, _ in _in_stripe(gateway, invoice)] == ["draft"]


def test_threads_push_as_one_does(engine: Engine, gateway: StripeGateway) -> None:
    """Eight workers, results in the given order, each invoice once."""
    invoices = [_invoice(number % 4 + 1) for number in range(24)]
    told: list[PushResult] = []
    results = push_invoices(engine, gateway, invoices, told.append, workers=8, clock=lambda: NOW_US)
    assert [result.customer_id for result in results] == [invoice.customer_id for invoice in invoices]
    assert {result.state for result in results} == {"finalized"}
    assert sorted(told, key=lambda each: each.customer_id) == sorted(
        results, key=lambda each: each.customer_id
    )
    assert [_in_stripe(gateway, invoice) for invoice in invoices] == [_as_planned(each) for each in invoices]


def test_a_draft_finalized_by_hand_is_taken_over_when_it_is_right(
    engine: Engine, gateway: StripeGateway
) -> None:
    """Somebody finalized our draft in the dashboard: compared, noted, not touched."""
    invoice = _invoice()

    def finalized_by_hand(name: str, moment: str) -> None:
        if (name, moment) == ("finalize_invoice", "before"):
            (customer,) = gateway.find_customers(invoice.customer_id, 0)
            (draft,) = gateway.find_invoices(customer, f"{invoice.customer_id}/2026-10-01/usd/1")
            gateway.finalize_invoice(draft.invoice_id, {}, f"by hand {invoice.customer_id}")

    assert _push(engine, Interfering(gateway, finalized_by_hand), invoice).state == "failed"
    assert _push(engine, gateway, invoice).state == "finalized"
    assert _in_stripe(gateway, invoice) == _as_planned(invoice)


def test_one_customer_does_not_stop_the_others(engine: Engine, gateway: StripeGateway) -> None:
    """A failure, a refusal and an empty invoice stand beside a finalized one; progress sees each in turn."""
    failing, too_long, empty, fine = _invoice(), _invoice(251), _invoice(0), _invoice()
    seen: list[str] = []

    def trigger(name: str, moment: str) -> None:
        if (name, moment) == ("create_invoice", "before") and not seen:
            raise StripeUnreachableError("create invoice", "injected")

    results = push_invoices(
        engine,
        Interfering(gateway, trigger),
        [failing, too_long, empty, fine],
        progress=lambda result: seen.append(result.state),
        sleep=lambda _seconds: None,
    )
    assert seen == [result.state for result in results] == ["failed", "refused", "skipped", "finalized"]
    assert "251 lines, Stripe takes at most 250" in results[1].message
    assert "nothing to invoice" in results[2].message


def test_an_invoice_that_lost_all_its_lines_loses_its_draft(engine: Engine, gateway: StripeGateway) -> None:
    """A draft of lines that are not due any more is deleted; nothing is left to finalize by mistake."""
    invoice = _invoice()

    def stop(name: str, moment: str) -> None:
        if (name, moment) == ("add_lines", "after"):
            raise Killed

    with pytest.raises(Killed):
        _push(engine, Interfering(gateway, stop), invoice)
    assert _push(engine, gateway, replace(invoice, lines=())).state == "skipped"
    assert _in_stripe(gateway, invoice) == []


def test_a_negative_total_is_pushed_as_credit(engine: Engine, gateway: StripeGateway) -> None:
    """Credits are invoices with a negative total, which Stripe keeps as the customer's balance."""
    invoice = _invoice(1)
    assert invoice.total_minor == -150
    assert _push(engine, gateway, invoice).state == "finalized"
    assert _in_stripe(gateway, invoice) == [("paid", -150, {"line-0": -150})]


@pytest.mark.parametrize(
    ("currency", "amount_minor", "in_stripe"),
    [("jpy", 500, 500), ("kwd", 5120, 5120), ("isk", 5, 500), ("ugx", -7, -700), ("mga", 300, 3)],
)
def test_amounts_reach_stripe_in_its_own_units(
    engine: Engine, gateway: StripeGateway, currency: str, amount_minor: int, in_stripe: int
) -> None:
    """Zero- and three-decimal currencies, and those where Stripe counts otherwise than ISO 4217."""
    invoice = _invoice(1, currency)
    invoice = replace(invoice, lines=(replace(invoice.lines[0], amount_minor=amount_minor),))
    result = _push(engine, gateway, invoice)
    assert (result.state, result.total_minor) == ("finalized", amount_minor)
    assert [total for _, total, _ in _in_stripe(gateway, invoice)] == [in_stripe]


@pytest.mark.parametrize(
    ("currency", "amount_minor"), [("kwd", 5124), ("mga", 150), ("clf", 10_000), ("xxx", 1)]
)
def test_amounts_that_stripe_cannot_hold_are_refused(
    engine: Engine, gateway: StripeGateway, currency: str, amount_minor: int
) -> None:
    """Nothing is rounded on the way; nothing is sent."""
    invoice = _invoice(1, currency)
    invoice = replace(invoice, lines=(replace(invoice.lines[0], amount_minor=amount_minor),))
    result = _push(engine, gateway, invoice)
    assert (result.state, result.requests_sent) == ("refused", 0)
    assert "line line-0: " in result.message


def test_two_invoices_of_one_customer_share_the_customer(engine: Engine, gateway: StripeGateway) -> None:
    """Other periods and currencies are invoices of their own, on the one customer."""
    first = _invoice()
    second = replace(first, billing_period=date(2026, 11, 1))
    third = replace(first, currency="eur")
    assert {result.state for result in push_invoices(engine, gateway, [first, second, third])} == {
        "finalized"
    }
    for invoice in (first, second, third):
        assert _in_stripe(gateway, invoice) == _as_planned(invoice)


def test_a_lost_control_database_makes_no_second_invoice(
    engine: Engine, gateway: StripeGateway, tmp_path: Path
) -> None:
    """Keys are deterministic: pushed again from an empty outbox within a day, all answers are replays."""
    invoice = _invoice()
    first = _push(engine, gateway, invoice)
    empty = open_control(f"sqlite:///{tmp_path / 'control.sqlite'}")
    again = _push(empty, gateway, invoice)
    empty.dispose()
    assert (again.state, again.stripe_invoice_id) == ("finalized", first.stripe_invoice_id)
    assert _in_stripe(gateway, invoice) == _as_planned(invoice)


def test_the_outbox_tells_the_story(engine: Engine, gateway: StripeGateway) -> None:
    """Every state and every request with its exact parameters can be read afterwards."""
    invoice = _invoice()
    _push(engine, gateway, invoice)
    with engine.connect() as connection:
        transitions = text(
            "SELECT state FROM stripe_push_transitions JOIN stripe_pushes ON push_id = stripe_pushes.id "
            "WHERE customer_id = :customer ORDER BY step"
        )
        states = connection.execute(transitions, {"customer": invoice.customer_id}).scalars()
        assert list(states) == ["planned", "draft", "lines_added", "verified", "finalized", "reconciled"]
        requests = text(
            "SELECT operation, parameters FROM stripe_requests WHERE subject IN (:customer, :push)"
        )
        names = {"customer": invoice.customer_id, "push": f"{invoice.customer_id}/2026-10-01/usd/1"}
        sent = connection.execute(requests, names)
        parameters = {row.operation: row.parameters for row in sent}
    assert set(parameters) == set(CHANGING[:4])
    assert f'"{PUSH}":"{invoice.customer_id}/2026-10-01/usd/1"' in parameters["create_invoice"]
    assert '"amount":-150' in parameters["add_lines"]
