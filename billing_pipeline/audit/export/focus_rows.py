"""One invoice line as rows of FOCUS: a row per tier and fee, so that each has one exact unit price. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, NamedTuple

from billing_pipeline.audit.export.exported_lines import ExportedLine, InStripe
from billing_pipeline.audit.export.focus_columns import NAMES, SERVICE_CATEGORY, SERVICE_SUBCATEGORY
from billing_pipeline.audit.export.list_prices import ListPrices
from billing_pipeline.rating.money import AMOUNT_SCALE, EXACT, minor_exponent, round_minor, sum_exact

_DIVIDING = Context(prec=60, traps=[Inexact, InvalidOperation])
_CATEGORIES = {"usage": "Usage", "flat_fee": "Purchase", "credit": "Credit"}
_FREQUENCIES = {"usage": "Usage-Based", "flat_fee": "Recurring"}
_ZERO, _ONE = Decimal(), Decimal(1)
WHOLE = "Charges"
"""The pricing unit where the price is no exact amount per unit: the row's price is that of the whole."""
FEES = "Fees"


@dataclass(frozen=True)
class AroundLine:
    """What a line does not say itself.

    Attributes:
        provider: who sells the service and issues the invoice.
        usage_until: the first day after the line's usage period.
        prices: what the plan itself asks, without what was agreed with the customer.
    """

    provider: str
    customer_name: str
    usage_until: date
    in_stripe: InStripe
    prices: ListPrices


class _Piece(NamedTuple):
    """A row's own figures, before its share of the rounded amount. `consumed`: None where nothing is."""

    category: str
    frequency: str
    cost: Decimal
    tier: str = ""
    quantity: Decimal | None = None
    unit: str | None = None
    unit_price: Decimal | None = None
    list_price: Decimal | None = None
    consumed: Decimal | None = None


def focus_rows(line: ExportedLine, around: AroundLine) -> list[dict[str, Any]]:
    """The rows of one line, by column; their `BilledCost` adds up to what the line bills, exactly.

    A line that is about nothing and bills nothing has no rows.
    """
    pieces = list(_pieces(line, around.prices))
    common = _common(line, around)
    return [
        {**dict.fromkeys(NAMES), **common, **_own(line, piece, billed)}
        for piece, billed in zip(pieces, _billed(line, pieces), strict=True)
    ]


def is_correction(line: ExportedLine) -> bool:
    """Whether it corrects what an earlier invoice has billed."""
    return line.kind == "adjustment" or bool(line.booked_before_minor or line.reason)


def _pieces(line: ExportedLine, prices: ListPrices) -> Iterator[_Piece]:
    category = _CATEGORIES.get(line.component, "Adjustment")
    frequency = _FREQUENCIES.get(line.component, "One-Time")
    billed = EXACT.scaleb(Decimal(line.amount_minor), -minor_exponent(line.currency))
    if is_correction(line):
        # What was booked before is known rounded only: the unrounded difference is the rounded one.
        delta = EXACT.subtract(line.quantity, line.quantity_before) if line.component == "usage" else None
        unit = _plural(line.unit) if delta is not None else None
        yield _Piece(category, frequency, billed, quantity=delta, unit=unit, consumed=delta)
    elif line.component == "flat_fee":
        yield _whole(category, frequency, line.amount, FEES)
    elif line.component != "usage":
        yield _Piece(category, frequency, line.amount)
    elif line.quantity or line.amount or line.amount_minor:
        yield from _usage(line, prices)


def _usage(line: ExportedLine, prices: ListPrices) -> Iterator[_Piece]:
    found = [piece for tier in json.loads(line.tiers) for piece in _tier(line, tier, prices)]
    is_exact = sum_exact(piece.cost for piece in found) == line.amount
    if found and is_exact and all(piece.quantity is not None and piece.quantity > 0 for piece in found):
        yield from found
    elif line.quantity > 0:
        yield _whole("Usage", "Usage-Based", line.amount, WHOLE)._replace(consumed=line.quantity)
    else:
        yield _whole("Purchase", "One-Time", line.amount, WHOLE)


def _tier(line: ExportedLine, tier: Mapping[str, str], prices: ListPrices) -> Iterator[_Piece]:
    quantity, fee = Decimal(tier["quantity"]), Decimal(tier["flat_fee"])
    cost = EXACT.subtract(Decimal(tier["amount"]), fee)
    if quantity or cost:
        each = _divided(cost, quantity)
        if each is None:
            whole = _whole("Usage", "Usage-Based", cost, WHOLE)
            yield whole._replace(tier=tier["tier"], consumed=quantity)
        else:
            yield _Piece(
                "Usage",
                "Usage-Based",
                cost,
                tier["tier"],
                quantity,
                _plural(line.unit),
                each,
                prices.unit_price(line),
                quantity,
            )
    if fee:
        yield _whole("Purchase", "Recurring", fee, FEES)._replace(tier=tier["tier"])


def _whole(category: str, frequency: str, cost: Decimal, unit: str) -> _Piece:
    """Priced as one: the price of the whole, once, or taken back once."""
    quantity = -_ONE if cost < 0 else _ONE
    return _Piece(category, frequency, cost, quantity=quantity, unit=unit, unit_price=EXACT.abs(cost))


