"""Invoice lines against Stripe: every cause is made to happen, told with what to do, and asks for a person or not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from billing_pipeline.control.database import writing
from billing_pipeline.control.invoice_tables import (
    STRIPE_CREDIT_NOTE_TRANSITIONS,
    STRIPE_CREDIT_NOTES,
    STRIPE_DELIVERIES,
)
from billing_pipeline.errors import StripeRefusedError, StripeServerError
from billing_pipeline.invoicing.period_close.holding import read_holding
from billing_pipeline.invoicing.period_close.push_stage import billed_on, deliveries, planned_invoices
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies, InvoicingPolicy
from billing_pipeline.invoicing.push.credit_notes import push_credit_notes
from billing_pipeline.invoicing.push.invoice_push import push_invoices
from billing_pipeline.invoicing.push.planned import PlannedInvoice
from billing_pipeline.invoicing.stripe.port import StripeCreditNote
from billing_pipeline.schemas.table import PartitionKey, Table
from billing_pipeline.schemas.tables import INVOICE_LINES
from billing_pipeline_tests.audit.invoiced_company import END, NEXT_END, InvoicedCompany


def beta(company: InvoicedCompany) -> str:
    """The Stripe invoice of beta's October."""
    (found,) = [each for each in company.push() if each.customer_id == "beta"]
    assert found.stripe_invoice_id
    return found.stripe_invoice_id


def is_beta(invoice: PlannedInvoice) -> str:
    return "waits for its approval" if invoice.customer_id == "beta" else ""


def test_before_the_push_every_invoice_is_not_pushed(in_stripe: InvoicedCompany) -> None:
    causes = in_stripe.causes()
    assert {cause for cause, _ in causes.values()} == {"not_pushed", "blocked"}
    (row,) = in_stripe.rows("lines_stripe", "beta")
    assert tuple(map(int, (row.expected, row.found, row.difference))) == (2400, 0, -2400)
    assert "billing period close" in row.message


def test_a_draft_that_waits_is_held(in_stripe: InvoicedCompany) -> None:
    in_stripe.push(hold=is_beta)
    in_stripe.holds = is_beta
    (row,) = in_stripe.rows("lines_stripe", "beta")
    assert (row.cause, str(row.status), int(row.found)) == ("held", "explained", 0)
    assert "waits for its approval" in row.message
    assert row.reference.startswith("in_")


def test_an_invoice_whose_plan_wants_an_approval_says_how_to_approve_it(in_stripe: InvoicedCompany) -> None:
    """By the same rules as the period close."""
    in_stripe.policies = InvoicingPolicies(InvoicingPolicy(approval="required"))
    in_stripe.holds = read_holding(in_stripe.control, in_stripe.policies).hold
    in_stripe.push(hold=in_stripe.holds)
    (row,) = in_stripe.rows("lines_stripe", "beta")
    assert (row.cause, str(row.status)) == ("held", "explained")
    assert "billing invoice approve beta 2026-10" in row.message


def test_a_draft_that_nothing_holds_any_more_is_a_draft(in_stripe: InvoicedCompany) -> None:
    in_stripe.push(hold=is_beta)
    assert in_stripe.causes()["beta usd"] == ("draft", "explained")


