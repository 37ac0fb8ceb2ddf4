"""Amounts that events carry in a dimension: the price of a unit, or the amount of money that a fee is taken of."""

import re
from decimal import Decimal
from functools import lru_cache

from billing_pipeline.rating.charge_models.price import NoPrice, dimension_values
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.document import Field

_PLAIN = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]*[1-9])?0*)?")


@lru_cache(maxsize=100_000)
def carried_amount(
    dimensions: str, name: str, integer_digits: int, fraction_digits: int
) -> Decimal | NoPrice:
    """The amount in a dimension of a row, exactly as written; no price where there is none to be read.

    Args:
        dimensions: canonical JSON text.
        name: the dimension; its value is a plain decimal >= 0, such as `12.50`.
        integer_digits: at most so many before the point.
        fraction_digits: at most so many after it, trailing zeros not counted.
    """
    text = dimension_values(dimensions).get(name)
    found = _PLAIN.fullmatch(text) if text is not None and not text.endswith(".") else None
    if found is None:
        return NoPrice(f"{name}={text}")
    whole, fraction = found[1], found[2] or ""
    if len(whole) > integer_digits or len(fraction) > fraction_digits:
        return NoPrice(f"{name}={text}")
    return Decimal(f"{whole}.{fraction}" if fraction else whole)


def read_amount_dimension(field: Field, around: Surroundings) -> str:
    """The name of a dimension that the meter groups by; "" where it is none."""
    name = field.text()
    if name and name not in around.group_by:
        field.fault(f"the meter does not group by {name!r}; add it to the meter's group_by")
    return name
