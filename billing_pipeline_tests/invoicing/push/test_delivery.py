"""Every line of an invoice period goes one way to Stripe, and planning it again gives the same."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.invoicing.policies.policy import Decreases, InvoicingPolicies, InvoicingPolicy
from billing_pipeline.invoicing.push.billed import BilledLine
from billing_pipeline.invoicing.push.delivery import PlannedDelivery, plan_delivery
from billing_pipeline.invoicing.push.known import (
    InvoiceKey,
    KnownCreditNote,
    KnownInvoice,
    KnownInvoices,
)

AUGUST, SEPTEMBER, OCTOBER = date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1)
NOVEMBER = date(2026, 11, 1)
CREDIT = InvoicingPolicies(by_plan={"pro": InvoicingPolicy(decreases="credit_note")})
NEXT = InvoicingPolicies()


def _line(
    line_id: str,
    minor: int,
    usage_period: date = SEPTEMBER,
    *,
    plan: str = "pro",
    component: str = "usage",
    billing_period: date = OCTOBER,
) -> BilledLine:
    return BilledLine(
        customer_id="acme",
        billing_period=billing_period,
        currency="usd",
        line_id=line_id,
        description="Tokens",
        amount_minor=minor,
        quantity=Decimal(1000),
        unit="token",
        kind="adjustment" if usage_period < billing_period else "usage",
        component=component,
        term="",
        plan=plan,
        project_id="chat",
        usage_period=usage_period,
        reason="",
        rule_version="v1",
        evidence_digest="e" * 64,
    )


def _invoices(**totals: int) -> Mapping[InvoiceKey, KnownInvoice]:
    periods = {"august": AUGUST, "september": SEPTEMBER, "october": OCTOBER}
    return {
        ("acme", periods[name], "usd"): KnownInvoice(
            stripe_invoice_id=f"in_{name}", total_minor=total, finalized=True
        )
        for name, total in totals.items()
    }


def _note(*line_ids: str, minor: int, period: date = OCTOBER, sent: bool = True) -> KnownCreditNote:
    return KnownCreditNote(
        customer_id="acme",
        billing_period=period,
        corrects=SEPTEMBER,
        currency="usd",
        stripe_invoice_id="in_september",
        total_minor=minor,
        line_ids=frozenset(line_ids),
        sent=sent,
    )


def _plan(
    lines: Sequence[BilledLine], policies: InvoicingPolicies = CREDIT, known: KnownInvoices | None = None
) -> PlannedDelivery:
    return plan_delivery(lines, "Acme Inc.", policies, known or KnownInvoices())


def _ids(delivery: PlannedDelivery) -> tuple[list[str], dict[date, list[str]], list[str]]:
    return (
        [line.line_id for line in delivery.invoice.lines],
        {note.corrects: [line.line_id for line in note.lines] for note in delivery.credit_notes},
        [line.line_id for line in delivery.metered],
    )


@pytest.mark.parametrize(
    ("policies", "invoiced", "credited"),
    [(CREDIT, ["own", "more"], {SEPTEMBER: ["less"]}), (NEXT, ["own", "less", "more"], {})],
)
def test_a_decrease_goes_by_policy_and_an_increase_on_the_next_invoice(
    policies: InvoicingPolicies, invoiced: list[str], credited: dict[date, list[str]]
) -> None:
    """Both name the Stripe invoice that they correct, whichever way they go."""
    known = KnownInvoices(invoices=_invoices(september=1000))
    delivery = _plan([_line("own", 700, OCTOBER), _line("less", -300), _line("more", 200)], policies, known)
    assert _ids(delivery) == (invoiced, credited, [])
    lines = [*delivery.invoice.lines, *(line for note in delivery.credit_notes for line in note.lines)]
    corrects = {line.line_id: line.metadata.get("corrects") for line in lines}
    assert corrects == {"own": None, "less": "in_september", "more": "in_september"}
    assert {line.metadata["plan"] for line in lines} == {"pro"}
    assert {line.metadata["project"] for line in lines} == {"chat"}
    assert [note.stripe_invoice_id for note in delivery.credit_notes] == ["in_september"] * len(credited)


def test_what_corrects_an_invoice_that_is_not_final_goes_on_the_next_one() -> None:
    """It is named by customer, period and currency, for a draft may still be made again."""
    draft = {
        ("acme", SEPTEMBER, "usd"): KnownInvoice(stripe_invoice_id="in_1", total_minor=900, finalized=False)
    }
    delivery = _plan([_line("less", -300)], known=KnownInvoices(invoices=draft))
    assert _ids(delivery) == (["less"], {}, [])
    assert delivery.invoice.lines[0].metadata["corrects"] == "acme/2026-09-01/usd"


def test_whole_lines_are_credited_as_long_as_the_invoice_has_room() -> None:
    """In the order of the lines, after what earlier periods have credited; the rest goes on the next invoice."""
    known = KnownInvoices(
        invoices=_invoices(september=1000), credit_notes=(_note("x", minor=-400, period=AUGUST),)
    )
    lines = [_line("a", -500), _line("b", -200), _line("c", -100), _line("d", -1)]
    assert _ids(_plan(lines, known=known)) == (["b", "d"], {SEPTEMBER: ["a", "c"]}, [])


def test_each_corrected_period_has_a_credit_note_of_its_own() -> None:
    known = KnownInvoices(invoices=_invoices(august=50, september=50))
    delivery = _plan([_line("s", -20), _line("a", -30, AUGUST)], known=known)
    assert _ids(delivery) == ([], {AUGUST: ["a"], SEPTEMBER: ["s"]}, [])
    assert [(note.stripe_invoice_id, note.total_minor) for note in delivery.credit_notes] == [
        ("in_august", -30),
        ("in_september", -20),
    ]


@pytest.mark.parametrize("policies", [CREDIT, NEXT])
def test_what_was_delivered_stays_where_it_is(policies: InvoicingPolicies) -> None:
    """A policy that changed later moves neither a line of a final invoice nor one of a credit note that was sent."""
    invoices = _invoices(september=1000)
    own = KnownInvoice(
        stripe_invoice_id="in_o", total_minor=1, finalized=True, line_ids=frozenset({"a", "own"})
    )
    known = KnownInvoices(
        invoices={**invoices, ("acme", OCTOBER, "usd"): own}, credit_notes=(_note("b", minor=-20),)
    )
    delivery = _plan([_line("own", 11, OCTOBER), _line("a", -10), _line("b", -20)], policies, known)
    assert _ids(delivery) == (["own", "a"], {SEPTEMBER: ["b"]}, [])


def test_a_line_of_a_credit_note_that_may_have_been_sent_never_goes_on_an_invoice_too() -> None:
    """Also where it has become too large for the invoice, or an increase: the credit note tells the difference."""
    known = KnownInvoices(invoices=_invoices(september=100), credit_notes=(_note("b", minor=-20),))
    for minor in (-500, 7):
        assert _ids(_plan([_line("b", minor)], known=known)) == ([], {SEPTEMBER: ["b"]}, [])


def test_a_credit_note_whose_lines_are_gone_is_planned_without_lines() -> None:
    """So that it is withdrawn, or the difference told."""
    for sent in (True, False):
        known = KnownInvoices(
            invoices=_invoices(september=100), credit_notes=(_note("b", minor=-20, sent=sent),)
        )
        delivery = _plan([_line("own", 5, OCTOBER)], known=known)
        assert _ids(delivery) == (["own"], {SEPTEMBER: []}, [])


def test_usage_of_a_plan_on_record_for_meter_events_is_on_no_invoice() -> None:
    """What was posted after the period's end, and what another plan delivers, are lines like any."""
    known = KnownInvoices(deliveries={("acme", "metered", OCTOBER): "meter_events"})
    lines = [
        _line("metered", 5, OCTOBER, plan="metered"),
        _line("late", 3, plan="metered"),
        _line("other", 4, OCTOBER),
        _line("coupon", -1, OCTOBER, plan="metered", component="coupon"),
    ]
    policies = InvoicingPolicies(by_plan={"pro": InvoicingPolicy(delivery="meter_events")})
    assert _ids(_plan(lines, policies, known)) == (["other", "coupon", "late"], {}, ["metered"])


