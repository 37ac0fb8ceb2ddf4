"""Enters changes of the registry: what a file says and the log does not, as control records at the end of the log.

Everything is checked before anything is appended. Each change that the log has already, as the last word about its
matter, is left out, so a file can be applied as often as one likes.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from billing_pipeline.contract.instants import datetime_of
from billing_pipeline.contract.registry import Registry, RegistryChange, change_id, control_record
from billing_pipeline.control.clock import now_us
from billing_pipeline.errors import RegistryRefusedError
from billing_pipeline.ingest.landing import Lander
from billing_pipeline.ingest.queue import Queue
from billing_pipeline.ingest.registry_log import registry_now
from billing_pipeline.ingest.spool import Spool
from billing_pipeline.metering.stage import Workshop
from billing_pipeline.rating.periods import period_start
from billing_pipeline.rating.registry_files.contracts import rerating
from billing_pipeline.rating.registry_files.loading import load_changes
from billing_pipeline.rating.registry_files.registry_check import rerating_fault

PRODUCER = "registry"


@dataclass(frozen=True)
class Entry:
    """A change with the offset under which the log has it; None where a dry run has not entered it.

    Attributes:
        is_new: the log had it not.
        is_retroactive: it is of a contract, and begins before the usage period that runs now.
    """

    change: RegistryChange
    queue_offset: int | None
    is_new: bool
    is_retroactive: bool


def apply_file(workshop: Workshop, lander: Lander, path: Path, *, dry_run: bool = False) -> list[Entry]:
    """Enter what a registry file says and the log does not, in the order of the file.

    Raises:
        DocumentError: the file has faults; all of them are listed, and nothing was appended.
        LakeError: another change of the registry is under way.
        QueueError: the changes could not be appended.
    """
    with nullcontext() if dry_run else workshop.lake.lock(PRODUCER):
        registry, day = registry_now(workshop, lander), today(lander.queue)
        changes = load_changes(path, registry, workshop.books, today=day)
        known = [registry.known_as(change) for change in changes]
        new = [change for change, said in zip(changes, known, strict=True) if said is None]
        offsets = iter(() if dry_run else append_changes(lander.queue, registry, new))
        return [
            Entry(
                change,
                next(offsets, None) if said is None else said.queue_offset,
                is_new=said is None,
                is_retroactive=_is_retroactive(change, registry, day),
            )
            for change, said in zip(changes, known, strict=True)
        ]


def _is_retroactive(change: RegistryChange, before: Registry, day: date) -> bool:
    if change.entity in {"customer", "project", "rerating"} or change.change == "void":
        return False
    owner = change.entity_id.partition("/")[0]
    if change.entity != "plan_override" and before.customer(owner) is None:
        return False  # Nothing has been rated of a customer that was not there.
    # The usual anchor day where the change is of a plan, which many customers have.
    return change.effective_at.date() < period_start(day, before.anchor_day(owner))


def rerate(
    workshop: Workshop,
    lander: Lander,
    customer_id: str,
    usage_period: date,
    *,
    rules: str | None,
    who: str,
    why: str,
) -> Entry:
    """Have a usage period rated again by the next invoice: by contracts as known then.

    Args:
        workshop: the lake and the rules.
        lander: brings the queue, which takes the change, into that lake.
        customer_id: whose usage period it is.
        usage_period: its start.
        rules: the rule version whose prices are used instead; None leaves each row its own.
        who: who wants it.
        why: and for which reason.

    Raises:
        RegistryRefusedError: there is no such customer, ended period or rule version, or a name or reason is missing.
        LakeError: another change of the registry is under way.
        QueueError: it could not be appended.
    """
    with workshop.lake.lock(PRODUCER):
        registry = registry_now(workshop, lander)
        if registry.customer(customer_id) is None:
            raise RegistryRefusedError(f"customer {customer_id!r} is not registered")
        fault = rerating_fault(registry, customer_id, usage_period, today(lander.queue))
        if fault:
            raise RegistryRefusedError(fault)
        if rules is not None and workshop.books.get(rules) is None:
            known = ", ".join(book.version for book in workshop.books)
            raise RegistryRefusedError(f"there is no rule version {rules!r}; known are {known}")
        for option, text in (("--who", who), ("--why", why)):
            if not text.strip():
                raise RegistryRefusedError(f"{option} is blank; a re-rating says who wants it, and why")
        change = rerating(customer_id, usage_period, rules=rules, who=who.strip(), why=why.strip())
        [offset] = append_changes(lander.queue, registry, [change])
        return Entry(change, offset, is_new=True, is_retroactive=True)


def append_changes(queue: Queue, registry: Registry, changes: Sequence[RegistryChange]) -> list[int]:
    """Append changes to the log; their offsets.

    Ids follow from the content, and from how often the log has that already: what was said, then changed, and is
    said again is another record.
    """
    earlier = Counter(change_id(change) for change in registry.changes)
    offsets: list[int] = []
    with Spool() as spool:
        for change in changes:
            spool.add(control_record(change, change_id(change, earlier[change_id(change)])), 0)
        for records, _ in spool.batches():
            offsets += queue.append(PRODUCER, records)
    return offsets


def today(queue: Queue) -> date:
    """The UTC date of now; a queue whose clock is ahead is believed."""
    return datetime_of(max(now_us(), queue.clock())).date()
