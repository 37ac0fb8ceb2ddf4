"""`trace`: an event forwards to its invoice lines, a line back to its events, an agent run as a tree with its cost."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from billing_pipeline.audit.trace_bookings import BookedPart
from billing_pipeline.audit.trace_event import EventTrace, trace_event
from billing_pipeline.audit.trace_line import trace_line
from billing_pipeline.audit.trace_records import LogRow, Outcome, TracedRecord
from billing_pipeline.audit.trace_session import SessionNode, single_unit_price, trace_session, tree
from billing_pipeline.contract.parsing import parse
from billing_pipeline.control.landings import recorded_landings
from billing_pipeline.errors import TraceNotFoundError
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import Meter, RuleBook, RuleBooks

OLD, NEW = "2023-11-01", "2026-10-16"
OTHER, DAY, END = date(2026, 10, 5), date(2026, 10, 20), date(2026, 10, 31)
Rows = Callable[..., list[tuple[Any, ...]]]


def event(pipeline: Pipeline, event_id: str, source: str = "app") -> EventTrace:
    return trace_event(pipeline.workshop, pipeline.control, source, event_id)


def outcomes(trace: EventTrace) -> list[str]:
    return [each.outcome.name for each in trace.records]


def booked(part: BookedPart) -> tuple[int, str, str, str, str]:
    """Sign, quantity, payer, kind and posting day of a part."""
    booking = part.booking
    quantity = f"{booking.quantity.normalize():f}"
    return booking.sign, quantity, booking.customer_id, booking.kind, str(booking.posting_day)


def test_an_event_is_followed_from_its_bytes_to_its_invoice_line(company: Pipeline) -> None:
    """With offset, receipt, data file, landing, rollup row and line."""
    trace = event(company, "c")
    (record,) = trace.records
    assert record.outcome == Outcome("counted")
    assert record.place is not None
    assert Path(record.place.file).is_file()
    landings = recorded_landings(company.control)
    (landing,) = [each for each in landings if each.chain == record.place.chain]
    assert Path(record.place.file).name in {file.name for file in landing.files}
    assert landing.first_offset <= record.record.queue_offset < landing.next_offset
    assert record.place.snapshot_id == landing.snapshot_id
    (part,) = trace.parts
    assert booked(part) == (1, "2000000", "beta", "on_time", str(DAY))
    (metering,) = part.meterings
    (rollup,) = metering.rollups
    assert (rollup.meter, rollup.quantity, rollup.event_count) == ("llm_tokens", Decimal(2_000_751), 2)
    (line,) = metering.lines
    assert (line.customer_id, line.quantity, line.billing_period) == (
        "beta",
        Decimal(2_000_751),
        date(2026, 10, 1),
    )


def test_a_duplicate_and_a_conflict_are_told_with_the_record_that_counted(company: Pipeline) -> None:
    """Whatever day they claim and came on."""
    trace = event(company, "a")
    assert outcomes(trace) == ["counted", "duplicate", "conflict"]
    counted, duplicate, conflict = trace.records
    for each in (duplicate, conflict):
        assert each.outcome.counted_queue_offset == counted.record.queue_offset
        assert each.outcome.counted_receipt_day == OTHER
    assert conflict.record.receipt_day == DAY
    assert {part.booking.event_offset for part in trace.parts} == {counted.record.queue_offset}


def test_a_voided_event_is_told_with_its_correction_and_both_rows(company: Pipeline) -> None:
    """The row it takes away stands in a rollup of the correction's posting day, under the rules of the usage."""
    trace = event(company, "a")
    (correction,) = trace.corrections
    assert (correction.correction.outcome, correction.correction.correlation_id) == ("applied", "ticket-1")
    assert correction.place is not None
    assert [booked(part) for part in trace.parts] == [
        (1, "1000", "acme", "on_time", str(OTHER)),
        (-1, "1000", "acme", "correction", str(DAY)),
        (1, "0", "acme", "correction", str(DAY)),
    ]
    first, taken_away, void = trace.parts
    assert [len(part.meterings) for part in (first, taken_away, void)] == [1, 1, 0]
    (rollup,) = taken_away.meterings[0].rollups
    assert (rollup.rule_version, rollup.kind, rollup.quantity) == (OLD, "correction", Decimal(-1000))
    assert first.meterings[0].lines == taken_away.meterings[0].lines