@pytest.mark.parametrize(
    ("error", "cause", "status"),
    [
        (StripeRefusedError("finalize invoice", "Your account cannot do this.", 400), "refused", "person"),
        (StripeServerError("finalize invoice", "Oops", 500, replayed=True), "failed", "explained"),
    ],
)
def test_what_stripe_refused_needs_a_person_and_what_failed_does_not(
    in_stripe: InvoicedCompany, monkeypatch: pytest.MonkeyPatch, error: Exception, cause: str, status: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(in_stripe.gateway, "finalize_invoice", fail)
    in_stripe.push()
    (row,) = in_stripe.rows("lines_stripe", "beta")
    assert (row.cause, row.status) == (cause, status)
    assert str(error) in row.message


def test_an_invoice_that_stripe_cannot_take_is_refused(
    in_stripe: InvoicedCompany, tamper: Callable[[Table, PartitionKey, str], None]
) -> None:
    """Found by the same rules as in the push, before anything is sent."""
    tamper(INVOICE_LINES, PartitionKey(END), "SELECT * REPLACE (repeat('d', 501) AS description) FROM part")
    causes = in_stripe.causes()
    assert causes["beta usd"] == ("refused", "person")
    assert {cause for cause, _ in causes.values()} == {"refused", "blocked"}


def test_zero_by_policy_is_no_missing_invoice(in_stripe: InvoicedCompany) -> None:
    in_stripe.policies = InvoicingPolicies(InvoicingPolicy(zero_invoices="skip"))
    assert in_stripe.causes()["tried usd"] == ("zero_invoice", "explained")
    assert in_stripe.causes()["beta usd"] == ("not_pushed", "explained")


@pytest.mark.parametrize(
    ("action", "cause", "status", "found"),
    [
        ("void_invoice", "voided_in_stripe", "person", 0),
        ("mark_uncollectible", "uncollectible", "explained", 2400),
        ("pay", "", "equal", 2400),
    ],
)
def test_what_people_do_to_an_invoice_in_stripe_is_told(
    in_stripe: InvoicedCompany, action: str, cause: str, status: str, found: int
) -> None:
    """Through Stripe's own interface; it is that one invoice, and nobody else's."""
    getattr(in_stripe.gateway.client.v1.invoices, action)(beta(in_stripe))
    (row,) = in_stripe.rows("lines_stripe", "beta")
    assert (row.cause, str(row.status), int(row.found)) == (cause, status, found)
    assert {told for name, (told, _) in in_stripe.causes().items() if name not in {"beta usd", "stuck"}} == {
        ""
    }


def test_a_total_that_is_another_in_stripe_is_told(
    in_stripe: InvoicedCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though all lines are ours: a tax, say, that somebody has switched on."""
    beta(in_stripe)
    invoices_of = in_stripe.gateway.invoices_of
    monkeypatch.setattr(
        in_stripe.gateway,
        "invoices_of",
        lambda customer: [replace(each, total=2500) for each in invoices_of(customer)],
    )
    (row,) = in_stripe.rows("lines_stripe", "beta")
    assert (row.cause, str(row.status), int(row.found)) == ("edited_in_stripe", "person", 2500)
    assert "2500 instead of 2400" in row.message


def test_a_line_edited_in_stripe_is_named(in_stripe: InvoicedCompany) -> None:
    invoice_id = beta(in_stripe)
    (line,) = in_stripe.gateway.lines(invoice_id)
    in_stripe.edit("line_item", line.stripe_line_id, amount=1)
    (row,) = in_stripe.rows("lines_stripe", "beta")
    assert (row.cause, row.status) == ("edited_in_stripe", "person")
    assert f"line {line.line_id} has 1 usd instead of 2400 usd" in row.message


def test_an_invoice_that_is_gone_is_told(in_stripe: InvoicedCompany) -> None:
    in_stripe.remove(beta(in_stripe))
    (row,) = in_stripe.rows("lines_stripe", "beta")
    assert (row.cause, str(row.status), int(row.difference)) == ("deleted_in_stripe", "person", -2400)


def test_invoices_of_others_are_told_and_count_for_nothing(in_stripe: InvoicedCompany) -> None:
    """Only those that were made within the period, and none that is a draft."""
    beta(in_stripe)
    gateway, customer = in_stripe.gateway, customer_of(in_stripe)
    within = int(datetime(2026, 10, 15, tzinfo=UTC).timestamp())
    made = []
    for name, created in (("final", within), ("earlier", 1_700_000_000), ("draft", within)):
        invoice_id = gateway.create_invoice({"customer": customer, "currency": "usd"}, name).invoice_id
        gateway.add_lines(invoice_id, {"lines": [{"amount": 700, "description": "Advice"}]}, f"{name}-lines")
        if name != "draft":
            gateway.finalize_invoice(invoice_id, {"auto_advance": False}, f"{name}-final")
        in_stripe.edit("invoice", invoice_id, created=created)
        made.append(invoice_id)
    found = {row.cause: row for row in in_stripe.rows("lines_stripe", "beta")}
    assert {cause: int(row.found) for cause, row in found.items()} == {"": 2400, "foreign_invoice": 700}
    assert found["foreign_invoice"].status == "explained"
    assert found["foreign_invoice"].reference == made[0]


def test_a_second_invoice_for_the_same_is_a_duplicate(in_stripe: InvoicedCompany) -> None:
    invoice_id = beta(in_stripe)
    first = next(
        each
        for each in in_stripe.gateway.invoices_of(customer_of(in_stripe))
        if each.invoice_id == invoice_id
    )
    second = in_stripe.gateway.create_invoice(
        {"customer": customer_of(in_stripe), "currency": "usd", "metadata": dict(first.metadata)}, "second"
    )
    in_stripe.edit("invoice", second.invoice_id, status="open", total=2400)
    found = {row.cause: row for row in in_stripe.rows("lines_stripe", "beta")}
    assert found.keys() == {"", "duplicate_in_stripe"}
    assert found["duplicate_in_stripe"].status == "person"
    assert invoice_id in found["duplicate_in_stripe"].message


def customer_of(company: InvoicedCompany) -> str:
    """Beta in Stripe."""
    return company.gateway.find_customers("beta", 0)[0]


def test_usage_delivered_as_meter_events_is_metered(in_stripe: InvoicedCompany) -> None:
    """By what was recorded for the period; the other customers of the plan are invoiced by lines."""
    with writing(in_stripe.control) as connection:
        connection.execute(
            STRIPE_DELIVERIES.insert().values(
                account=in_stripe.gateway.account(),
                customer_id="beta",
                plan="growth",
                billing_period="2026-10-01",
                delivery="meter_events",
                recorded_at=1,
            )
        )
    causes = in_stripe.causes()
    assert causes["beta usd"] == ("metered", "explained")
    assert causes["zulu usd"] == ("not_pushed", "explained")


def credited(company: InvoicedCompany, state: str, credit_note_id: str | None) -> str:
    """Let the outbox say that acme's November adjustment is credited on its October invoice, which is returned."""
    (invoice,) = [
        each for each in planned_invoices(company.pipeline.workshop, [NEXT_END]) if each.customer_id == "acme"
    ]
    (corrected,) = [
        each for each in company.push([END]) if (each.customer_id, each.currency) == ("acme", "usd")
    ]
    with writing(company.control) as connection:
        note_id = connection.execute(
            STRIPE_CREDIT_NOTES.insert()
            .values(
                account=company.gateway.account(),
                customer_id="acme",
                billing_period="2026-11-01",
                corrects="2026-10-01",
                currency="usd",
                revision=1,
                stripe_invoice_id=corrected.stripe_invoice_id,
                plan=f'{{"lines": [{{"metadata": {{"line_id": "{invoice.lines[0].line_id}"}}}}]}}',
                total_minor=-1500,
                lines_hash="-",
                planned_at=1,
            )
            .returning(STRIPE_CREDIT_NOTES.c.id)
        ).scalar_one()
        connection.execute(
            STRIPE_CREDIT_NOTE_TRANSITIONS.insert().values(
                credit_note_id=note_id,
                step=0,
                state=state,
                stripe_credit_note_id=credit_note_id,
                detail="",
                recorded_at=1,
            )
        )
    return corrected.stripe_invoice_id or ""


def test_a_credit_note_that_is_not_sent_yet_is_not_pushed(in_stripe: InvoicedCompany) -> None:
    credited(in_stripe, "planned", None)
    (row,) = in_stripe.rows("lines_stripe", "acme", NEXT_END)
    assert (row.cause, int(row.expected), int(row.found)) == ("not_pushed", -1500, 0)


def test_a_credit_note_that_was_refused_needs_a_person(in_stripe: InvoicedCompany) -> None:
    credited(in_stripe, "refused", None)
    (row,) = in_stripe.rows("lines_stripe", "acme", NEXT_END)
    assert (row.cause, str(row.status), int(row.found)) == ("refused", "person", 0)


@pytest.mark.parametrize(
    ("note", "cause", "status", "found"),
    [
        (None, "deleted_in_stripe", "person", 0),
        ({"status": "issued", "total": 1500}, "credit_note", "explained", -1500),
        ({"status": "void", "total": 1500}, "voided_in_stripe", "person", 0),
        ({"status": "issued", "total": 1400}, "edited_in_stripe", "person", -1400),
    ],
)
def test_a_credit_note_of_ours_is_compared_with_the_lines_it_stands_for(
    in_stripe: InvoicedCompany,
    monkeypatch: pytest.MonkeyPatch,
    note: dict[str, Any] | None,
    cause: str,
    status: str,
    found: int,
) -> None:
    """On the invoice that it corrects; the November invoice has no lines left."""
    invoice_id = credited(in_stripe, "issued", "cn_1")
    has_credit_notes(in_stripe, monkeypatch, invoice_id, {} if note is None else {"cn_1": note})
    (row,) = in_stripe.rows("lines_stripe", "acme", NEXT_END)
    assert (row.cause, str(row.status), int(row.expected), int(row.found)) == (cause, status, -1500, found)
    assert "corrects 2026-10-01" in row.message


def test_a_credit_note_by_hand_is_told_and_one_of_ours_is_not(
    in_stripe: InvoicedCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both stand on October's invoice; one that is void counts for nothing."""
    invoice_id = credited(in_stripe, "issued", "cn_1")
    notes = {
        "cn_1": {"status": "issued", "total": 1500},
        "cn_hand": {"status": "issued", "total": 200},
        "cn_void": {"status": "void", "total": 100},
    }
    has_credit_notes(in_stripe, monkeypatch, invoice_id, notes)
    ours, by_hand = [row for row in in_stripe.rows("lines_stripe", "acme") if row.currency == "usd"]
    assert (ours.cause, int(ours.found)) == ("", 1500)
    assert (by_hand.cause, str(by_hand.status), int(by_hand.found)) == ("credit_note_by_hand", "person", -200)
    assert by_hand.reference == "cn_hand"


def has_credit_notes(
    company: InvoicedCompany,
    monkeypatch: pytest.MonkeyPatch,
    invoice_id: str,
    notes: dict[str, dict[str, Any]],
) -> None:
    """Let an invoice in Stripe have credit notes; a void one takes nothing off."""
    credited = sum(note["total"] for note in notes.values() if note["status"] == "issued")
    company.edit("invoice", invoice_id, pre_payment_credit_notes_amount=credited)

    def credit_notes(of: str) -> list[StripeCreditNote]:
        return [
            StripeCreditNote(credit_note_id=name, invoice_id=of, currency="usd", metadata={}, **note)
            for name, note in notes.items()
            if of == invoice_id
        ]

    monkeypatch.setattr(company.gateway, "credit_notes", credit_notes)


def test_a_failure_that_was_got_over_is_no_cause_any_more(
    in_stripe: InvoicedCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines could not be added at first; then the draft was verified, and is held."""
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise StripeServerError("add lines", "Oops", 500, replayed=True)

        patch.setattr(in_stripe.gateway, "add_lines", fail)
        in_stripe.push()
    assert in_stripe.causes()["beta usd"] == ("failed", "explained")
    in_stripe.push(hold=is_beta)
    assert in_stripe.causes()["beta usd"] == ("draft", "explained")


def test_a_decrease_that_was_credited_reconciles_to_zero(in_stripe: InvoicedCompany) -> None:
    """Acme's October is less by its whole 15 dollars in November, and is credited on October's invoice."""
    in_stripe.policies = InvoicingPolicies(InvoicingPolicy(decreases="credit_note"))
    account = in_stripe.gateway.account()
    for day in (END, NEXT_END):
        billed = billed_on(in_stripe.pipeline.workshop, day)
        planned = deliveries(in_stripe.control, account, in_stripe.policies, billed)
        notes = [note for each in planned for note in each.credit_notes]
        push_credit_notes(in_stripe.control, in_stripe.gateway, notes)
        push_invoices(in_stripe.control, in_stripe.gateway, [each.invoice for each in planned])
    rows = in_stripe.reconciler().rows([END, NEXT_END])
    assert {str(row.status) for row in rows} == {"equal", "explained"}
    (row,) = [row for row in rows if row.cause == "credit_note"]
    assert (row.customer_id, int(row.expected), int(row.found)) == ("acme", -1500, -1500)
    assert row.reference.startswith("cn_")


def test_what_somebody_credits_in_stripe_is_told(in_stripe: InvoicedCompany) -> None:
    invoice_id = beta(in_stripe)
    made = in_stripe.gateway.client.v1.credit_notes.create({"invoice": invoice_id, "amount": 200})
    ours, by_hand = in_stripe.rows("lines_stripe", "beta")
    assert (ours.cause, int(ours.found)) == ("", 2400)
    assert (by_hand.cause, str(by_hand.status), int(by_hand.found)) == ("credit_note_by_hand", "person", -200)
    assert by_hand.reference == made.id
