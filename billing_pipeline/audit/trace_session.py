"""`billing trace --session`: an agent run as a tree by what caused what, with quantities and cost.

An event has a cost of its own only where its line has one unit price. Under tiers the amount belongs to the line as a
whole: then the event's part of the quantity is told, and no amount is made up.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from billing_pipeline.audit.trace_bookings import BookedPart, Metering, booked_parts
from billing_pipeline.audit.trace_records import TracedRecord, records_of_session
from billing_pipeline.audit.trace_rows import Booking, LineRow
from billing_pipeline.errors import TraceNotFoundError
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.money import EXACT, sum_exact

if TYPE_CHECKING:
    from sqlalchemy import Engine

SESSION_RECORDS_MOST = 20_000
"""Records of one run that are looked at; an agent run has thousands at most."""


@dataclass(frozen=True)
class Cost:
    """What one line charges an event: exactly, or as its part of the line's quantity.

    `amount` (major units, before rounding) is None where the line has no single unit price.
    """

    line_id: str
    charge: str
    currency: str
    quantity: Decimal
    line_quantity: Decimal
    unit_price: str | None
    amount: Decimal | None


@dataclass
class SessionNode:
    """An event of the run, and what it caused. `record` is None for a parent that is no event of the run."""

    name: str
    record: TracedRecord | None = None
    repeats: int = 0
    quantity: Decimal | None = None
    costs: list[Cost] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    children: list["SessionNode"] = field(default_factory=list)


@dataclass(frozen=True)
class SessionTotals:
    """What the run comes to: quantities by unit, exact amounts by currency, and events whose cost is no exact one."""

    events: int
    quantities: dict[str, Decimal]
    amounts: dict[str, Decimal]
    shared: int
    uninvoiced: int


@dataclass(frozen=True)
class SessionTrace:
    """An agent run."""

    session_id: str
    roots: tuple[SessionNode, ...]
    totals: SessionTotals
    left_out: bool
    """Whether the run has more records than are looked at."""


def trace_session(workshop: Workshop, control: "Engine", session_id: str) -> SessionTrace:
    """The tree of an agent run.

    Raises:
        TraceNotFoundError: no record of the session has been landed.
    """
    records = records_of_session(workshop, control, session_id, SESSION_RECORDS_MOST + 1)
    if not records:
        raise TraceNotFoundError(
            f"no event of session {session_id!r} has been landed; `billing queue status` says whether all is landed"
        )
    left_out = len(records) > SESSION_RECORDS_MOST
    nodes = _nodes(records[:SESSION_RECORDS_MOST])
    counted = {
        node.record.record.queue_offset: node
        for node in nodes
        if node.record is not None and node.record.outcome.name == "counted"
    }
    with workshop.engine.session() as session:
        events = [
            (node.record.record.queue_offset, node.record.record.receipt_day)
            for node in counted.values()
            if node.record is not None
        ]
        parts = booked_parts(workshop, session, events) if events else []
    for node in counted.values():
        node.quantity = Decimal()
    for part in parts:
        _book(counted[part.booking.event_offset], part)
    return SessionTrace(session_id, tuple(tree(nodes)), _totals(nodes), left_out)


def tree(nodes: Sequence[SessionNode]) -> list[SessionNode]:
    """Hang every node below its parent; parents that are no event of the run become nodes of their own.

    A parent is named by the id of an event, of the same source before any other. Events that name each other in a ring
    hang from the last of them.
    """
    by_identity = {(_source(node), node.name): node for node in reversed(nodes)}
    by_id = {node.name: node for node in reversed(nodes)}
    roots: list[SessionNode] = []
    strangers: dict[str, SessionNode] = {}
    parent_of: dict[int, SessionNode] = {}
    for node in nodes:
        parent_id = node.record.record.parent_id if node.record else None
        if parent_id is None:
            roots.append(node)
            continue
        parent = by_identity.get((_source(node), parent_id)) or by_id.get(parent_id)
        if parent is None:
            if parent_id not in strangers:
                strangers[parent_id] = SessionNode(parent_id, remarks=["no event of this session"])
                roots.append(strangers[parent_id])
            parent = strangers[parent_id]
        elif _is_below(parent, node, parent_of):
            node.remarks.append(f"its parent {parent_id} is below it")
            roots.append(node)
            continue
        parent_of[id(node)] = parent
        parent.children.append(node)
    return roots


def single_unit_price(line: LineRow) -> tuple[str, Decimal] | None:
    """The one unit price of a line, as it stands there and of one unit; None where it has tiers or fees."""
    tiers = json.loads(line.tiers)
    if len(tiers) != 1 or tiers[0]["flat_fee"] not in {"", "0"}:
        return None
    text: str = tiers[0]["unit_price"]
    price, _, per = text.partition(" per ")
    try:
        each = EXACT.divide(Decimal(price), Decimal(per.replace(",", "") or 1))
    except InvalidOperation:
        return None  # words, not a price
    if EXACT.multiply(each, line.quantity) != line.amount:
        return None  # a minimum, a discount or a fee is in the amount
    return text, each


def _nodes(records: Iterable[TracedRecord]) -> list[SessionNode]:
    """A node per identity: by the record that counted, or the first; redeliveries are counted beside it."""
    nodes: dict[tuple[str | None, str | None], SessionNode] = {}
    for each in records:
        record = each.record
        identity = (record.source, record.id or f"offset {record.queue_offset}")
        node = nodes.get(identity)
        if node is None:
            node = nodes[identity] = SessionNode(identity[1] or "", each)
        else:
            node.repeats += 1
            if each.outcome.name == "counted":
                node.record = each
    for node in nodes.values():
        outcome = node.record.outcome if node.record else None
        if outcome is not None and outcome.name != "counted":
            node.remarks.append(" ".join(filter(None, (outcome.name, outcome.reason_code))))
        if node.repeats:
            node.remarks.append(f"sent {node.repeats + 1} times")
    return list(nodes.values())


def _book(node: SessionNode, part: BookedPart) -> None:
    booking = part.booking
    signed = EXACT.multiply(Decimal(booking.sign), booking.quantity)
    node.quantity = EXACT.add(node.quantity or Decimal(), signed)
    if booking.origin == "correction" and "corrected" not in node.remarks:
        node.remarks.append("corrected")
    if not booking.billable:
        _remark(node, "not billable")
        return
    if booking.event_share > 0 and not part.meterings:
        _remark(node, "no meter takes it")
    for metering in part.meterings:
        if not metering.is_additive:
            _remark(node, f"meter {metering.meter} looks at the day as a whole")
        elif metering.free_under is not None:
            _remark(node, f"free under plan {metering.free_under}")
        elif not metering.lines:
            _remark(node, f"no invoice line of {metering.meter} yet")
        else:
            node.costs += _costs(booking, metering)


def _costs(booking: Booking, metering: Metering) -> list[Cost]:
    """What the newest line of each charge says: it has the whole quantity of its key, earlier lines less of it."""
    newest = {(line.plan, line.charge): line for line in metering.lines}
    counted = booking.event_share if metering.aggregation == "count" else booking.quantity
    quantity = EXACT.multiply(Decimal(booking.sign), counted)
    costs = []
    for line in newest.values():
        price = single_unit_price(line)
        costs.append(
            Cost(
                line_id=line.line_id,
                charge=line.charge,
                currency=line.currency,
                quantity=quantity,
                line_quantity=line.quantity,
                unit_price=None if price is None else price[0],
                amount=None if price is None else EXACT.multiply(quantity, price[1]),
            )
        )
    return costs


def _totals(nodes: Sequence[SessionNode]) -> SessionTotals:
    quantities: dict[str, list[Decimal]] = {}
    amounts: dict[str, list[Decimal]] = {}
    for node in nodes:
        if node.quantity is not None and node.record is not None:
            quantities.setdefault(node.record.record.unit or "", []).append(node.quantity)
        for cost in node.costs:
            if cost.amount is not None:
                amounts.setdefault(cost.currency, []).append(cost.amount)
    return SessionTotals(
        events=len(nodes),
        quantities={unit: sum_exact(values) for unit, values in sorted(quantities.items())},
        amounts={currency: sum_exact(values) for currency, values in sorted(amounts.items())},
        shared=sum(any(cost.amount is None for cost in node.costs) for node in nodes),
        uninvoiced=sum(any("no invoice line" in remark for remark in node.remarks) for node in nodes),
    )


def _remark(node: SessionNode, remark: str) -> None:
    if remark not in node.remarks:
        node.remarks.append(remark)


def _source(node: SessionNode) -> str | None:
    return node.record.record.source if node.record else None


def _is_below(node: SessionNode, ancestor: SessionNode, parent_of: dict[int, SessionNode]) -> bool:
    current: SessionNode | None = node
    while current is not None:
        if current is ancestor:
            return True
        current = parent_of.get(id(current))
    return False