def test_lines_of_several_invoices_are_refused() -> None:
    eur = _line("a", 1)._replace(currency="eur")
    with pytest.raises(ValueError, match="2 invoices"):
        _plan([eur, _line("b", 1)])


_DECREASES: tuple[Decreases, ...] = ("next_invoice", "credit_note")
_LINES = st.lists(
    st.builds(
        _line,
        st.text("abcdef", min_size=1, max_size=4),
        st.integers(-500, 500),
        st.sampled_from((AUGUST, SEPTEMBER, OCTOBER)),
        plan=st.sampled_from(("pro", "basic", "metered")),
        component=st.sampled_from(("usage", "discount", "minimum", "credit")),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda line: line.line_id,
)
_POLICIES = st.builds(
    lambda pro, basic: InvoicingPolicies(
        by_plan={"pro": InvoicingPolicy(decreases=pro), "basic": InvoicingPolicy(decreases=basic)}
    ),
    st.sampled_from(_DECREASES),
    st.sampled_from(_DECREASES),
)


@st.composite
def _known(draw: st.DrawFn) -> KnownInvoices:
    totals = draw(st.dictionaries(st.sampled_from(("august", "september")), st.integers(-100, 900)))
    others = draw(st.lists(st.integers(-400, 0), max_size=2))
    periods = (NOVEMBER, SEPTEMBER)
    notes = [_note(f"n{n}", minor=minor, period=periods[n]) for n, minor in enumerate(others)]
    return KnownInvoices(
        invoices=_invoices(**totals),
        credit_notes=tuple(notes),
        deliveries={("acme", "metered", OCTOBER): "meter_events"} if draw(st.booleans()) else {},
    )


@given(_LINES, _POLICIES, _known(), st.randoms(use_true_random=False))
def test_every_line_is_in_one_place_and_no_invoice_is_credited_too_much(
    lines: list[BilledLine], policies: InvoicingPolicies, known: KnownInvoices, random: Random
) -> None:
    """Sums are conserved, whatever order the lines come in."""
    delivery = _plan(lines, policies, known)
    invoiced, credited, metered = _ids(delivery)
    placed = [*invoiced, *(line_id for ids in credited.values() for line_id in ids), *metered]
    assert sorted(placed) == sorted(line.line_id for line in lines)
    total = delivery.invoice.total_minor + sum(line.amount_minor for line in delivery.metered)
    assert total + sum(note.total_minor for note in delivery.credit_notes) == sum(
        line.amount_minor for line in lines
    )
    for note in delivery.credit_notes:
        invoice = known.final(("acme", note.corrects, "usd"))
        others = known.credited_by_others(("acme", note.corrects, "usd"), OCTOBER)
        assert invoice is not None
        assert all(line.amount_minor < 0 for line in note.lines)
        assert others - note.total_minor <= invoice.total_minor
    shuffled = list(lines)
    random.shuffle(shuffled)
    assert _plan(shuffled, policies, known) == delivery


@given(_LINES, _POLICIES, _POLICIES, _known())
def test_what_has_been_delivered_is_planned_the_same_ever_after(
    lines: list[BilledLine], before: InvoicingPolicies, after: InvoicingPolicies, known: KnownInvoices
) -> None:
    """Whatever the policies say by then."""
    delivery = _plan(lines, before, known)
    notes = [
        KnownCreditNote(
            customer_id="acme",
            billing_period=OCTOBER,
            corrects=note.corrects,
            currency="usd",
            stripe_invoice_id=note.stripe_invoice_id,
            total_minor=note.total_minor,
            line_ids=frozenset(line.line_id for line in note.lines),
            sent=True,
        )
        for note in delivery.credit_notes
    ]
    own = KnownInvoice(
        stripe_invoice_id="in_o",
        total_minor=delivery.invoice.total_minor,
        finalized=True,
        line_ids=frozenset(line.line_id for line in delivery.invoice.lines),
    )
    by_then = replace(
        known,
        invoices={**known.invoices, ("acme", OCTOBER, "usd"): own},
        credit_notes=(*known.credit_notes, *notes),
    )
    assert _plan(lines, after, by_then) == delivery
