"""`billing trace`: an event, a session or an invoice line, as a tree for people and as JSON for programs."""

import json
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from billing_pipeline.audit.report import counted
from billing_pipeline.audit.trace_bookings import BookedPart, Metering
from billing_pipeline.audit.trace_event import EventTrace, TracedCorrection, trace_event
from billing_pipeline.audit.trace_line import EvidenceRow, LineTrace, trace_line
from billing_pipeline.audit.trace_records import Place, TracedRecord
from billing_pipeline.audit.trace_rows import Booking, LineRow, RollupRow
from billing_pipeline.audit.trace_session import Cost, SessionNode, SessionTrace, trace_session
from billing_pipeline.audit.values import document, plain_value
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.money import format_minor, grouped, plain
from billing_pipeline.rating.periods import period_name
from billing_pipeline.terminal.progress import shown_progress

EVENTS_LISTED = 20
SHORT_HASH = 12


def show_event(pipeline: Pipeline, source: str, event_id: str, *, as_json: bool) -> None:
    """Print the way of one event.

    Raises:
        TraceNotFoundError: no such record has been landed.
    """
    with shown_progress("following the event"):
        found = trace_event(pipeline.workshop, pipeline.control, source, event_id)
    _show(document(found), _event_tree(found), as_json=as_json)


def show_session(pipeline: Pipeline, session_id: str, *, as_json: bool) -> None:
    """Print an agent run.

    Raises:
        TraceNotFoundError: no record of the session has been landed.
    """
    with shown_progress("following the session"):
        found = trace_session(pipeline.workshop, pipeline.control, session_id)
    _show(document(found), _session_tree(found), as_json=as_json)


def show_line(pipeline: Pipeline, line_id: str, *, every_event: bool, as_json: bool) -> None:
    """Print what an invoice line rests on.

    Raises:
        TraceNotFoundError: there is no such line.
    """
    most = None if every_event else EVENTS_LISTED
    with shown_progress("following the line"):
        found = trace_line(pipeline.workshop, pipeline.control, line_id, most)
    _show(document(found) | {"adds_up": found.adds_up}, _line_tree(found), as_json=as_json)


