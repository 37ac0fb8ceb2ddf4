"""Which meters take a usage, and by which dimensions they keep it apart. Pure; the guard asks the same question."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from billing_pipeline.rating.rule_book import DISTINCT_DIMENSION, Meter, RuleBook


@dataclass(frozen=True)
class Metered:
    """One meter that takes a usage.

    `grouped_dimensions` is canonical JSON text of the dimensions it keeps apart; `distinct_dimension` the value of the
    dimension whose values it counts, if it does that and the usage has it.
    """

    meter: Meter
    grouped_dimensions: str
    distinct_dimension: str | None = None


def taken_by(book: RuleBook, unit: str, dimensions_text: str) -> Iterator[Metered]:
    """The meters of a rule book that take a usage of this unit and these dimensions (canonical JSON text).

    A filter on a dimension takes only events that have it, with one of the listed values. A grouping dimension that
    the event does not have is left out of the group.
    """
    dimensions: dict[str, str] = json.loads(dimensions_text)
    for meter in book.meters.values():
        if meter.unit != unit:
            continue
        if any(dimensions.get(name) not in values for name, values in meter.filter.items()):
            continue
        kept = {name: dimensions[name] for name in meter.group_by if name in dimensions}
        grouped = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        distinct = meter.distinct or ""
        value = (
            dimensions.get(distinct.removeprefix(DISTINCT_DIMENSION))
            if distinct.startswith(DISTINCT_DIMENSION)
            else None
        )
        yield Metered(meter, grouped, value)
