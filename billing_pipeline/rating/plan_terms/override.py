"""Contract overrides: how the terms agreed with one customer, or added to a plan later, change what a plan says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain

import msgspec

from billing_pipeline.errors import DocumentError
from billing_pipeline.rating.agreement import Override
from billing_pipeline.rating.book_sections.terms import TERM_KEYS, read_plan_terms
from billing_pipeline.rating.charge_models.by_name import read_charge_model
from billing_pipeline.rating.charge_models.per_unit import PerUnit
from billing_pipeline.rating.charge_models.price import Price
from billing_pipeline.rating.charge_models.price_table import PriceTable, read_rows
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.document_json import field_of
from billing_pipeline.rating.plan_terms.commitment import Maximum, Minimum
from billing_pipeline.rating.plan_terms.discount import Discount
from billing_pipeline.rating.rule_book import Meter, Plan, PlanTerm

TERM_KINDS: Mapping[str, type] = dict(zip(TERM_KEYS, (Discount, Minimum, Maximum), strict=True))
TERM_NAMES = frozenset(TERM_KEYS)
PRICE_KEYS = ("charge", "meter", "price", "rows")


@dataclass(frozen=True)
class FaultyOverride:
    """The override cannot be read beside the plan's version; its usage has no price until that is mended."""

    message: str


def changes_period_terms(override: Override) -> bool:
    """Whether it changes what is taken from a whole period: discounts, minimums, maximums."""
    return not TERM_NAMES.isdisjoint(override.details)


def overridden_terms(plan: Plan, overrides: Sequence[Override]) -> Sequence[PlanTerm] | FaultyOverride:
    """A plan's terms in the order in which they are applied, each kind as the last override that names it says.

    Args:
        plan: the plan or add-on.
        overrides: what changes it on the first day of its stretch, the one that counts last at the end.
    """
    kept = {key: [term for term in plan.terms if isinstance(term, kind)] for key, kind in TERM_KINDS.items()}
    for override in overrides:
        for key in [key for key in TERM_KINDS if key in override.details]:
            terms = msgspec.json.encode({key: override.details[key]}).decode()
            try:
                kept[key] = list(_read_terms(override.name, terms, plan.currency, plan.charge_names))
            except DocumentError as error:
                return FaultyOverride(_text(error))
    return replace(plan, terms=tuple(chain.from_iterable(kept.values()))).terms_in_order


@lru_cache(maxsize=10_000)
def _read_terms(name: str, terms: str, currency: str, charge_names: frozenset[str]) -> tuple[PlanTerm, ...]:
    field = _field(name, terms)
    found = read_plan_terms(field.mapping(optional=TERM_KEYS), currency, charge_names)
    field.raise_faults()
    return found


def override_price(
    override: Override, base: Price | None, meter: Meter, currency: str
) -> Price | FaultyOverride | None:
    """The price that an override gives a charge, or None where it has none.

    Args:
        override: names this charge.
        base: the plan's own price, or None where the plan has no such charge.
        meter: the charge's meter, in the version that prices it.
        currency: the plan's.
    """
    details = override.details
    terms = msgspec.json.encode({key: details[key] for key in PRICE_KEYS if key in details}).decode()
    try:
        if "price" in details:
            return _read_price(override.name, terms, meter.group_by, currency)
        if "rows" in details:
            return _with_rows(override.name, terms, base)
    except DocumentError as error:
        return FaultyOverride(_text(error))
    return None


@lru_cache(maxsize=10_000)
def _read_price(name: str, terms: str, group_by: tuple[str, ...], currency: str) -> Price | None:
    field = _field(name, terms)
    price_field = field.child("price")
    price = read_charge_model(price_field, Surroundings(currency, group_by, {})) if price_field else None
    field.raise_faults()
    return price


def _with_rows(name: str, terms: str, base: Price | None) -> Price | FaultyOverride:
    """The plan's price table with the override's rows in front; its default stays."""
    if not isinstance(base, PerUnit) or base.table is None:
        return FaultyOverride("rows: the plan's charge has no price table to add rows to; give a `price`")
    return _merged(name, terms, _Identity(base.table))


class _Identity:
    """A table by its identity: hashing all of its rows for every look-up would be slow."""

    def __init__(self, table: PriceTable) -> None:
        self.table = table

    def __hash__(self) -> int:
        return id(self.table)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.table is self.table


@lru_cache(maxsize=10_000)
def _merged(name: str, terms: str, base: _Identity) -> Price:
    field = _field(name, terms)
    rows_field = field.child("rows")
    table = base.table
    rows = read_rows(rows_field, table.by) if rows_field else {}
    field.raise_faults()
    return PerUnit(table=PriceTable(table.currency, table.by, {**table.prices, **rows}, table.default))


def _text(error: DocumentError) -> str:
    return "; ".join(f"{fault.field}: {fault.message}" for fault in error.faults)


def _field(name: str, terms: str) -> Field:
    decoded: Mapping[str, object] = msgspec.json.decode(terms)
    return field_of(f"override {name}", decoded)