def test_an_adjusted_event_is_told_with_what_it_was_and_is(company: Pipeline) -> None:
    trace = event(company, "b")
    assert [booked(part)[:2] for part in trace.parts] == [(1, "1000000"), (-1, "1000000"), (1, "600000")]


def test_a_late_event_is_in_the_rollup_of_its_posting_day_under_the_rules_of_its_usage(
    company: Pipeline,
) -> None:
    (part,) = event(company, "late").parts
    assert (part.booking.kind, part.booking.posting_day, part.booking.usage_day) == ("late", DAY, OTHER)
    (rollup,) = part.meterings[0].rollups
    assert (rollup.posting_day, rollup.rule_version, rollup.kind) == (DAY, OLD, "late")


def test_a_split_event_is_told_part_by_part_each_with_its_own_line(company: Pipeline) -> None:
    parts = event(company, "shared").parts
    assert [(p.booking.allocation_index, p.booking.event_share) for p in parts] == [
        (0, Decimal("0.25")),
        (1, Decimal("0.75")),
    ]
    assert [booked(part)[1:3] for part in parts] == [("250", "acme"), ("751", "beta")]
    assert [part.meterings[0].lines[0].customer_id for part in parts] == ["acme", "beta"]


def test_a_rejected_event_is_told_with_field_value_and_what_to_do(company: Pipeline) -> None:
    trace = event(company, "page")
    (record,) = trace.records
    assert (record.outcome.name, record.outcome.reason_code, record.outcome.value) == (
        "rejected",
        "unknown_unit",
        "page",
    )
    assert "mend the unit" in str(record.outcome.message)
    assert trace.parts == ()


def test_a_record_that_was_sent_again_is_told_beside_the_refused_one(
    *,
    company: Pipeline,
    receive: Callable[..., None],
    usage: Callable[..., Any],
    close: Callable[..., Any],
    rows: Rows,
) -> None:
    """With the offset it sends again and its first receipt; it is the one that counts."""
    ((refused, first),) = rows(
        company, "SELECT queue_offset, epoch_us(received_at) FROM raw_usage_events WHERE id = 'page'"
    )
    mended = usage("page", "2026-10-20T12:00:00Z")
    again = msgspec.structs.replace(mended, first_received_at=first, requeued_offset=refused)
    receive(company, [("2026-11-02T12:00:00Z", again)])
    close(company, [date(2026, 11, 2)])
    trace = event(company, "page")
    assert outcomes(trace) == ["rejected", "counted"]
    assert trace.records[1].record.requeued_offset == refused
    assert trace.records[1].record.first_received_at == trace.records[0].record.received_at
    (part,) = trace.parts
    assert part.booking.kind == "late"


def test_what_is_not_billable_is_booked_and_taken_by_no_meter(company: Pipeline) -> None:
    (part,) = event(company, "free").parts
    assert not part.booking.billable
    assert part.meterings == []


def test_a_correction_is_followed_by_its_own_identity(company: Pipeline) -> None:
    assert outcomes(event(company, "fix", "support")) == ["applied"]
    assert outcomes(event(company, "fix-none", "support")) == ["original_not_found"]


def test_a_registry_change_is_a_record_like_others(company: Pipeline, rows: Rows) -> None:
    ((source, name),) = rows(company, "SELECT source, id FROM raw_usage_events WHERE queue_offset = 0")
    assert outcomes(event(company, name, source)) == ["control"]


def test_what_has_landed_and_waits_for_its_day_is_pending(
    company: Pipeline, receive: Callable[..., None], usage: Callable[..., Any]
) -> None:
    receive(company, [("2026-11-02T12:00:00Z", usage("next", "2026-11-02T11:00:00Z"))])
    trace = event(company, "next")
    assert outcomes(trace) == ["pending"]
    assert trace.records[0].place is not None


def test_an_unknown_event_session_or_line_is_refused_with_what_to_do(company: Pipeline) -> None:
    with pytest.raises(
        TraceNotFoundError, match=r"no record of source 'app' with id 'x'.*billing queue status"
    ):
        event(company, "x")
    with pytest.raises(TraceNotFoundError, match="no event of session 'x'"):
        trace_session(company.workshop, company.control, "x")
    with pytest.raises(TraceNotFoundError, match=r"no invoice line 'x'.*billing invoice show"):
        trace_line(company.workshop, company.control, "x", None)


def test_quotes_in_an_identity_are_text(company: Pipeline) -> None:
    with pytest.raises(TraceNotFoundError):
        event(company, "x' OR '1' = '1")


