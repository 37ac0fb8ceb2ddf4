"""Usage of the latest days with the plans of its customers: what a rule book is checked against."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.rating.book_gaps.seen_usage import SeenUsage
from billing_pipeline.rating.registered_agreement import agreement_of
from billing_pipeline.schemas.tables import USAGE_ROLLUPS

DAYS = 62
"""Two calendar months: what the open and the last closed usage period hold."""

_SQL = """
SELECT
    customer_id, meter, unit, dimensions, sum(quantity) AS quantity, CAST(sum(event_count) AS BIGINT) AS event_count,
    min(usage_day) AS first_day, max(usage_day) AS last_day
FROM rollups
GROUP BY customer_id, meter, unit, dimensions
HAVING sum(quantity) <> 0
ORDER BY customer_id, meter, unit, dimensions
"""


def seen_usage(workshop: Workshop) -> Iterator[SeenUsage]:
    """What was posted in the last `DAYS` posting days of the lake, by customer, meter and dimensions.

    Customers have the plans and add-ons of their last day of that usage, as the whole log knows them; usage of a
    customer without any is left out.
    """
    posting_days = {file.key.day for file in workshop.lake.files(USAGE_ROLLUPS)}
    if not posting_days:
        return
    first = max(posting_days) - timedelta(days=DAYS - 1)
    with workshop.engine.session() as session:
        registry = registry_until(workshop, session, date.max)
        scan(workshop, session, "rollups", USAGE_ROLLUPS, sorted(day for day in posting_days if day >= first))
        rows: list[tuple[Any, ...]] = session.rows(_SQL)
    for customer_id, group in groupby(rows, itemgetter(0)):
        agreement = agreement_of(registry, customer_id)
        for _, meter, unit, dimensions, quantity, event_count, first_day, last_day in group:
            plan = agreement.plan_on(last_day)
            for name in (*((plan,) if plan else ()), *agreement.add_ons_on(last_day)):
                yield SeenUsage(
                    customer_id=customer_id,
                    plan=name,
                    meter=meter,
                    unit=unit,
                    dimensions=dimensions,
                    quantity=quantity,
                    event_count=event_count,
                    first_day=first_day,
                    last_day=last_day,
                    overrides=agreement.overrides_on(name, last_day),
                )
