"""The words of an invoice line, for people. No amount is taken from them."""

from datetime import date

from billing_pipeline.rating.adjustments import Booking
from billing_pipeline.rating.charge_models.price import dimension_values
from billing_pipeline.rating.charges import INVOICE_COMPONENTS, TRIAL, LineKey, RatedCharge
from billing_pipeline.rating.money import format_minor, grouped, plain
from billing_pipeline.rating.periods import period_name
from billing_pipeline.rating.rule_book import Plan, PlanTerm, RuleBooks

DESCRIPTION_CHARACTERS_MOST = 500
"""As many as Stripe takes."""


def describe(booking: Booking, invoice_period: date, books: RuleBooks) -> str:
    """What a line charges or adjusts, at most 500 characters.

    `LLM tokens (atlas-large, output), project chat: 1,200,000 token at 15 per 1,000,000, rules 2023-11-01` or
    `Adjustment for 2026-10: LLM tokens (…), project chat: now 1,200,000 token = 18.00 USD, booked before
    15.00 USD, rules 2023-11-01`.
    """
    charge, key = booking.charge, booking.charge.key
    what = _what(key, books)
    used = f"{grouped(charge.quantity)} {charge.unit}" if charge.unit else ""
    rules = f", rules {key.rule_version}"
    if key.component in INVOICE_COMPONENTS:
        text = f"{what}: {_taken_from(charge)}"
    elif key.usage_period < invoice_period or not booking.is_new:
        whole = format_minor(charge.amount_minor, key.currency)
        before = format_minor(booking.before.amount_minor, key.currency)
        now = f"now {used} = {whole}" if used else f"now {whole}"
        text = f"Adjustment for {period_name(key.usage_period)}: {what}: {now}, booked before {before}{rules}"
    elif key.component in {"usage", "flat_fee"}:
        ahead = f" for {period_name(key.usage_period)}" if key.usage_period > invoice_period else ""
        text = f"{what}{ahead}: {used or 'no usage'}{_price(charge)}{rules}"
    else:
        text = f"{what}: {_taken_from(charge)}{rules}"
    if len(text) > DESCRIPTION_CHARACTERS_MOST:
        return text[: DESCRIPTION_CHARACTERS_MOST - 1] + "…"
    return text


def _what(key: LineKey, books: RuleBooks) -> str:
    """What a line is about, by the names that the rule book gives it."""
    book = books.get(key.rule_version)
    plan = (book.plans.get(key.plan) or book.add_ons.get(key.plan)) if book else None
    if key.component == "credit":
        return f"Credit {key.term}"
    if key.component in {"coupon", "invoice_coupon"}:
        coupon = book.coupons.get(key.term) if book else None
        return f"Coupon {(coupon and coupon.description) or key.term}"
    if key.component not in {"usage", "flat_fee"}:
        terms: tuple[PlanTerm, ...] = plan.terms if plan else ()
        named = {term.name: term.description for term in terms}
        of = f" of {_charge_name(key, plan)}" if key.charge else ""
        return (named.get(key.term) or f"{key.component.capitalize()} {key.term}") + of
    values = ", ".join(dimension_values(key.dimensions).values())
    name = f"{_charge_name(key, plan)}{f' ({values})' if values else ''}"
    by = " in the free trial" if key.term == TRIAL else f" by {key.term}" if key.term else ""
    return f"{name}{by}{f', project {key.project_id}' if key.project_id else ''}"


def _taken_from(charge: RatedCharge) -> str:
    return ", ".join(part.tier for part in charge.parts) or "nothing"


def _price(charge: RatedCharge) -> str:
    if len(charge.parts) == 1 and not charge.parts[0].flat_fee:
        return f" at {charge.parts[0].unit_price}"
    parts = [
        f"{grouped(part.quantity)} {part.tier} at {part.unit_price}"
        + (f" plus {plain(part.flat_fee)}" if part.flat_fee else "")
        for part in charge.parts
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _charge_name(key: LineKey, plan: Plan | None) -> str:
    if plan is None:
        return key.charge
    named = {charge.name: charge.description for charge in plan.charges}
    named |= {fee.name: fee.description for fee in plan.flat_fees}
    return named.get(key.charge) or key.charge
