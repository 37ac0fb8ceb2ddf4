"""Reads the terms around charges: `discounts`, `minimums` and `maximums` of a plan, an add-on or an override."""

from collections.abc import Callable, Collection, Mapping

from billing_pipeline.rating.book_sections.amounts import (
    read_amount,
    read_description,
    read_off,
    read_scope,
)
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.plan_terms.commitment import Maximum, Minimum
from billing_pipeline.rating.plan_terms.discount import Discount
from billing_pipeline.rating.rule_book import PlanTerm

TERM_KEYS = ("discounts", "minimums", "maximums")
TERMS_MOST = 100


def read_plan_terms(
    keys: Mapping[str, Field], currency: str, charge_names: Collection[str]
) -> tuple[PlanTerm, ...]:
    """The terms of a plan: discounts, then minimums, then maximums, each as listed.

    Args:
        keys: the fields of the mapping in which the terms stand; those of `TERM_KEYS` are read, others left alone.
        currency: the plan's.
        charge_names: its charges and flat fees: what terms may apply to, and what they may not be called.
    """
    found: list[tuple[Field, PlanTerm]] = []
    names = set(charge_names)
    for key, read in _READERS.items():
        for item in keys[key].items(most=TERMS_MOST) if key in keys else ():
            term = read(item, currency, charge_names)
            if term.name in names:
                item.fault(f"{term.name!r} is the name of an earlier charge or term; give it another")
            if term.name:
                names.add(term.name)
            found.append((item, term))
    for index, (item, term) in enumerate(found):
        for _, earlier in found[:index]:
            _compare_scopes(item, term, earlier)
    return tuple(term for _, term in found)


def _compare_scopes(item: Field, term: PlanTerm, earlier: PlanTerm) -> None:
    """Which of two terms counts first is plain only where one scope lies in the other, or they share nothing."""
    one, other = term.applies_to, earlier.applies_to
    if one and other and one & other and not (one <= other or other <= one):
        (item.child("applies_to") or item).fault(
            f"shares {', '.join(sorted(one & other))} with {earlier.name!r}, but neither scope lies in the other;"
            " make one contain the other, or keep them apart"
        )


def _read_discount(item: Field, currency: str, charge_names: Collection[str]) -> Discount:
    keys = item.mapping(required=("name",), optional=("percent", "amount", "applies_to", "description"))
    name = keys["name"].name_text()
    percent, amount = read_off(item, keys, currency)
    scope = read_scope(keys.get("applies_to"), charge_names)
    return Discount(name, percent, amount, scope, read_description(keys, name))


def _read_minimum(item: Field, currency: str, charge_names: Collection[str]) -> Minimum:
    keys = item.mapping(required=("name", "amount"), optional=("applies_to", "prorate", "description"))
    name = keys["name"].name_text()
    return Minimum(
        name=name,
        amount=read_amount(keys["amount"], currency),
        applies_to=read_scope(keys.get("applies_to"), charge_names),
        prorate=_read_prorate(keys.get("prorate"), default=True),
        description=read_description(keys, name),
    )


def _read_maximum(item: Field, currency: str, charge_names: Collection[str]) -> Maximum:
    keys = item.mapping(required=("name", "amount"), optional=("applies_to", "prorate", "description"))
    name = keys["name"].name_text()
    return Maximum(
        name=name,
        amount=read_amount(keys["amount"], currency),
        applies_to=read_scope(keys.get("applies_to"), charge_names),
        prorate=_read_prorate(keys.get("prorate"), default=False),
        description=read_description(keys, name),
    )


def _read_prorate(field: Field | None, *, default: bool) -> bool:
    return default if field is None else field.choice(("true", "false")) == "true"


_READERS: Mapping[str, Callable[[Field, str, Collection[str]], PlanTerm]] = {
    "discounts": _read_discount,
    "minimums": _read_minimum,
    "maximums": _read_maximum,
}
