"""Reads registry files: customers, projects and contracts as people write them, each entry one change.

The seed (`data/registry.yaml`) and what `billing registry apply` takes have one form, said in `docs/contracts.md`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Literal

from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.registry_files.contracts import (
    read_add_ons,
    read_coupons,
    read_plan_ends,
    read_plans,
    read_reratings,
)
from billing_pipeline.rating.registry_files.entry import RegistryEntry, read_id
from billing_pipeline.rating.registry_files.grants import read_credit_grants
from billing_pipeline.rating.registry_files.overrides import read_overrides, read_plan_overrides

CUSTOMERS_MOST = 100_000
PROJECTS_MOST = 10_000
LAST_DAY_OF_MONTH = 31
CONTRACTS: Mapping[str, Callable[[Field, str], Iterator[RegistryEntry]]] = {
    "plans": read_plans,
    "plan_ends": read_plan_ends,
    "add_ons": read_add_ons,
    "overrides": read_overrides,
    "coupons": read_coupons,
    "credit_grants": read_credit_grants,
}
"""What a customer of the file may have agreed to, in the order in which the changes are entered."""
_ABOUT_CUSTOMER = ("name", "email", "anchor_day", "plan")
"""They are entered with the customer, so they need the day from which it is registered."""


def read_entries(root: Field) -> tuple[RegistryEntry, ...]:
    """The entries of a registry file in its order.

    Raises:
        DocumentError: the file has faults; all of them are listed with line and field.
    """
    if root.is_null:
        return ()
    keys = root.mapping(optional=("customers", "plan_overrides", "reratings"))
    entries: list[RegistryEntry] = []
    for item in keys["customers"].items(most=CUSTOMERS_MOST) if "customers" in keys else ():
        entries += _customer(item)
    if "plan_overrides" in keys:
        entries += read_plan_overrides(keys["plan_overrides"])
    if "reratings" in keys:
        entries += read_reratings(keys["reratings"])
    _refuse_repeated(entries)
    root.raise_faults()
    return tuple(entries)


def _refuse_repeated(entries: Iterable[RegistryEntry]) -> None:
    """Note what is said twice of one thing; the log would take the last word, but here it is a slip."""
    seen: dict[tuple[object, ...], int] = {}
    for entry in entries:
        change = entry.change
        if change.effective_from == date.min or not all(change.entity_id.split("/")):
            continue  # It has a fault of its own.
        line = seen.get(change.slot)
        if line is None:
            seen[change.slot] = entry.field.line
        elif change.change in {"register", "grant"}:
            entry.place("id").fault(f"is listed already, in line {line}; ids are never used twice")
        else:
            entry.place("effective_from").fault(
                f"line {line} speaks of the same, from the same day; keep one"
            )


def _customer(item: Field) -> Iterator[RegistryEntry]:
    keys = item.mapping(
        required=("id",),
        optional=(
            *_ABOUT_CUSTOMER,
            *("effective_from", "closed_from", "projects"),
            *CONTRACTS,
        ),
    )
    customer_id = read_id(keys["id"])
    start = _start(item, keys)
    if start is not None:
        yield from _registration(item, keys, customer_id, start)
    for name, read in CONTRACTS.items():
        if name in keys:
            yield from read(keys[name], customer_id)
    if "projects" in keys:
        yield from _projects(keys["projects"], customer_id, start)
    if "closed_from" in keys:
        yield _closing(keys["closed_from"], "customer", customer_id, start)


def _start(item: Field, keys: dict[str, Field]) -> date | None:
    """From when on the customer is registered; None where the entry is about one that is known already."""
    if "effective_from" in keys:
        return keys["effective_from"].day()
    for key in _ABOUT_CUSTOMER:
        if key in keys:
            item.fault(f"has {key!r}, but no `effective_from` from which on; give the day of registration")
            return date.min
    return None


def _registration(
    item: Field, keys: dict[str, Field], customer_id: str, start: date
) -> Iterator[RegistryEntry]:
    details: dict[str, object] = {"name": keys["name"].text() if "name" in keys else customer_id}
    if "email" in keys:
        details["email"] = keys["email"].text()
    if "anchor_day" in keys:
        details["anchor_day"] = keys["anchor_day"].whole(least=1, most=LAST_DAY_OF_MONTH)
    yield RegistryEntry(RegistryChange("customer", customer_id, "register", start, details), item, keys)
    if "plan" in keys:
        details = {"plan": keys["plan"].name_text()}
        yield RegistryEntry(
            RegistryChange("plan_assignment", customer_id, "assign", start, details), item, keys
        )


def _projects(field: Field, customer_id: str, start: date | None) -> Iterator[RegistryEntry]:
    """A project is its id, or `{id, effective_from?, closed_from?}`; by default as old as its customer."""
    for item in field.items(most=PROJECTS_MOST):
        keys = {"id": item}
        if not item.is_scalar:
            keys = item.mapping(required=("id",), optional=("effective_from", "closed_from"))
        name = read_id(keys["id"])
        since = keys["effective_from"].day() if "effective_from" in keys else start
        if since is None:
            item.fault("needs an `effective_from`, as its customer has none here; give the day")
            since = date.min
        project_id = f"{customer_id}/{name}"
        yield RegistryEntry(RegistryChange("project", project_id, "register", since), item, keys)
        if "closed_from" in keys:
            yield _closing(keys["closed_from"], "project", project_id, since)


def _closing(
    field: Field, entity: Literal["customer", "project"], entity_id: str, start: date | None
) -> RegistryEntry:
    day = field.day()
    if start is not None and date.min < day <= start:
        field.fault(f"is not after effective_from, {start}; give the first day without usage")
    return RegistryEntry(RegistryChange(entity, entity_id, "close", day), field, {})
