"""`billing verify`: everything that is claimed of the stored numbers, looked at anew.

The raw table only grew, every recorded hash reproduces, nothing is lost between two tables, the rules are those that
were used, and the guard's books add up.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from billing_pipeline.audit.conservation import credit_faults, line_faults, record_faults
from billing_pipeline.audit.guard_invariants import guard_checks
from billing_pipeline.audit.raw_log import raw_checks
from billing_pipeline.audit.recorded_hashes import reproduced_hashes
from billing_pipeline.audit.report import Check, DayRange, Progress, counted
from billing_pipeline.audit.rollup_conservation import rollup_faults
from billing_pipeline.control.partition_records import CLOSED_DAYS, closed_days, latest
from billing_pipeline.control.rule_book_uses import all_recorded
from billing_pipeline.invoicing.period_close.push_stage import PUSHES
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import (
    INVOICE_LINES,
    RATED_CHARGES,
    TABLES,
    UNIQUE_USAGE_EVENTS,
    USAGE_ROLLUPS,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

DAYS_AT_ONCE = 31
Law = Callable[[Workshop, Sequence[date]], list[str]]


def verify(workshop: Workshop, control: "Engine", days: DayRange, told: Progress) -> Iterator[Check]:
    """All checks, one after the other; none stops the others."""
    raw = Check("raw")
    with raw.going_on():
        yield from raw_checks(workshop, control, days, told)
    if raw.faults:
        yield raw
    yield from _hash_checks(workshop, control, days, told)
    yield from _conservation_checks(workshop, control, days, told)
    yield _rule_books(workshop, control)
    yield from guard_checks(control)


def _hash_checks(workshop: Workshop, control: "Engine", days: DayRange, told: Progress) -> Iterator[Check]:
    pushed_from: dict[PartitionKey, str] = {}
    for table in TABLES:
        check = Check(f"hashes: {table.name}")
        with check.going_on():
            found = reproduced_hashes(
                workshop,
                control,
                table,
                lambda key: key.day in days,
                partial(told, check.name),
            )
            check.looked_at = f"{counted(len(found.hashes), 'partition')}, {counted(found.rows, 'row')}"
            check.faults += found.faults
            if table is INVOICE_LINES:
                pushed_from = found.hashes
        yield check
    yield _pushes(control, days, pushed_from)


def _pushes(control: "Engine", days: DayRange, lines: dict[PartitionKey, str]) -> Check:
    """What went to Stripe was made of the lines that stand in the lake."""
    pushed = {PartitionKey.of(key): record for key, record in latest(control, PUSHES).items()}
    chosen = {key: record for key, record in pushed.items() if key.day in days}
    check = Check(f"hashes: {PUSHES}", counted(len(chosen), "day"))
    check.faults += [
        f"{PUSHES} {key}: the invoices were pushed from lines with content hash {record.content_hash}, but the lines "
        f"now give {lines.get(key, 'none')}: compare them with Stripe (docs/stripe.md), and see with `billing replay "
        f"{key.day}` which lines are right"
        for key, record in sorted(chosen.items(), key=str)
        if record.row_count and lines.get(key) != record.content_hash
    ]
    return check


def _conservation_checks(
    workshop: Workshop, control: "Engine", days: DayRange, told: Progress
) -> Iterator[Check]:
    ended = closed_days(control, CLOSED_DAYS) | closed_days(control, PUSHES)
    laws: tuple[tuple[str, Law, set[date]], ...] = (
        ("records", record_faults, closed_days(control, UNIQUE_USAGE_EVENTS.name)),
        ("rollups", rollup_faults, closed_days(control, USAGE_ROLLUPS.name) | ended),
        ("lines", line_faults, closed_days(control, RATED_CHARGES.name) | ended),
        ("credits", credit_faults, closed_days(control, RATED_CHARGES.name)),
    )
    for name, law, closed in laws:
        check = Check(f"conservation: {name}")
        with check.going_on():
            chosen = days.of(closed)
            check.looked_at = counted(len(chosen), "closed day")
            for start in range(0, len(chosen), DAYS_AT_ONCE):
                told(check.name, start, len(chosen))
                found = law(workshop, chosen[start : start + DAYS_AT_ONCE])
                check.faults += [
                    f"{fault}; {_RATE_AGAIN if law is credit_faults else _AGAIN}" for fault in found
                ]
        yield check


_AGAIN = "make the later of the two tables again for that day (docs/operations.md, Checks)"
_RATE_AGAIN = "rate that day again, and if it stays, look at the grants (docs/operations.md, Checks)"


def _rule_books(workshop: Workshop, control: "Engine") -> Check:
    """The rules that were used are those of the files, and those that every partition says it was made under."""
    used = all_recorded(control)
    check = Check("rule books", counted(len(used), "used version"))
    for version, used_hash in sorted(used.items()):
        book = workshop.books.get(version)
        if book is None:
            check.faults.append(f"rule book {version} has been used but has no file: put it back")
        elif book.content_hash != used_hash:
            check.faults.append(
                f"rule book {version} has been used with content hash {used_hash}, but its file has "
                f"{book.content_hash}: restore the file as it was"
            )
    for table in (*(table.name for table in TABLES), CLOSED_DAYS, PUSHES):
        for key, record in sorted(latest(control, table).items()):
            other = {v: h for v, h in record.rule_books.items() if used.get(v) != h}
            check.faults += [
                f"{table} {key} is recorded as made under rule book {version} with content hash {found}, which is not "
                "the one that was used: the control database was changed, restore it from a backup"
                for version, found in sorted(other.items())
            ]
    return check
