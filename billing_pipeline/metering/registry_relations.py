"""The registry as relations by offset: what each record of the log could see when it was received."""

import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from billing_pipeline.contract.instants import datetime_of
from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.schemas.tables import RAW_USAGE_EVENTS, REGISTRY_CHANGES

FOR_EVER = (1 << 63) - 1

_COLUMNS = "entity, entity_id, change, epoch_us(effective_from), details, queue_offset"


def registry_until(workshop: Workshop, session: Session, last: date) -> Registry:
    """The registry after the seed and all changes received up to the close of a day."""
    files = [file.path for file in workshop.lake.files(REGISTRY_CHANGES) if file.key.day <= last]
    session.scan("registry", REGISTRY_CHANGES, files)
    rows = session.rows(f"SELECT {_COLUMNS} FROM registry ORDER BY queue_offset")
    return Registry([*workshop.seed, *map(_change, rows)])


def registry_of_log(workshop: Workshop, session: Session) -> Registry:
    """The registry after the seed and every change that has been landed, closed day or not."""
    scan(workshop, session, "raw", RAW_USAGE_EVENTS)
    rows = session.rows(f"SELECT {_COLUMNS} FROM raw WHERE kind = 'control' ORDER BY queue_offset")
    return Registry([*workshop.seed, *map(_change, rows)])


def registry_as_known(
    workshop: Workshop, session: Session, last: date
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Customers and projects with the offsets that see them: rows for `customers` and for `projects`."""
    changes = registry_until(workshop, session, last).changes
    registered: dict[tuple[str, str], int] = {}
    closings: dict[tuple[str, str], list[tuple[int, datetime]]] = {}
    for change in changes:
        key = (change.entity, change.entity_id)
        if change.change == "register":
            registered.setdefault(key, change.queue_offset)
        elif change.change == "close":
            closings.setdefault(key, []).append((change.queue_offset, change.effective_at))
    customers: list[tuple[object, ...]] = []
    projects: list[tuple[object, ...]] = []
    for (entity, entity_id), offset in registered.items():
        if entity == "customer":
            customers.append((entity_id, offset, FOR_EVER))
            continue
        customer_id, _, project_id = entity_id.partition("/")
        known = registered.get(("customer", customer_id))
        if entity == "project" and known is not None:
            of_customer = closings.get(("customer", customer_id), [])
            of_project = closings.get((entity, entity_id), [])
            projects += [
                (customer_id, project_id, *visible)
                for visible in _visibility(max(offset, known), of_customer, of_project)
            ]
    return customers, projects


def _visibility(
    start: int, of_customer: list[tuple[int, datetime]], of_project: list[tuple[int, datetime]]
) -> Iterable[tuple[int, int, datetime | None, datetime | None]]:
    """Stretches of offsets over which a project looks the same: from, until, and both closing instants."""
    cuts = sorted({start, *(offset for offset, _ in (*of_customer, *of_project) if offset > start)})
    for position, cut in enumerate(cuts):
        until = cuts[position + 1] if position + 1 < len(cuts) else FOR_EVER
        yield cut, until, _latest(of_customer, cut), _latest(of_project, cut)


def _latest(closings: list[tuple[int, datetime]], offset: int) -> datetime | None:
    seen = [instant for at, instant in closings if at <= offset]
    return seen[-1] if seen else None


def _change(row: tuple[Any, ...]) -> RegistryChange:
    entity, entity_id, change, effective_from, details, queue_offset = row
    moment = datetime_of(effective_from)
    return RegistryChange(entity, entity_id, change, moment, json.loads(details), queue_offset)
