"""The proof that is asked for before invoices go out: their tables are what was recorded, and lines equal charges."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from billing_pipeline.audit.conservation import line_faults
from billing_pipeline.audit.recorded_hashes import reproduced_hashes
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.schemas.tables import BLOCKED_INVOICES, INVOICE_LINES, RATED_CHARGES, RATED_PERIODS

if TYPE_CHECKING:
    from sqlalchemy import Engine

PROVEN = (RATED_CHARGES, RATED_PERIODS, BLOCKED_INVOICES, INVOICE_LINES)


def gate_faults(workshop: Workshop, control: "Engine", days: Sequence[date]) -> list[str]:
    """What speaks against sending the invoices of the periods that end on some days; sentences with what to do."""
    wanted = frozenset(days)
    faults: list[str] = []
    for table in PROVEN:
        faults += reproduced_hashes(workshop, control, table, lambda key: key.day in wanted).faults
    return faults + [f"{fault}; rate that day again" for fault in line_faults(workshop, sorted(wanted))]
