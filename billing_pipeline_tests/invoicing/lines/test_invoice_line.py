"""Invoice lines say what is booked, the same way each time, and sum to the invoice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.invoicing.lines.adjustment_reasons import Posting
from billing_pipeline.invoicing.lines.evidence import NO_USAGE, UsageEvidence
from billing_pipeline.invoicing.lines.invoice_line import (
    InvoiceLine,
    Provenance,
    by_currency,
    invoice_lines,
    invoice_total,
)
from billing_pipeline.rating.adjustments import Booked, UsagePeriod, rate_invoice
from billing_pipeline.rating.agreement import Agreement, Assignment
from billing_pipeline.rating.charge_models.graduated import Graduated
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.charge_models.tiers import Tier
from billing_pipeline.rating.charge_models.unit_price import UnitPrice
from billing_pipeline.rating.charges import LineKey, MeteredQuantity
from billing_pipeline.rating.holdings import Holdings, Rules
from billing_pipeline.rating.rule_book import Charge, Meter, Plan, RuleBook, RuleBooks

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
TOKENS = PerUnit(flat=UnitPrice(Decimal(15), 1_000_000))
CALLS = Graduated(
    (
        Tier(Decimal(0), Decimal(1000), UnitPrice(Decimal("0.01"))),
        Tier(Decimal(1000), None, UnitPrice(Decimal("0.005")), Decimal(2)),
    )
)
CHARGES = (
    Charge("tokens", "tokens", TOKENS, "LLM tokens"),
    Charge("calls", "calls", CALLS, "Tool calls"),
)
BOOKS = RuleBooks(
    (
        RuleBook(
            version="v1",
            effective_from=datetime(2026, 1, 1, tzinfo=UTC),
            content_hash="0" * 64,
            units=frozenset({"token", "call"}),
            meters={
                "tokens": Meter("tokens", "token", "sum", ("model",)),
                "calls": Meter("calls", "call", "sum"),
            },
            plans={"us": Plan("us", "usd", CHARGES), "eu": Plan("eu", "eur", CHARGES)},
        ),
    )
)


def tokens(quantity: str | int | Decimal, day: date = OCTOBER, project: str = "chat") -> MeteredQuantity:
    return MeteredQuantity("c", project, "tokens", "token", '{"model":"a"}', day, "v1", Decimal(quantity), 1)


def calls(quantity: str | int | Decimal, day: date = OCTOBER) -> MeteredQuantity:
    return MeteredQuantity("c", "chat", "calls", "call", "{}", day, "v1", Decimal(quantity), 1)


def lines_of(
    period: date,
    quantities: dict[date, list[MeteredQuantity]],
    booked: dict[LineKey, int] | None = None,
    plan: str = "us",
    postings: Sequence[Posting] = (),
) -> list[InvoiceLine]:
    agreement = Agreement("c", (Assignment(plan, date.min),))
    before = {key: Booked(minor, Decimal(1)) for key, minor in (booked or {}).items()}
    touched = [UsagePeriod(start, agreement, rows) for start, rows in quantities.items()]
    rating = rate_invoice(touched, before, Rules(BOOKS))
    holdings = Holdings(agreement, Rules(BOOKS))
    evidence = {start: UsageEvidence(rows, holdings, postings) for start, rows in quantities.items()}
    return invoice_lines(
        period,
        rating.bookings,
        BOOKS,
        Provenance(
            evidence=lambda key: evidence[key.usage_period].of(key),
            reason=lambda _: "late_usage",
            rated_as_of=dict.fromkeys(quantities, period),
        ),
    )


def test_a_usage_line_says_charge_dimensions_project_quantity_price_and_rules() -> None:
    """One price in a word, tiers one by one."""
    call_line, token_line = lines_of(OCTOBER, {OCTOBER: [tokens(1_200_000), calls(1500)]})
    assert token_line.description == (
        "LLM tokens (a), project chat: 1,200,000 token at 15 per 1,000,000, rules v1"
    )
    assert call_line.description == (
        "Tool calls, project chat: 1,500 call "
        "(1,000 up to 1,000 at 0.01; 500 above 1,000 at 0.005 plus 2), rules v1"
    )
    assert (token_line.kind, token_line.amount_minor, token_line.currency) == ("usage", 1800, "usd")
    assert str(token_line.amount) == "18.000000"
    assert invoice_total([call_line, token_line]) == 1800 + 1450


def test_an_adjustment_line_says_the_period_and_the_amounts_before_and_after() -> None:
    """It books only the difference."""
    first = lines_of(OCTOBER, {OCTOBER: [tokens(1_000_000)]})
    booked = {line.key: line.amount_minor for line in first}
    second = lines_of(NOVEMBER, {OCTOBER: [tokens(1_200_000)], NOVEMBER: [tokens(1000, NOVEMBER)]}, booked)
    assert [(line.kind, line.amount_minor, line.booked_before_minor) for line in second] == [
        ("usage", 2, 0),
        ("adjustment", 300, 1500),
    ]
    assert second[1].description == (
        "Adjustment for 2026-10: LLM tokens (a), project chat: now 1,200,000 token = 18.00 USD, "
        "booked before 15.00 USD, rules v1"
    )


def test_an_unchanged_key_of_an_earlier_period_makes_no_line_but_a_new_one_of_no_cent_does() -> None:
    """Every late event belongs to some line."""
    first = lines_of(OCTOBER, {OCTOBER: [tokens(1_000_000)]})
    booked = {line.key: line.amount_minor for line in first}
    touched = {OCTOBER: [tokens(1_000_000), tokens(1, project="late")]}
    (line,) = lines_of(NOVEMBER, touched, booked)
    assert (line.key.project_id, line.amount_minor, line.amount) == ("late", 0, Decimal("0.000015"))


def test_each_currency_is_an_invoice_of_its_own() -> None:
    """A sum over currencies is refused."""
    mixed = lines_of(OCTOBER, {OCTOBER: [calls(1)]}, plan="us") + lines_of(
        OCTOBER, {OCTOBER: [calls(1)]}, plan="eu"
    )
    assert list(by_currency(mixed)) == ["eur", "usd"]
    with pytest.raises(ValueError, match="eur, usd"):
        invoice_total(mixed)
    assert invoice_total([]) == 0


def test_ids_are_distinct_per_key_and_invoice_period() -> None:
    """An adjustment of a line is another line."""
    rows = [tokens(10), tokens(10, project="b"), calls(5)]
    ids = [line.line_id for line in lines_of(OCTOBER, {OCTOBER: rows})]
    ids += [line.line_id for line in lines_of(NOVEMBER, {OCTOBER: rows})]
    assert len(set(ids)) == 6
    assert all(len(line_id) == 32 for line_id in ids)


def test_the_evidence_digest_changes_with_the_usage_behind_a_line() -> None:
    """Another day of use is other evidence, though quantity and amount are the same."""
    (one,) = lines_of(OCTOBER, {OCTOBER: [tokens(10)]})
    (other,) = lines_of(OCTOBER, {OCTOBER: [tokens(10, date(2026, 10, 2))]})
    assert one.line_id == other.line_id
    assert one.amount == other.amount
    assert one.evidence_digest != other.evidence_digest


def test_posting_days_are_told_but_are_no_evidence() -> None:
    """The same usage, posted on its days or late, has one digest and other rollup partitions."""
    first, second = date(2026, 10, 1), date(2026, 10, 2)
    late = date(2026, 11, 4)

    def posted(*days: date) -> InvoiceLine:
        rows = [
            tokens(10, used)._replace(first_posting_day=day)
            for used, day in zip((first, second), days, strict=True)
        ]
        postings = [
            Posting("c", "chat", "tokens", '{"model":"a"}', "v1", used, day, "late")
            for used, day in zip((first, second), days, strict=True)
            if used != day
        ]
        (line,) = lines_of(OCTOBER, {OCTOBER: rows}, postings=postings)
        return line

    on_time, one_late, both_late = posted(first, second), posted(first, late), posted(late, late)
    assert len({line.evidence_digest for line in (on_time, one_late, both_late)}) == 1
    assert on_time.rollup_partitions == '["2026-10-01","2026-10-02"]'
    assert one_late.rollup_partitions == '["2026-10-01","2026-11-04"]'
    assert both_late.rollup_partitions == '["2026-11-04"]'


def test_a_description_has_at_most_500_characters() -> None:
    """What Stripe takes."""
    wordy = replace(BOOKS.books[0].plans["us"], charges=(Charge("calls", "calls", CALLS, "x" * 600),))
    books = RuleBooks((replace(BOOKS.books[0], plans={"us": wordy}),))
    agreement = Agreement("c", (Assignment("us", date.min),))
    rating = rate_invoice([UsagePeriod(OCTOBER, agreement, [calls(1)])], {}, Rules(books))
    told = Provenance(lambda _: NO_USAGE, lambda _: "", {OCTOBER: OCTOBER})
    (line,) = invoice_lines(OCTOBER, rating.bookings, books, told)
    assert len(line.description) == 500


ROWS = st.lists(
    st.one_of(
        st.builds(
            tokens,
            st.integers(0, 10**7),
            st.dates(OCTOBER, date(2026, 10, 31)),
            st.sampled_from(["chat", "search"]),
        ),
        st.builds(
            calls, st.decimals(min_value=0, max_value=3000, places=3), st.dates(OCTOBER, date(2026, 10, 31))
        ),
    ),
    max_size=10,
)


@given(ROWS)
def test_lines_are_the_same_whatever_the_order_and_cut_of_the_rows(rows: list[MeteredQuantity]) -> None:
    """Ids, words, amounts, evidence and order."""
    pieces = [each._replace(quantity=each.quantity / 2, event_count=0) for each in rows]
    pieces += [each._replace(quantity=each.quantity - each.quantity / 2) for each in rows]
    pieces.reverse()
    assert lines_of(OCTOBER, {OCTOBER: pieces}) == lines_of(OCTOBER, {OCTOBER: rows})
