"""Reads the sections `plans` and `add_ons`: a currency, charges, and the terms around them."""

from collections.abc import Collection, Mapping

from billing_pipeline.rating.book_sections.amounts import read_currency
from billing_pipeline.rating.book_sections.charges import read_charge
from billing_pipeline.rating.book_sections.terms import TERM_KEYS, read_plan_terms
from billing_pipeline.rating.charge_models.price_table import PriceTable
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.plan_terms.flat_fee import FlatFee
from billing_pipeline.rating.rule_book import Charge, Meter, Plan

CHARGES_MOST = 1000
TRIAL_DAYS_MOST = 3660
_OPTIONAL = ("description", "not_charged", *TERM_KEYS)


def read_plan(name: str, field: Field, meters: Mapping[str, Meter], tables: Mapping[str, PriceTable]) -> Plan:
    """One plan of the book."""
    return _read(name, field, meters, tables, ("trial_days",))


def read_add_on(
    name: str,
    field: Field,
    meters: Mapping[str, Meter],
    tables: Mapping[str, PriceTable],
    plans: Collection[str],
) -> Plan:
    """One add-on: like a plan, without a free trial. Lines name plan or add-on, so it has a name of its own."""
    if name in plans:
        field.fault(f"{name!r} is the name of a plan; give the add-on another")
    trial = field.child("trial_days")
    if trial is not None:
        trial.fault("is for plans; an add-on has no free trial, remove it")
    return _read(name, field, meters, tables, () if trial is None else ("trial_days",))


def _read(
    name: str,
    field: Field,
    meters: Mapping[str, Meter],
    tables: Mapping[str, PriceTable],
    further: tuple[str, ...],
) -> Plan:
    keys = field.mapping(required=("currency", "charges"), optional=(*_OPTIONAL, *further))
    currency = read_currency(keys["currency"])
    charges: dict[str, Charge | FlatFee] = {}
    for item in keys["charges"].items(most=CHARGES_MOST):
        charge = read_charge(item, currency, meters, tables)
        if charge and charge.name in charges:
            item.fault(f"{charge.name!r} is the name of an earlier charge; give it another")
        elif charge:
            charges[charge.name] = charge
    priced = tuple(charge for charge in charges.values() if isinstance(charge, Charge))
    return Plan(
        name=name,
        currency=currency,
        charges=priced,
        not_charged=_read_not_charged(keys.get("not_charged"), meters, {charge.meter for charge in priced}),
        flat_fees=tuple(charge for charge in charges.values() if isinstance(charge, FlatFee)),
        terms=read_plan_terms(keys, currency, charges),
        trial_days=keys["trial_days"].whole(least=0, most=TRIAL_DAYS_MOST) if "trial_days" in keys else 0,
        description=keys["description"].text(most=2000) if "description" in keys else "",
    )


def _read_not_charged(
    field: Field | None, meters: Mapping[str, Meter], charged: Collection[str]
) -> frozenset[str]:
    found: set[str] = set()
    for item in field.items(most=CHARGES_MOST) if field else ():
        meter = item.choice(sorted(meters))
        if meter in charged:
            item.fault(f"{meter!r} has a charge in this plan; remove one of the two")
        found.add(meter)
    return frozenset(found)
