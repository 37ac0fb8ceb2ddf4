"""What an event counts for, and what a correction makes of it. Pure.

The effective state of an event is customer, project, unit, dimensions, billable flag and quantity, and its split where
several pay. Corrections change it one after the other, in the order of the log.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Context, Decimal, Inexact, Overflow

import msgspec

from billing_pipeline.contract.allocation import split, split_event
from billing_pipeline.contract.canonical import canonical_dimensions
from billing_pipeline.contract.decimals import plain
from billing_pipeline.contract.limits import INTEGER_DIGITS
from billing_pipeline.contract.reason_codes import CorrectionOutcome

QUANTITY_LIMIT = Decimal(10) ** INTEGER_DIGITS
_EXACT = Context(prec=60, traps=[Inexact, Overflow])


class Replacement(msgspec.Struct, frozen=True):
    """The fields that a `replace` sets; what is None stays as it is."""

    customer_id: str | None = None
    project_id: str | None = None
    unit: str | None = None
    dimensions: dict[str, str] | None = None
    billable: bool | None = None
    quantity: Decimal | None = None


@dataclass(frozen=True)
class Payer:
    """Who pays which share (decimal text) of a split event."""

    customer_id: str
    project_id: str
    share: str


@dataclass(frozen=True)
class Part:
    """One payer's part of an event: of its quantity, and of the event itself (0 once it is void)."""

    allocation_index: int
    customer_id: str
    project_id: str
    quantity: Decimal
    event_share: Decimal


@dataclass(frozen=True)
class EffectiveState:
    """What an event counts for. `payers` is empty where its own customer and project pay all of it."""

    customer_id: str
    project_id: str
    unit: str
    dimensions: str
    billable: bool
    quantity: Decimal
    payers: tuple[Payer, ...] = ()
    void: bool = False

    def parts(self) -> list[Part]:
        """What each payer is charged for; the quantities add up to the event's, the event shares to 1 or 0."""
        if not self.payers:
            return [Part(0, self.customer_id, self.project_id, self.quantity, Decimal(0 if self.void else 1))]
        shares = [payer.share for payer in self.payers]
        quantities = split(plain(self.quantity), shares)
        event_shares = ["0"] * len(shares) if self.void else split_event(shares)
        return [
            Part(index, payer.customer_id, payer.project_id, Decimal(quantity), Decimal(event_share))
            for index, (payer, quantity, event_share) in enumerate(
                zip(self.payers, quantities, event_shares, strict=True)
            )
        ]


@dataclass(frozen=True)
class Change:
    """What a correction asks for."""

    action: str
    quantity_delta: Decimal | None = None
    replacement: Replacement | None = None


@dataclass(frozen=True)
class Known:
    """What a correction may move an event to: asked as of the correction's place in the log."""

    customer: Callable[[str], bool]
    project: Callable[[str, str], bool]
    unit: Callable[[str], bool]


def corrected(state: EffectiveState, change: Change, known: Known) -> EffectiveState | CorrectionOutcome:
    """The state after a correction, or why it is refused."""
    if change.action == "void":
        return replace(state, quantity=Decimal(), void=True)
    if change.replacement is not None:
        return _replaced(state, change.replacement, known)
    quantity = _EXACT.add(state.quantity, change.quantity_delta or Decimal())
    if quantity < 0:
        return CorrectionOutcome.EFFECTIVE_NEGATIVE
    if quantity >= QUANTITY_LIMIT:
        return CorrectionOutcome.EFFECTIVE_TOO_LARGE
    return replace(state, quantity=quantity, void=False)


def _replaced(state: EffectiveState, wanted: Replacement, known: Known) -> EffectiveState | CorrectionOutcome:
    customer_id = wanted.customer_id or state.customer_id
    project_id = wanted.project_id or state.project_id
    moved = wanted.customer_id is not None or wanted.project_id is not None
    if moved and not known.customer(customer_id):
        return CorrectionOutcome.UNKNOWN_CUSTOMER
    if moved and not known.project(customer_id, project_id):
        return CorrectionOutcome.UNKNOWN_PROJECT
    if wanted.unit is not None and not known.unit(wanted.unit):
        return CorrectionOutcome.UNKNOWN_UNIT
    return EffectiveState(
        customer_id=customer_id,
        project_id=project_id,
        unit=wanted.unit or state.unit,
        dimensions=state.dimensions if wanted.dimensions is None else canonical_dimensions(wanted.dimensions),
        billable=state.billable if wanted.billable is None else wanted.billable,
        quantity=state.quantity if wanted.quantity is None else wanted.quantity,
        payers=() if moved else state.payers,
    )