def test_every_line_comes_back_to_events_that_add_up_to_it(company: Pipeline, rows: Rows) -> None:
    """Late, corrected and split ones too; each with its file, and each leads forwards to the line again."""
    for line_id, quantity in rows(company, "SELECT line_id, quantity FROM invoice_lines"):
        trace = trace_line(company.workshop, company.control, line_id, None)
        assert trace.adds_up
        assert trace.event_quantity == trace.rollup_quantity == quantity
        assert len(trace.events) == trace.event_rows > 0
        assert all(each.place is not None for each in trace.events)
        names = {each.id for each in trace.events if each.booking.origin == "event"}
        for name in names:
            parts = event(company, name).parts
            lines = {line.line_id for part in parts for metering in part.meterings for line in metering.lines}
            assert line_id in lines


def test_a_lines_rollups_are_those_of_its_usage_and_the_first_events_are_listed(
    company: Pipeline, rows: Rows
) -> None:
    query = f"SELECT line_id FROM invoice_lines WHERE customer_id = 'acme' AND rule_version = '{OLD}'"
    ((line_id,),) = rows(company, query)
    trace = trace_line(company.workshop, company.control, line_id, 2)
    assert [(row.posting_day, row.kind, row.quantity) for row in trace.rollups] == [
        (OTHER, "on_time", Decimal(2000)),
        (DAY, "correction", Decimal(-1000)),
        (DAY, "late", Decimal(1000)),
    ]
    assert trace.event_rows == 4
    assert [each.id for each in trace.events] == ["a", "kept"]
    assert [each.correlation_id for each in trace.events] == ["c", "c"]


def test_evidence_that_does_not_come_to_the_line_is_told(
    company: Pipeline, rows: Rows, edit: Callable[..., None]
) -> None:
    from billing_pipeline.schemas.table import PartitionKey
    from billing_pipeline.schemas.tables import UNIQUE_USAGE_EVENTS

    edit(UNIQUE_USAGE_EVENTS, PartitionKey(DAY), "SELECT * FROM part WHERE id <> 'c'")
    ((line_id,),) = rows(company, "SELECT line_id FROM invoice_lines WHERE customer_id = 'beta'")
    trace = trace_line(company.workshop, company.control, line_id, None)
    assert not trace.adds_up
    assert trace.rollup_quantity == trace.line.quantity != trace.event_quantity


def names(nodes: list[SessionNode] | tuple[SessionNode, ...]) -> Any:
    """The tree by names."""
    return {node.name: names(node.children) for node in nodes}


def test_a_session_is_a_tree_with_sub_agents(company: Pipeline) -> None:
    """By what caused what; what names a parent outside of the run hangs below that name."""
    trace = trace_session(company.workshop, company.control, "run-1")
    assert names(trace.roots) == {
        "root": {"root.out": {}, "sub": {"sub.tool": {}, "sub.out": {}}},
        "span-99": {"elsewhere": {}},
    }
    assert trace.roots[1].remarks == ["no event of this session"]
    assert trace.totals.events == 6
    assert trace.totals.quantities == {"call": 3, "second": 90, "token": 751_000}


def test_a_session_costs_what_single_unit_prices_come_to_and_the_rest_is_told_as_shares(
    company: Pipeline,
) -> None:
    """751,000 output tokens at 12 per 1,000,000; tool calls are within one tier, seconds within the free one."""
    trace = trace_session(company.workshop, company.control, "run-1")
    costs = {
        node.name: [(cost.charge, cost.amount) for cost in node.costs]
        for node in walk(trace.roots)
        if node.record is not None
    }
    assert costs["root.out"] == [("llm_tokens", Decimal(6))]
    assert costs["sub.out"] == [("llm_tokens", Decimal(3))]
    assert costs["sub.tool"] == [("tool_calls", Decimal("0.03"))]
    assert costs["root"] == [("compute", Decimal(0))]
    assert trace.totals.amounts == {"usd": Decimal("9.042")}
    assert trace.totals.shared == 0


def walk(nodes: tuple[SessionNode, ...] | list[SessionNode]) -> list[SessionNode]:
    return [each for node in nodes for each in (node, *walk(node.children))]


TIERED = (
    '[{"tier":"up to 1000","quantity":"1000","unit_price":"0.01","flat_fee":"0","amount":"10"},'
    '{"tier":"up to 2000","quantity":"1","unit_price":"0.006","flat_fee":"0","amount":"0.006"}]'
)


