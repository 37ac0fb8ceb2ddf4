"""Reads the section `meters`: what is counted and how."""

from collections.abc import Mapping
from typing import cast, get_args

from billing_pipeline.rating.charge_models.price_table import DIMENSION_CHARACTERS_MOST, read_dimensions
from billing_pipeline.rating.charge_models.surroundings import PROJECT
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.rule_book import DISTINCT_DIMENSION, DISTINCT_FIELDS, Aggregation, Meter


def read_meter(name: str, field: Field, units: frozenset[str]) -> Meter:
    """One meter, of one of the book's units."""
    keys = field.mapping(
        required=("unit", "aggregation"), optional=("group_by", "filter", "distinct", "description")
    )
    group_by = read_dimensions(keys["group_by"]) if "group_by" in keys else ()
    if PROJECT in group_by:
        keys["group_by"].fault(f"{PROJECT!r} is kept for the project id; rename the dimension")
    taken: dict[str, frozenset[str]] = {}
    if "filter" in keys:
        for dimension, values in keys["filter"].entries(characters_most=DIMENSION_CHARACTERS_MOST).items():
            taken[dimension] = frozenset(item.text() for item in values.items(least=1, most=1000))
    if "description" in keys:
        keys["description"].text(most=2000)
    aggregation = cast("Aggregation", keys["aggregation"].choice(get_args(Aggregation)))
    return Meter(
        name=name,
        unit=keys["unit"].choice(sorted(units)),
        aggregation=aggregation,
        group_by=group_by,
        filter=taken,
        distinct=_read_distinct(keys, aggregation),
    )


def _read_distinct(keys: Mapping[str, Field], aggregation: Aggregation) -> str | None:
    wanted = aggregation == "unique_count"
    if "distinct" not in keys:
        if wanted:
            keys["aggregation"].fault(
                f"counts the values of what? Add `distinct`: one of {', '.join(DISTINCT_FIELDS)} or dimensions.NAME"
            )
        return None
    distinct = keys["distinct"].text(most=len(DISTINCT_DIMENSION) + DIMENSION_CHARACTERS_MOST)
    name = distinct.removeprefix(DISTINCT_DIMENSION)
    if not wanted:
        keys["distinct"].fault(f"is for the aggregation unique_count; {aggregation} has no use for it")
    elif distinct not in DISTINCT_FIELDS and (not distinct.startswith(DISTINCT_DIMENSION) or not name):
        keys["distinct"].fault(
            f"{distinct!r} is none of {', '.join(DISTINCT_FIELDS)} and no dimensions.NAME; name one of these"
        )
    return distinct
