"""Reads one charge: a meter's quantity at a price, or a flat fee."""

from collections.abc import Mapping

from billing_pipeline.rating.book_sections.amounts import check_billable, read_description
from billing_pipeline.rating.charge_models.by_name import CHARGE_MODELS, read_charge_model
from billing_pipeline.rating.charge_models.price_table import PriceTable
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.plan_terms.flat_fee import FlatFee, read_flat_fee
from billing_pipeline.rating.rule_book import Charge, Meter

FLAT_FEE = "flat_fee"


def read_charge(
    item: Field, currency: str, meters: Mapping[str, Meter], tables: Mapping[str, PriceTable]
) -> Charge | FlatFee | None:
    """`{name, meter, price, description?}`, or without `meter` where the price's model is `flat_fee`.

    Returns:
        None where it is faulty; the faults are noted.
    """
    keys = item.mapping(required=("name", "price"), optional=("meter", "description"))
    name = keys["name"].name_text()
    description = read_description(keys, name)
    model = read_model(keys["price"])
    if model == FLAT_FEE:
        if "meter" in keys:
            keys["meter"].fault(f"a {FLAT_FEE} is due whatever is used; remove the meter")
        return read_fee_price(keys["price"], name, description, currency)
    if "meter" not in keys:
        if model:
            item.fault(f"has no `meter`; only a {FLAT_FEE} has none, name the meter whose quantity it prices")
        return None
    meter = meters.get(keys["meter"].choice(sorted(meters)))
    if meter is None or not model:
        return None
    price = read_charge_model(keys["price"], Surroundings(currency, meter.group_by, tables))
    return Charge(name, meter.name, price, description) if price else None


def read_model(price: Field) -> str:
    """The name of a price's charge model, or `flat_fee`; "" where it has none that is known."""
    known = (*CHARGE_MODELS, FLAT_FEE)
    model = price.child("model")
    if model is None:
        price.fault(f"has no `model`; give one of {', '.join(known)}")
        return ""
    return model.choice(known)


def read_fee_price(price: Field, name: str, description: str, currency: str) -> FlatFee:
    """A price whose model is `flat_fee`, in amounts that the currency can bill."""
    fee = read_flat_fee(price, name, description)
    amount = price.child("amount")
    if amount is not None:
        check_billable(amount, fee.amount, currency)
    return fee