def _show(as_document: dict[str, Any], tree: Tree, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(as_document, ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
    else:
        Console().print(tree, soft_wrap=True)


def _event_tree(found: EventTrace) -> Tree:
    tree = Tree(Text(f"{found.source} {found.id}", "bold"))
    records = tree.add("records of the log")
    for each in found.records:
        branch = records.add(_record(each))
        branch.add(_place(each.place))
        if each.outcome.message:
            branch.add(Text(f"{each.outcome.field or 'record'}: {each.outcome.message}", "red"))
    if found.corrections:
        corrections = tree.add("corrections of it")
        for correction in found.corrections:
            corrections.add(_correction(correction)).add(_place(correction.place))
    if found.parts:
        booked = tree.add("what it books")
        for part in found.parts:
            _add_part(booked, part)
    return tree


def _record(each: TracedRecord) -> Text:
    record, outcome = each.record, each.outcome
    words = [outcome.name]
    if outcome.counted_queue_offset is not None:
        words.append(f"of offset {outcome.counted_queue_offset:,}, which counted")
    if outcome.reason_code:
        words.append(f"({outcome.reason_code})")
    again = (
        ""
        if record.requeued_offset is None
        else f", sends offset {record.requeued_offset:,} again, first received {plain_value(record.first_received_at)}"
    )
    return Text.assemble(
        f"offset {record.queue_offset:,}: ",
        (" ".join(words), "bold"),
        f", {record.kind} from {record.producer}, received {plain_value(record.received_at)} "
        f"(receipt day {record.receipt_day}), correlation id {record.correlation_id or 'none'}{again}",
    )


def _place(place: Place | None) -> Text:
    if place is None:
        return Text("its file is not in the lake: run `billing verify`", "red")
    if place.chain is None:
        return Text(f"{place.file}, landed before there was a chain", "dim")
    return Text(
        f"{place.file}\nlanded with offsets {place.first_offset:,} to {(place.next_offset or 0) - 1:,}, snapshot "
        f"{place.snapshot_id}, chain {place.chain[:SHORT_HASH]}",
        "dim",
    )


def _correction(each: TracedCorrection) -> Text:
    correction = each.correction
    return Text.assemble(
        f"offset {correction.queue_offset:,}: {correction.source} {correction.id}, {correction.action}: ",
        (correction.outcome, "bold"),
        f" ({correction.reason_code}), received {plain_value(correction.received_at)}, correlation id "
        f"{correction.correlation_id or 'none'}{f', {correction.note}' if correction.note else ''}",
    )


def _add_part(tree: Tree, part: BookedPart) -> None:
    booking = part.booking
    branch = tree.add(_booking(booking))
    if not booking.billable:
        branch.add("not billable: no meter looks at it")
    elif not booking.event_share:
        branch.add("void: it counts for nothing")
    elif not part.meterings:
        branch.add(Text("no meter takes it: see unmetered_usage", "red"))
    for metering in part.meterings:
        _add_metering(branch, metering)


def _add_metering(tree: Tree, metering: Metering) -> None:
    name = f"meter {metering.meter} ({metering.aggregation})"
    if not metering.is_additive:
        name += ", which looks at the usage day as a whole: the rows of its group in this posting day"
    taken = tree.add(name)
    for row in metering.rollups:
        taken.add(_rollup(row))
    if not metering.rollups:
        taken.add("in no rollup row: the day is not rolled up yet, or what it adds and takes away is nothing")
    for line in metering.lines:
        taken.add(_line(line))
    if metering.free_under is not None:
        taken.add(f"free under plan {metering.free_under}")
    elif metering.rollups and not metering.lines:
        taken.add("on no invoice line yet")


def _booking(booking: Booking) -> Text:
    sign = "-" if booking.sign < 0 else "+"
    share = "" if booking.event_share == 1 else f", event share {plain(booking.event_share)}"
    return Text.assemble(
        (f"{sign}{grouped(booking.quantity)} {booking.unit}", "bold"),
        f" {booking.customer_id}/{booking.project_id} by the {booking.origin} at offset {booking.queue_offset:,}: "
        f"usage day {booking.usage_day}, {booking.kind.replace('_', ' ')} in posting day {booking.posting_day}, rules "
        f"{booking.rule_version}, part {booking.allocation_index}{share} {booking.dimensions}",
    )


def _rollup(row: RollupRow) -> Text:
    return Text(
        f"rollup {row.posting_day}|{row.rule_version}: {row.kind}, usage day {row.usage_day}, {row.dimensions}: "
        f"{grouped(row.quantity)} in {counted(row.event_count, 'event')}"
    )


def _line(line: LineRow) -> Text:
    return Text.assemble(
        "line ",
        (line.line_id, "bold"),
        f": invoice {period_name(line.billing_period)} of {line.customer_id}, {_kind(line)} "
        f"{period_name(line.usage_period)}, {_subject(line)}, ",
        (format_minor(line.amount_minor, line.currency), "bold"),
    )


def _kind(line: LineRow) -> str:
    return f"{line.kind} of" if line.component == "usage" or line.kind == "adjustment" else "for"


def _subject(line: LineRow) -> str:
    """What a line is about: `llm_tokens: 1,000 token`, `llm_tokens by pilot: …`, `discount launch`."""
    if line.component in {"usage", "flat_fee"}:
        by = f" by {line.term}" if line.term else ""
        return f"{line.charge}{by}: {grouped(line.quantity)} {line.unit}".rstrip()
    of = f" of {line.charge}" if line.charge else ""
    return f"{line.component.replace('_', ' ')} {line.term}{of}"


def _line_tree(found: LineTrace) -> Tree:
    line = found.line
    tree = Tree(_line(line))
    tree.add(Text(f"{line.description}; evidence digest {line.evidence_digest}", "dim"))
    tree.add(Text(f"rated by what was known at the close of {line.rated_as_of}", "dim"))
    if line.kind == "adjustment" or line.reason:
        before = format_minor(line.booked_before_minor, line.currency)
        quantities = (
            f", quantity {grouped(line.quantity_before)} → {grouped(line.quantity)}" if line.unit else ""
        )
        tree.add(f"adjustment: {line.reason or 'no usage of its own'}, booked before {before}{quantities}")
    if line.meter:
        _add_evidence(tree, found)
        verdict, doubt = (
            "the evidence comes to the line's quantity",
            "the evidence does not come to the line's quantity",
        )
    else:
        taken = tree.add("no usage of a meter; taken from")
        for each in found.taken_from or ("nothing: it is not due any more",):
            taken.add(each)
        verdict = "its parts come to the line's unrounded amount"
        doubt = "its parts do not come to the line's unrounded amount"
    tree.add(Text(verdict, "bold") if found.adds_up else Text(f"{doubt}: run `billing verify`", "bold red"))
    return tree


def _add_evidence(tree: Tree, found: LineTrace) -> None:
    line = found.line
    rollups = tree.add(
        f"{counted(len(found.rollups), 'rollup row')} come to {grouped(found.rollup_quantity)} {line.unit}"
    )
    for row in found.rollups:
        rollups.add(_rollup(row))
    total = (
        "the meter looks at usage days as a whole, so they do not simply add up"
        if found.event_quantity is None
        else f"come to {grouped(found.event_quantity)}"
    )
    events = tree.add(f"{counted(found.event_rows, 'row')} of events and corrections: {total}")
    for place, group in groupby(found.events, lambda each: each.place):
        file = events.add(_place(place))
        for each in group:
            file.add(_evidence(each))
    if len(found.events) < found.event_rows:
        events.add(f"and {found.event_rows - len(found.events):,} more; --all lists them")


def _evidence(each: EvidenceRow) -> Text:
    booking = each.booking
    sign = "-" if booking.sign < 0 else "+"
    return Text(
        f"offset {booking.queue_offset:,}: {sign}{grouped(booking.quantity)} {booking.origin} {each.source} {each.id}, "
        f"usage day {booking.usage_day}, posted {booking.posting_day}, correlation id {each.correlation_id or 'none'}"
    )


def _session_tree(found: SessionTrace) -> Tree:
    totals = found.totals
    tree = Tree(Text(f"session {found.session_id}: {counted(totals.events, 'event')}", "bold"))
    for root in found.roots:
        _add_node(tree, root)
    quantities = ", ".join(f"{grouped(value)} {unit}" for unit, value in totals.quantities.items())
    tree.add(Text(f"in all: {quantities or 'nothing that counts'}", "bold"))
    amounts = ", ".join(f"{plain(value)} {currency.upper()}" for currency, value in totals.amounts.items())
    cost = tree.add(Text(f"cost of what has one unit price, before rounding: {amounts or 'none'}", "bold"))
    if totals.shared:
        cost.add(
            f"{counted(totals.shared, 'event')} with a share of a line in tiers: no amount of its own is made up"
        )
    if totals.uninvoiced:
        cost.add(f"{counted(totals.uninvoiced, 'event')} on no invoice line yet")
    if found.left_out:
        tree.add(Text("the session has more records than are looked at", "red"))
    return tree


def _add_node(tree: Tree, node: SessionNode) -> None:
    label = Text(node.name, "bold")
    if node.record is not None:
        record = node.record.record
        step = f" {record.step}" if record.step else ""
        label.append(f"{step} at offset {record.queue_offset:,}", "dim")
        if node.quantity is not None:
            label.append(f": {grouped(node.quantity)} {record.unit} ")
            label.append(", ".join(_cost(cost) for cost in node.costs), "green")
    if node.remarks:
        label.append(f" [{'; '.join(node.remarks)}]", "yellow")
    branch = tree.add(label)
    for child in node.children:
        _add_node(branch, child)


def _cost(cost: Cost) -> str:
    if cost.amount is not None:
        return f"{plain(cost.amount)} {cost.currency.upper()} at {cost.unit_price}"
    return (
        f"{plain(cost.quantity)} of the {plain(cost.line_quantity)} of line {cost.line_id}, priced in tiers"
    )