def _divided(cost: Decimal, quantity: Decimal) -> Decimal | None:
    """The price of one unit, where it is exact with the digits that are kept."""
    if quantity <= 0 or cost < 0:
        return None
    try:
        each = _DIVIDING.divide(cost, quantity)
    except Inexact:
        return None
    exponent = each.as_tuple().exponent
    return each if isinstance(exponent, int) and exponent >= -AMOUNT_SCALE else None


def _billed(line: ExportedLine, pieces: Sequence[_Piece]) -> list[Decimal]:
    """The rounded amount shared out by rounding the running sum: each share is a minor unit or less from its cost."""
    shares, before, running = [], 0, _ZERO
    for number, piece in enumerate(pieces, 1):
        running = EXACT.add(running, piece.cost)
        upto = line.amount_minor if number == len(pieces) else round_minor(running, line.currency)
        shares.append(EXACT.scaleb(Decimal(upto - before), -minor_exponent(line.currency)))
        before = upto
    return shares


def _own(line: ExportedLine, piece: _Piece, billed: Decimal) -> dict[str, Any]:
    list_price = piece.unit_price if piece.list_price is None else piece.list_price
    list_cost = piece.cost
    if piece.list_price is not None and piece.quantity is not None:
        list_cost = EXACT.multiply(piece.list_price, piece.quantity)
    has_sku = bool(line.charge) and piece.quantity is not None
    sku = f"{line.plan}/{line.charge}"
    is_standard = piece.category in {"Usage", "Purchase"} and not is_correction(line)
    return {
        "BilledCost": billed,
        "ChargeCategory": piece.category,
        "ChargeDescription": f"{line.description} ({piece.tier})" if piece.tier else line.description,
        "ChargeFrequency": piece.frequency,
        "ConsumedQuantity": piece.consumed,
        "ConsumedUnit": _plural(line.unit) if piece.consumed is not None else None,
        "ContractedCost": piece.cost,
        "ContractedUnitPrice": piece.unit_price,
        "EffectiveCost": billed,
        "ListCost": list_cost,
        "ListUnitPrice": list_price,
        "PricingCategory": "Standard" if is_standard else None,
        "PricingCurrencyContractedUnitPrice": piece.unit_price,
        "PricingCurrencyEffectiveCost": billed,
        "PricingCurrencyListUnitPrice": list_price,
        "PricingQuantity": piece.quantity if has_sku else None,
        "PricingUnit": piece.unit if has_sku else None,
        "SkuId": sku if has_sku else None,
        "SkuMeter": (line.meter or None) if has_sku else None,
        "SkuPriceDetails": _details(line, piece.tier) if has_sku else None,
        "SkuPriceId": "/".join(each for each in (sku, _values(line), piece.tier) if each)
        if has_sku
        else None,
    }


def _common(line: ExportedLine, around: AroundLine) -> dict[str, Any]:
    project = line.project_id or None
    stripe = around.in_stripe
    return {
        "BillingAccountId": line.customer_id,
        "BillingAccountName": around.customer_name,
        "BillingAccountType": "Customer",
        "BillingCurrency": line.currency.upper(),
        "BillingPeriodEnd": _instant(date.fromordinal(line.period_end_day.toordinal() + 1)),
        "BillingPeriodStart": _instant(line.billing_period),
        "ChargeClass": "Correction" if is_correction(line) else None,
        "ChargePeriodEnd": _instant(around.usage_until),
        "ChargePeriodStart": _instant(line.usage_period),
        "InvoiceId": (stripe.invoice_id or None) if stripe.is_final else None,
        "InvoiceIssuerName": around.provider,
        "PricingCurrency": line.currency.upper(),
        "ProviderName": around.provider,
        "PublisherName": around.provider,
        "ServiceCategory": SERVICE_CATEGORY,
        "ServiceName": line.charge or line.plan or around.provider,
        "ServiceSubcategory": SERVICE_SUBCATEGORY,
        "SubAccountId": project,
        "SubAccountName": project,
        "SubAccountType": "Project" if project else None,
        "x_Component": line.component,
        "x_CreditNoteId": (stripe.credit_note_id or None) if stripe.is_final else None,
        "x_EvidenceDigest": line.evidence_digest,
        "x_InvoiceState": stripe.state or None,
        "x_LineId": line.line_id,
        "x_Reason": line.reason or None,
        "x_RuleVersion": line.rule_version,
        "x_Term": line.term or None,
    }


def _details(line: ExportedLine, tier: str) -> str:
    values = {f"x_{name}": value for name, value in json.loads(line.dimensions or "{}").items()}
    if tier:
        values["x_Tier"] = tier
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _values(line: ExportedLine) -> str:
    return ",".join(json.loads(line.dimensions or "{}").values())


def _plural(unit: str) -> str:
    """`Tokens` for `token`: FOCUS writes units with a capital, and in the plural."""
    capital = unit[:1].upper() + unit[1:]
    return capital if capital.endswith("s") else f"{capital}s"


def _instant(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
