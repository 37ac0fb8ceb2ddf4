"""The words of an invoice line, for people. No amount is taken from them."""

from datetime import date

from billing_pipeline.rating.adjustments import Booking
from billing_pipeline.rating.charge_models.price import dimension_values
from billing_pipeline.rating.charges import LineKey, RatedCharge
from billing_pipeline.rating.money import format_minor, grouped, plain
from billing_pipeline.rating.periods import period_name
from billing_pipeline.rating.rule_book import RuleBooks

DESCRIPTION_CHARACTERS_MOST = 500
"""As many as Stripe takes."""


def describe(booking: Booking, invoice_period: date, books: RuleBooks) -> str:
    """What a line charges or adjusts, at most 500 characters.

    `LLM tokens (atlas-large, output), project chat: 1,200,000 token at 15 per 1,000,000, rules 2023-11-01` or
    `Adjustment for 2026-10: LLM tokens (…), project chat: now 1,200,000 token = 18.00 USD, booked before
    15.00 USD, rules 2023-11-01`.
    """
    charge, key = booking.charge, booking.charge.key
    values = ", ".join(dimension_values(key.dimensions).values())
    what = f"{_charge_name(key, books)}{f' ({values})' if values else ''}, project {key.project_id}"
    used = f"{grouped(charge.quantity)} {charge.unit}".strip()
    if key.usage_period == invoice_period:
        text = f"{what}: {used}{_price(charge)}, rules {key.rule_version}"
    else:
        whole = format_minor(charge.amount_minor, key.currency)
        before = format_minor(booking.booked_before_minor, key.currency)
        text = (
            f"Adjustment for {period_name(key.usage_period)}: {what}: now {used} = {whole}, "
            f"booked before {before}, rules {key.rule_version}"
        )
    if len(text) > DESCRIPTION_CHARACTERS_MOST:
        return text[: DESCRIPTION_CHARACTERS_MOST - 1] + "…"
    return text


def _price(charge: RatedCharge) -> str:
    if len(charge.parts) == 1 and not charge.parts[0].flat_fee:
        return f" at {charge.parts[0].unit_price}"
    parts = [
        f"{grouped(part.quantity)} {part.tier} at {part.unit_price}"
        + (f" plus {plain(part.flat_fee)}" if part.flat_fee else "")
        for part in charge.parts
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _charge_name(key: LineKey, books: RuleBooks) -> str:
    book = books.get(key.rule_version)
    plan = book.plans.get(key.plan) if book else None
    for charge in plan.charges if plan else ():
        if charge.name == key.charge:
            return charge.description
    return key.charge