@pytest.mark.parametrize(
    ("tiers", "amount", "price"),
    [
        (
            '[{"tier":"","quantity":"4","unit_price":"15 per 1,000,000","flat_fee":"0","amount":"0.00006"}]',
            "0.00006",
            Decimal("0.000015"),
        ),
        ('[{"tier":"","quantity":"4","unit_price":"0.5","flat_fee":"5","amount":"7"}]', "7", None),
        ('[{"tier":"","quantity":"4","unit_price":"0.5","flat_fee":"0","amount":"2"}]', "20", None),
        ('[{"tier":"","quantity":"4","unit_price":"by hand","flat_fee":"0","amount":"2"}]', "2", None),
        (TIERED, "10.006", None),
    ],
)
def test_only_a_line_of_one_unit_price_gives_an_event_a_cost(
    company: Pipeline, rows: Rows, tiers: str, amount: str, price: Decimal | None
) -> None:
    """Not one with tiers, a fee, or an amount that is more than price times quantity."""
    ((line_id,),) = rows(company, "SELECT line_id FROM invoice_lines WHERE customer_id = 'beta'")
    line = trace_line(company.workshop, company.control, line_id, 0).line
    changed = line._replace(tiers=tiers, amount=Decimal(amount), quantity=Decimal(4))
    found = single_unit_price(changed)
    assert (found and found[1]) == price


def node(name: str, parent_id: str | None, source: str = "app") -> SessionNode:
    """A node of a run, as far as the tree looks at it."""
    values = dict.fromkeys(LogRow._fields) | {"source": source, "id": name, "parent_id": parent_id}
    return SessionNode(name, TracedRecord(LogRow(**values), None, Outcome("counted")))  # type: ignore[arg-type]


def test_events_that_name_each_other_as_parent_hang_from_the_last_of_them() -> None:
    """And one that names itself stands alone."""
    ring = [node("x", "y"), node("y", "z"), node("z", "x"), node("self", "self")]
    assert names(tree(ring)) == {"z": {"y": {"x": {}}}, "self": {}}


def test_a_parent_of_the_same_source_comes_before_one_of_another() -> None:
    nodes = [node("p", None, "other"), node("p", None), node("child", "p")]
    first, second = tree(nodes)
    assert (first.children, [each.name for each in second.children]) == ([], ["child"])


def test_redeliveries_and_rejected_events_of_a_session_are_remarked(
    company: Pipeline, receive: Callable[..., None], usage: Callable[..., Any]
) -> None:
    run = {"session_id": "run-2", "correlation_id": "t"}
    at = "2026-11-02T11:00:00Z"
    receive(
        company,
        [(at, usage("again", at, **run)), (at, usage("again", at, **run)), (at, parse(b"no json"))],
    )
    (root,) = trace_session(company.workshop, company.control, "run-2").roots
    assert root.remarks == ["pending", "sent 2 times"]


def test_a_meter_that_looks_at_the_day_as_a_whole_is_told_as_such(
    *,
    new_pipeline: Callable[..., Pipeline],
    registered: Callable[..., Any],
    usage: Callable[..., Any],
    receive: Callable[..., None],
    close: Callable[..., Any],
    pipeline: Pipeline,
) -> None:
    """Its rollup rows are those of the group, and no event has a cost of its own."""
    books = RuleBooks(tuple(_with_peak(book) for book in pipeline.books))
    company = new_pipeline(books)
    noon = "2026-10-20T12:00:00Z"
    receive(
        company,
        [
            *((noon, record) for record in registered()),
            *((noon, usage(f"e-{n}", noon, quantity=str(n), session_id="s")) for n in (5, 9, 7)),
        ],
    )
    close(company, [DAY, END])
    (part,) = event(company, "e-5").parts
    (metering,) = part.meterings
    assert (metering.aggregation, metering.is_additive) == ("max", False)
    assert [row.quantity for row in metering.rollups] == [9]
    (line,) = metering.lines
    trace = trace_line(company.workshop, company.control, line.line_id, None)
    assert (trace.adds_up, trace.event_quantity, trace.event_rows) == (True, None, 3)
    session = trace_session(company.workshop, company.control, "s")
    assert session.totals.amounts == {}
    assert all("looks at the day as a whole" in each.remarks[0] for each in session.roots)


def _with_peak(book: RuleBook) -> RuleBook:
    meter: Meter = replace(book.meters["llm_tokens"], aggregation="max")
    return replace(book, meters={**book.meters, "llm_tokens": meter})
