"""Reads the overrides of a registry file.

What their terms mean depends on the plan that they change, so they are kept as they are written; `override_check`
reads them.
"""

from collections.abc import Iterator, Mapping

from billing_pipeline.rating.book_sections.terms import TERM_KEYS
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.registry_files.entry import (
    Dated,
    RegistryEntry,
    check_size,
    dated_items,
    plain_value,
    read_until,
)

TERMS = ("charge", "meter", "price", "rows", *TERM_KEYS)


def read_overrides(field: Field, customer_id: str) -> Iterator[RegistryEntry]:
    """`overrides: [{name, plan?, effective_from, until?, …terms}]` of one customer."""
    for item in dated_items(field, required=("name",), optional=("plan", "until", *TERMS)):
        details = _details(item)
        if "plan" in item.keys:
            details["plan"] = item.keys["plan"].name_text()
        yield item.entry("contract_override", customer_id, "override", details)


def read_plan_overrides(field: Field) -> Iterator[RegistryEntry]:
    """`plan_overrides: [{plan, name, effective_from, until?, …terms}]`, for all customers of a plan or add-on."""
    for item in dated_items(field, required=("plan", "name"), optional=("until", *TERMS)):
        yield item.entry("plan_override", item.keys["plan"].name_text(), "override", _details(item))


def _details(item: Dated) -> dict[str, object]:
    details: dict[str, object] = {"name": item.keys["name"].name_text()}
    details |= read_until(item.keys.get("until"), item.start)
    nodes = {key: item.keys[key].node for key in TERMS if key in item.keys}
    details |= {key: plain_value(node) for key, node in nodes.items() if node is not None}
    _check_combination(item.field, item.keys)
    check_size(item.field, details)
    return details


def _check_combination(field: Field, keys: Mapping[str, Field]) -> None:
    if not any(key in keys for key in ("price", "rows", *TERM_KEYS)):
        field.fault("changes nothing; give `charge` with `price` or `rows`, or discounts, minimums, maximums")
    for key, others in (
        *(("charge", ("price", "rows")), ("price", ("charge",))),
        *(("rows", ("charge",)), ("meter", ("price",))),
    ):
        if key in keys and not any(other in keys for other in others):
            keys[key].fault(f"has no {' or '.join(f'`{other}`' for other in others)} beside it; add it")
    if "price" in keys and "rows" in keys:
        keys["rows"].fault("stands beside `price`; keep one of the two")
    for row in keys["rows"].items(least=1) if "rows" in keys else ():
        # The table's own `per` is another file's: whoever copies a row from there must not pay a million times.
        if not row.is_scalar and row.child("per") is None:
            row.fault("does not say for how many units its price is; add `per`: 1, 1000 or 1000000")
