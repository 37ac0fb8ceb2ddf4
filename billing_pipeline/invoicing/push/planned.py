"""An invoice as we want it: what the push brings to Stripe, to the line and the cent. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from billing_pipeline.errors import CurrencyError, StripeAmountError
from billing_pipeline.invoicing.stripe.amounts import to_stripe_amount

MAX_LINES = 250
"""Stripe's limit per invoice."""
MAX_DESCRIPTION_LENGTH = 500
MAX_METADATA_ENTRIES = 48
"""Stripe takes 50; the line's id and its quantity are ours."""
MAX_METADATA_KEY_LENGTH = 40
MAX_METADATA_VALUE_LENGTH = 500


@dataclass(frozen=True, kw_only=True)
class PlannedLine:
    """One line. `amount_minor`: minor units of ISO 4217, may be negative. `quantity_text`: for people, may be ""."""

    line_id: str
    description: str
    amount_minor: int
    quantity_text: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlannedInvoice:
    """One customer's invoice for a billing period (named by its first day) in one currency (lower case)."""

    customer_id: str
    customer_name: str
    billing_period: date
    currency: str
    lines: tuple[PlannedLine, ...]

    @property
    def total_minor(self) -> int:
        """The sum of the lines, in minor units."""
        return sum(line.amount_minor for line in self.lines)

    def lines_hash(self) -> str:
        """SHA-256 of what may not differ: currency, line ids, amounts. Wording and order do not count."""
        content = [self.currency, sorted((line.line_id, line.amount_minor) for line in self.lines)]
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def invoice_faults(invoice: PlannedInvoice) -> list[str]:
    """Why Stripe cannot take the invoice, all reasons; empty where it can."""
    faults = []
    if len(invoice.lines) > MAX_LINES:
        faults.append(
            f"{len(invoice.lines)} lines, Stripe takes at most {MAX_LINES}: "
            "let the plan's charges group by fewer dimensions"
        )
    line_ids = [line.line_id for line in invoice.lines]
    repeated = sorted({line_id for line_id in line_ids if line_ids.count(line_id) > 1})
    if repeated:
        faults.append(f"line ids are not unique: {', '.join(repeated)}")
    for line in invoice.lines:
        faults += [f"line {line.line_id}: {fault}" for fault in _line_faults(line, invoice.currency)]
    return faults


def _line_faults(line: PlannedLine, currency: str) -> list[str]:
    faults = []
    try:
        to_stripe_amount(line.amount_minor, currency)
    except (CurrencyError, StripeAmountError) as error:
        faults.append(str(error))
    if not line.line_id or len(line.line_id) > MAX_METADATA_VALUE_LENGTH:
        faults.append(f"the line id must have 1 to {MAX_METADATA_VALUE_LENGTH} characters")
    if len(line.description) > MAX_DESCRIPTION_LENGTH:
        faults.append(f"the description is longer than {MAX_DESCRIPTION_LENGTH} characters")
    if len(line.metadata) > MAX_METADATA_ENTRIES:
        faults.append(f"more than {MAX_METADATA_ENTRIES} metadata entries")
    for key, value in {**line.metadata, "quantity": line.quantity_text}.items():
        if not 0 < len(key) <= MAX_METADATA_KEY_LENGTH or "[" in key or "]" in key:
            faults.append(
                f"metadata key {key!r} must have 1 to {MAX_METADATA_KEY_LENGTH} characters and no brackets"
            )
        if len(value) > MAX_METADATA_VALUE_LENGTH:
            faults.append(f"metadata {key!r} is longer than {MAX_METADATA_VALUE_LENGTH} characters")
    return faults
