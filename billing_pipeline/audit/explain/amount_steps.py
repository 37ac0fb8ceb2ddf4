"""From the quantity to the amount of a line, step by step. Pure."""

import json
from decimal import Decimal

from billing_pipeline.audit.explain.explanation import Step
from billing_pipeline.audit.trace_rows import LineRow
from billing_pipeline.rating.money import format_minor, grouped, minor_exponent, plain


def amount_steps(line: LineRow) -> tuple[Step, ...]:
    """What was multiplied, added, rounded and taken off, in this order; the last one is the line's amount."""
    currency = line.currency.upper()
    steps = [Step("quantity", f"{grouped(line.quantity)} {line.unit}")] if line.unit else []
    steps += [
        Step(_part(part), f"{plain(Decimal(part['amount']))} {currency}") for part in json.loads(line.tiers)
    ]
    whole = line.amount_minor + line.booked_before_minor
    unit = Decimal(1).scaleb(-minor_exponent(line.currency))
    steps += [
        Step("sum, not rounded", f"{plain(line.amount)} {currency}"),
        Step(f"rounded once to {plain(unit)}, half away from zero", format_minor(whole, line.currency)),
    ]
    if line.booked_before_minor or line.kind == "adjustment":
        steps.append(
            Step("booked by earlier invoices", format_minor(line.booked_before_minor, line.currency))
        )
    return (*steps, Step("this line", format_minor(line.amount_minor, line.currency)))


def _part(part: dict[str, str]) -> str:
    """`900 at 0.01`, `up to 1000: 900 at 0.01 plus 5`, or in words what a term was taken from."""
    quantity = Decimal(part["quantity"])
    fee = f" plus {part['flat_fee']}" if part["flat_fee"] not in {"", "0"} else ""
    if part["tier"] and not quantity:
        return f"{part['tier']}{fee}"
    price = f"{grouped(quantity)} at {part['unit_price']}{fee}"
    return f"{part['tier']}: {price}" if part["tier"] else price
