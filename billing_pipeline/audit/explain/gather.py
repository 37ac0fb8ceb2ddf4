"""Gathers what is said of an invoice line from the tables, the rule books and the control database."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from billing_pipeline.audit.explain.amount_steps import amount_steps
from billing_pipeline.audit.explain.booked_events import booked_events, corrections, day_quantities
from billing_pipeline.audit.explain.event_list import events_csv, sha256_of
from billing_pipeline.audit.explain.explanation import Explanation, Hashes, InStripe, Rules
from billing_pipeline.audit.explain.rule_text import price_text
from billing_pipeline.audit.explain.surroundings import other_lines, partitions, reratings
from billing_pipeline.audit.trace_agreements import Agreements
from billing_pipeline.audit.trace_line import trace_line
from billing_pipeline.audit.trace_rows import LineRow
from billing_pipeline.audit.values import document, sql_text
from billing_pipeline.control.rule_book_uses import recorded
from billing_pipeline.invoicing.lines.invoice_line import evidence_digest
from billing_pipeline.invoicing.push.whereabouts import whereabouts
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.rating.charges import MeteredQuantity
from billing_pipeline.schemas.tables import USAGE_ROLLUPS

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True)
class Explained:
    """The explanation, and all of its events as CSV."""

    explanation: Explanation
    events_csv: str


def explain_line(
    workshop: Workshop, control: "Engine", rule_books: Path, line_id: str, events_listed: int
) -> Explained:
    """Everything about a line; so many events are listed, all of them are in the CSV.

    Raises:
        TraceNotFoundError: there is no such line.
    """
    trace = trace_line(workshop, control, line_id, None)
    line = trace.line
    with workshop.engine.session() as session:
        known = Agreements(workshop, session)
        events = booked_events(workshop, session, trace)
        listing = events_csv(events)
        customer = registry_until(workshop, session, line.period_end_day).customer(line.customer_id)
        went = whereabouts(control, line.key, line.billing_period, line.line_id)
        explanation = Explanation(
            line=line,
            customer_name=customer.name if customer else line.customer_id,
            steps=amount_steps(line),
            rules=_rules(workshop, control, rule_books, line, known),
            reratings=reratings(workshop, session, line),
            days=day_quantities(trace.rollups),
            corrections=corrections(workshop, session, trace),
            late=tuple(event for event in events if event.kind == "late"),
            events=events[:events_listed],
            event_rows=len(events),
            other_lines=other_lines(workshop, session, line),
            partitions=partitions(control, trace),
            stripe=tuple(InStripe(*each) for each in went),
            hashes=Hashes(
                evidence_digest=line.evidence_digest,
                evidence_recomputed=_digest(workshop, session, line, known),
                events_sha256=sha256_of(listing),
            ),
        )
    return Explained(explanation, listing)


def _digest(workshop: Workshop, session: Session, line: LineRow, known: Agreements) -> str:
    proof = line.tiers
    if line.component == "usage":
        proof = known.evidence(line, _quantities(workshop, session, line))
    return evidence_digest(line.billing_period, line, line.amount_minor, line.booked_before_minor, proof)


def _quantities(workshop: Workshop, session: Session, line: LineRow) -> list[MeteredQuantity]:
    """What was metered of the line's project, meter and rule version, posted by its invoice period's end."""
    scan(workshop, session, "rollups", USAGE_ROLLUPS, days_between(line.usage_period, line.period_end_day))
    rows: list[Any] = session.rows(
        "SELECT customer_id, project_id, meter, unit, dimensions, usage_day, rule_version, "
        "CAST(sum(quantity) AS DECIMAL(38, 9)) AS quantity, CAST(sum(event_count) AS BIGINT) AS event_count "
        f"FROM rollups WHERE customer_id = {sql_text(line.customer_id)} AND project_id = {sql_text(line.project_id)} "
        f"AND meter = {sql_text(line.meter)} AND rule_version = {sql_text(line.rule_version)} "
        "GROUP BY customer_id, project_id, meter, unit, dimensions, usage_day, rule_version"
    )
    return [MeteredQuantity(*row) for row in rows]


def _rules(
    workshop: Workshop, control: "Engine", rule_books: Path, line: LineRow, known: Agreements
) -> Rules:
    book = workshop.books.get(line.rule_version)
    content_hash = book.content_hash if book else ""
    override = known.override(line)
    return Rules(
        version=line.rule_version,
        effective_from=book.effective_from if book else None,
        content_hash=content_hash,
        used=recorded(control, {line.rule_version: content_hash}).get(line.rule_version) == content_hash,
        plan=line.plan,
        price=price_text(rule_books, line)
        if override is None
        else json.dumps(document(override.details), indent=2, sort_keys=True),
        source="rule book"
        if override is None
        else f"contract override {override.name} from {override.start}",
        rated_as_of=line.rated_as_of,
    )
