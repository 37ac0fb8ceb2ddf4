"""What a charge model knows of its surroundings when its terms are read."""

from collections.abc import Mapping
from dataclasses import dataclass

from billing_pipeline.rating.charge_models.price_table import PriceTable
from billing_pipeline.rating.document import Field

PROJECT = "project"
"""In `tier_by`: each project has a pool of its own."""


@dataclass(frozen=True)
class Surroundings:
    """The plan's currency, the dimensions of the charge's meter, and the price tables of the rule book."""

    currency: str
    group_by: tuple[str, ...]
    price_tables: Mapping[str, PriceTable]


def read_tier_by(field: Field | None, around: Surroundings) -> tuple[str, ...]:
    """The dimensions (of the meter's `group_by`) and `project` that have a pool each."""
    if field is None:
        return ()
    known = (*around.group_by, PROJECT)
    return tuple(item.choice(known) for item in field.items(most=len(known)))
