"""Charges against invoice lines: what the charges of a day book beside what its lines bill, in minor units."""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from billing_pipeline.audit.conservation import SQL as CONSERVATION
from billing_pipeline.audit.invoice_reconciliation.comparison import Compared, EndedPeriod, listed
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.schemas.tables import INVOICE_LINES, RATED_CHARGES

SQL = Path(__file__).parent / "sql"
COMPARISON = "charges_lines"


def line_amounts(
    workshop: Workshop, day: date, periods: Mapping[str, EndedPeriod] | None = None
) -> Iterator[Compared]:
    """Per customer, invoice period and currency that has charges or lines on the day."""
    with workshop.engine.session() as session:
        scan(workshop, session, "charges", RATED_CHARGES, [day])
        scan(workshop, session, "lines", INVOICE_LINES, [day])
        session.define("booked_and_billed", CONSERVATION / "booked_and_billed.sql")
        totals: list[tuple[Any, ...]] = session.rows("SELECT * FROM booked_and_billed")
        differing: list[tuple[Any, ...]] = session.rows(
            f"{(SQL / 'differing_lines.sql').read_text('utf-8')} ORDER BY customer_id, currency, line_id"
        )
    lines: dict[tuple[str, str], list[str]] = {}
    for customer_id, currency, line_id, charged, billed in differing:
        told = f"line {line_id} bills {_told(billed)}, its charge books {_told(charged)}"
        lines.setdefault((customer_id, currency), []).append(told)
    for _, customer_id, start, currency, charged, billed, charges, bills in totals:
        if periods is not None and customer_id not in periods:
            continue
        told = listed(lines.get((customer_id, currency), []))
        is_wrong = bool(told) or charges != bills
        yield Compared(
            EndedPeriod(customer_id, start, day),
            COMPARISON,
            Decimal(charged),
            Decimal(billed),
            "unexplained" if is_wrong else "",
            currency,
            detail=told or (f"{charges} charges, {bills} lines" if is_wrong else ""),
        )


def _told(amount: int | None) -> str:
    return "nothing" if amount is None else str(amount)
