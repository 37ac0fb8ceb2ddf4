"""Each planned credit note is issued once, whatever happens on the way."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine, select

from billing_pipeline.control.database import open_control
from billing_pipeline.control.invoice_tables import STRIPE_CREDIT_NOTE_TRANSITIONS
from billing_pipeline.errors import StripeRefusedError, StripeUnreachableError
from billing_pipeline.invoicing.push.billed import BilledLine
from billing_pipeline.invoicing.push.credit_notes import CreditNoteResult, push_credit_notes
from billing_pipeline.invoicing.push.delivery import PlannedCreditNote
from billing_pipeline.invoicing.push.known_reader import read_known
from billing_pipeline.invoicing.push.planned import PlannedLine
from billing_pipeline.invoicing.stripe.port import StripeCreditNote, StripeInvoice, StripeLine

SEPTEMBER, OCTOBER = date(2026, 9, 1), date(2026, 10, 1)
NOW_US = 1_790_000_000_000_000
DAY_US = 86_400_000_000
ADJUSTMENT = BilledLine(
    *("acme", OCTOBER, "usd", "line-0", "", -200, Decimal(), "", "adjustment", "usage", "", "", ""),
    *(SEPTEMBER, "", "", ""),
)


class Killed(BaseException):
    """Stands for kill -9: no handler of the push may swallow it."""


@dataclass
class FakeStripe:
    """Invoices and credit notes, with Stripe's rules for both and for idempotency keys.

    `kill` names a call ("create_credit_note before") that ends the process; `drop` one whose answer is lost.
    """

    invoices: dict[str, StripeInvoice] = field(default_factory=dict)
    issued: list[StripeCreditNote] = field(default_factory=list)
    sent: list[Mapping[str, Any]] = field(default_factory=list)
    kill: str = ""
    drop: int = 0
    _answers: dict[str, tuple[str, StripeCreditNote | StripeRefusedError]] = field(default_factory=dict)

    def account(self) -> str:
        return "acct/test"

    def retrieve_invoice(self, invoice_id: str) -> StripeInvoice | None:
        self._at("retrieve_invoice before")
        return self.invoices.get(invoice_id)

    def create_credit_note(self, parameters: Mapping[str, Any], idempotency_key: str) -> StripeCreditNote:
        self._at("create_credit_note before")
        text = json.dumps(parameters, sort_keys=True)
        if idempotency_key not in self._answers:
            self._answers[idempotency_key] = (text, self._issue(parameters))
        written, answer = self._answers[idempotency_key]
        assert written == text, "one key, one request"
        if self.drop:
            self.drop -= 1
            raise StripeUnreachableError("create credit note", "no answer")
        self._at("create_credit_note after")
        if isinstance(answer, StripeRefusedError):
            raise answer
        return answer

    def credit_notes(self, invoice_id: str) -> list[StripeCreditNote]:
        self._at("credit_notes before")
        return [note for note in reversed(self.issued) if note.invoice_id == invoice_id]

    def credit_note_lines(self, credit_note_id: str) -> list[StripeLine]:
        self._at("credit_note_lines before")
        number = [note.credit_note_id for note in self.issued].index(credit_note_id)
        return [
            StripeLine(
                stripe_line_id=f"cnli_{index}",
                line_id=line["metadata"]["line_id"],
                amount=line["unit_amount"] * line["quantity"],
                currency=self.issued[number].currency,
            )
            for index, line in enumerate(self.sent[number]["lines"])
        ]

    def _issue(self, parameters: Mapping[str, Any]) -> StripeCreditNote | StripeRefusedError:
        invoice = self.invoices[parameters["invoice"]]
        total = sum(line["unit_amount"] for line in parameters["lines"])
        after_payment = max(0, total - invoice.amount_remaining)
        if parameters.get("credit_amount", 0) != after_payment:
            return StripeRefusedError("create credit note", "the sums do not match", 400)
        note = StripeCreditNote(
            credit_note_id=f"cn_{len(self.issued) + 1}",
            invoice_id=invoice.invoice_id,
            status="issued",
            currency=invoice.currency,
            total=total,
            metadata=parameters["metadata"],
        )
        left = invoice.amount_remaining - (total - after_payment)
        self.invoices[invoice.invoice_id] = replace(invoice, amount_remaining=left)
        self.issued.append(note)
        self.sent.append(parameters)
        return note

    def _at(self, step: str) -> None:
        if step == self.kill:
            self.kill = ""
            raise Killed


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    engine = open_control(migrated_url)
    yield engine
    engine.dispose()


def _stripe(status: str = "open", remaining: int = 1000, **about: Any) -> FakeStripe:
    invoice = StripeInvoice(
        invoice_id="in_1", status=status, currency="usd", total=1000, metadata={}, amount_remaining=remaining
    )
    return FakeStripe({"in_1": invoice}, **about)


def _note(*amounts: int) -> PlannedCreditNote:
    lines = tuple(
        PlannedLine(
            line_id=f"line-{number}",
            description="Adjustment for 2026-09",
            amount_minor=amount,
            quantity_text="7 token",
            metadata={"corrects": "in_1"},
        )
        for number, amount in enumerate(amounts)
    )
    return PlannedCreditNote(
        customer_id="acme",
        billing_period=OCTOBER,
        corrects=SEPTEMBER,
        currency="usd",
        stripe_invoice_id="in_1",
        lines=lines,
    )


def _push(
    engine: Engine, stripe: FakeStripe, note: PlannedCreditNote, now_us: int = NOW_US
) -> CreditNoteResult:
    (result,) = push_credit_notes(engine, stripe, [note], clock=lambda: now_us, sleep=lambda _: None)  # type: ignore[arg-type]  # of the port only what credit notes need
    return result


def _states(engine: Engine) -> list[str]:
    table = STRIPE_CREDIT_NOTE_TRANSITIONS
    with engine.connect() as connection:
        return list(connection.scalars(select(table.c.state).order_by(table.c.credit_note_id, table.c.step)))


def test_a_decrease_is_credited_on_the_invoice_it_corrects(engine: Engine) -> None:
    """One request with every line, findable by what it corrects; verified; a second push sends nothing."""
    stripe = _stripe()
    result = _push(engine, stripe, _note(-200, -50))
    assert (result.state, result.stripe_credit_note_id, result.requests_sent) == ("issued", "cn_1", 1)
    (sent,) = stripe.sent
    assert sent == {
        "invoice": "in_1",
        "lines": [
            {
                "type": "custom_line_item",
                "description": "Adjustment for 2026-09",
                "quantity": 1,
                "unit_amount": amount,
                "metadata": {"corrects": "in_1", "quantity": "7 token", "line_id": f"line-{number}"},
            }
            for number, amount in enumerate((200, 50))
        ],
        "memo": "Adjustments for 2026-09, known since 2026-10",
        "metadata": {
            "billing_push": "acme/2026-10-01/usd/corrects 2026-09-01/1",
            "billing_customer_id": "acme",
            "billing_period": "2026-10-01",
            "corrects": "in_1",
            "usage_period": "2026-09-01",
        },
        "reason": "order_change",
    }
    again = _push(engine, stripe, _note(-200, -50))
    assert again == replace(result, requests_sent=0)
    assert _states(engine) == ["planned", "sending", "issued", "reconciled"]


@pytest.mark.parametrize(
    ("status", "remaining", "to_balance"), [("paid", 0, 250), ("open", 100, 150), ("open", 250, None)]
)
def test_what_was_paid_already_goes_to_the_customers_balance(
    engine: Engine, status: str, remaining: int, to_balance: int | None
) -> None:
    """And what is still to be paid is just not asked for any more."""
    stripe = _stripe(status, remaining)
    assert _push(engine, stripe, _note(-200, -50)).state == "issued"
    assert stripe.sent[0].get("credit_amount") == to_balance


@pytest.mark.parametrize(
    "kill",
    [
        "retrieve_invoice before",
        "create_credit_note before",
        "create_credit_note after",
        "credit_notes before",
        "credit_note_lines before",
    ],
)
@pytest.mark.parametrize("later", [0, 2 * DAY_US])
def test_a_run_that_was_killed_is_gone_on_with(engine: Engine, kill: str, later: int) -> None:
    """Exactly one credit note, also where the key has died by then."""
    stripe = _stripe(kill=kill)
    with pytest.raises(Killed):
        _push(engine, stripe, _note(-200))
    assert _push(engine, stripe, _note(-200), NOW_US + later).state == "issued"
    assert [note.total for note in stripe.issued] == [200]


def test_an_answer_that_is_lost_is_asked_for_again(engine: Engine) -> None:
    """Within a run by the same key, and in the next run where all attempts were in vain."""
    stripe = _stripe(drop=8)
    failed = _push(engine, stripe, _note(-200))
    assert (failed.state, "run the push again" in failed.message) == ("failed", True)
    assert _push(engine, stripe, _note(-200)).state == "issued"
    assert len(stripe.issued) == 1


@pytest.mark.parametrize("status", ["void", "uncollectible", ""])
def test_nothing_is_credited_on_an_invoice_that_was_voided_by_hand(engine: Engine, status: str) -> None:
    """It is refused, run after run, with what to do; its line stays with it. Once mended, it is issued."""
    stripe = _stripe(status) if status else FakeStripe()
    for _ in range(2):
        result = _push(engine, stripe, _note(-200))
        assert result.state == "refused"
        assert status in result.message
        assert "by hand" in result.message
    assert _states(engine) == ["planned", "refused"]
    (note,) = read_known(engine, "acct/test", [ADJUSTMENT]).credit_notes
    assert (note.sent, note.line_ids) == (True, frozenset({"line-0"}))
    assert _push(engine, stripe, _note(-300)).state == "refused"
    mended = _stripe()
    assert _push(engine, mended, _note(-300)).state == "issued"


def test_what_is_paid_between_planning_and_sending_is_planned_anew(engine: Engine) -> None:
    """Stripe refuses sums that do not match the payment; the next run sends the right ones."""
    stripe = _stripe(kill="retrieve_invoice before")
    with pytest.raises(Killed):
        _push(engine, stripe, _note(-200))
    stripe.kill = "create_credit_note before"
    with pytest.raises(Killed):
        _push(engine, stripe, _note(-200))
    stripe.invoices["in_1"] = replace(stripe.invoices["in_1"], status="paid", amount_remaining=0)
    refused = _push(engine, stripe, _note(-200))
    assert (refused.state, "sums do not match" in refused.message) == ("refused", True)
    assert _push(engine, stripe, _note(-200)).state == "issued"
    assert [sent["credit_amount"] for sent in stripe.sent] == [200]
    assert _states(engine) == [
        *("planned", "sending", "refused", "superseded"),
        *("planned", "sending", "issued", "reconciled"),
    ]


def test_lines_that_change_before_they_are_sent_make_the_next_revision(engine: Engine) -> None:
    stripe = _stripe("void")
    _push(engine, stripe, _note(-200))
    stripe = _stripe()
    assert _push(engine, stripe, _note(-200, -1)).state == "issued"
    assert [note.metadata["billing_push"][-2:] for note in stripe.issued] == ["/2"]
    assert _states(engine)[:3] == ["planned", "refused", "superseded"]


def test_lines_that_are_gone_before_they_are_sent_are_withdrawn(engine: Engine) -> None:
    """And a credit note without lines that never was is none."""
    stripe = _stripe("void")
    assert _push(engine, stripe, _note()).state == "skipped"
    _push(engine, stripe, _note(-200))
    assert _push(engine, stripe, _note()).state == "skipped"
    assert _states(engine) == ["planned", "refused", "superseded"]


@pytest.mark.parametrize("changed", [(-201,), ()])
@pytest.mark.parametrize("kill", ["", "create_credit_note after", "create_credit_note before"])
def test_lines_that_change_after_they_were_sent_are_refused(
    engine: Engine, changed: tuple[int, ...], kill: str
) -> None:
    """With the credit note that stands in Stripe; never a second one."""
    stripe = _stripe(kill=kill)
    with suppress(Killed):
        _push(engine, stripe, _note(-200))
    for _ in range(2):
        result = _push(engine, stripe, _note(*changed))
        assert result.state == "refused"
        assert "cn_1 is issued with other lines than are now due" in result.message
    assert [note.total for note in stripe.issued] == [200]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"total": 7}, "total is 7 instead of 200"),
        ({"status": "void"}, "cn_1 is void"),
        ({}, "not in Stripe"),
    ],
)
def test_what_stands_in_stripe_is_compared(engine: Engine, change: dict[str, Any], told: str) -> None:
    """Line for line, before it counts as done."""
    stripe = _stripe(kill="credit_notes before")
    with pytest.raises(Killed):
        _push(engine, stripe, _note(-200))
    stripe.issued = [replace(note, **change) for note in stripe.issued if change]
    result = _push(engine, stripe, _note(-200))
    assert (result.state, told in result.message) == ("refused", True)


def test_what_stripe_cannot_take_is_told_before_anything_is_sent(engine: Engine) -> None:
    result = _push(engine, _stripe(), replace(_note(-5), currency="kwd"))
    assert (result.state, "multiples of 10" in result.message) == ("refused", True)
    assert _states(engine) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_several_credit_notes_are_pushed_each_on_its_own(engine: Engine, workers: int) -> None:
    """One that is refused does not stop the others; results come in the given order."""
    stripe, numbers = FakeStripe(), count(1)
    notes = []
    for number, status in zip(numbers, ("open", "void", "paid", "open"), strict=False):
        invoice_id = f"in_{number}"
        stripe.invoices[invoice_id] = StripeInvoice(
            invoice_id=invoice_id,
            status=status,
            currency="usd",
            total=1000,
            metadata={},
            amount_remaining=1000 if status == "open" else 0,
        )
        notes.append(replace(_note(-number), customer_id=f"c{number % 3}", stripe_invoice_id=invoice_id))
    notes[3] = replace(notes[3], corrects=date(2026, 8, 1))
    told: list[CreditNoteResult] = []
    results = push_credit_notes(engine, stripe, notes, told.append, workers=workers, sleep=lambda _: None)  # type: ignore[arg-type]  # as above
    assert [result.state for result in results] == ["issued", "refused", "issued", "issued"]
    assert [result.total_minor for result in results] == [-1, -2, -3, -4]
    assert told == results
