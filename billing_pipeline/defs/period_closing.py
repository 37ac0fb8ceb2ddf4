"""The period close: the invoices of periods that have ended go to Stripe, and all is reconciled."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date

from billing_pipeline.audit.period_gate import gate_faults
from billing_pipeline.control.partition_records import CLOSED_DAYS, latest
from billing_pipeline.defs.close_runs import Runs, Step
from billing_pipeline.errors import CloseGateError, CloseRunError
from billing_pipeline.invoicing.period_close.push_stage import PUSHES
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import INVOICE_LINES

Progress = Callable[[str, int, int], None]


def close_periods(
    pipeline: Pipeline, runs: Runs, through: date, told: Progress, days: Sequence[date] | None = None
) -> list[str]:
    """Push the invoices of the periods that end on some closed days, each day on its own; why some did not go.

    Args:
        pipeline: the company.
        runs: where the runs are made.
        through: the last day.
        told: the progress.
        days: only these; None for all of which something is left to be pushed.

    Returns:
        What went wrong, day by day: the gate refused, a push or a reconciliation failed. The other days go on.
    """
    due = [day for day in days_to_push(pipeline) if day <= through and (days is None or day in days)]
    failures = []
    for done, day in enumerate(due):
        told(f"invoices of the periods that end on {day} to Stripe", done, len(due))
        key = PartitionKey(day)
        try:
            refuse_unproven(pipeline, [day])
            runs.run(Step("period_close", key, key))
        except (CloseGateError, CloseRunError) as error:
            failures.append(str(error))
        try:
            runs.run(Step("reconciliation_of_day", key, key))
        except CloseRunError as error:
            failures.append(str(error))
        told(f"closed the periods that end on {day}", done + 1, len(due))
    return failures


def days_to_push(pipeline: Pipeline) -> list[date]:
    """The closed days with invoice lines that have not all reached Stripe as they are."""
    lines, pushed = latest(pipeline.control, INVOICE_LINES.name), latest(pipeline.control, PUSHES)
    closed = pipeline.closed_days(CLOSED_DAYS)
    return sorted(
        PartitionKey.of(key).day
        for key, record in lines.items()
        if record.row_count
        and PartitionKey.of(key).day in closed
        and (key not in pushed or pushed[key].content_hash != record.content_hash)
    )


def refuse_unproven(pipeline: Pipeline, days: Sequence[date]) -> None:
    """The gate of the period close.

    Raises:
        CloseGateError: the tables are not what was recorded when the days were closed.
    """
    faults = gate_faults(pipeline.workshop, pipeline.control, days) if days else []
    if faults:
        raise CloseGateError(f"no invoice goes out: {'; '.join(_first(faults))}")


def _first(faults: Sequence[str], most: int = 5) -> Iterator[str]:
    yield from faults[:most]
    if len(faults) > most:
        yield f"and {len(faults) - most} more: see `billing verify`"
