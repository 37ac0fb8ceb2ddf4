"""The usage that rule books are checked against is that of the rollups, with the plans its customers have."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.invoicing.lines.seen_usage import seen_usage
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline


def test_usage_of_the_latest_days_comes_with_plan_add_ons_and_overrides(
    pipeline: Pipeline,
    usage: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    meter: Callable[..., StageResult],
) -> None:
    """What was used before the last two months is left out, and so are customers without a plan."""
    early, old, new = "2026-01-01T12:00:00Z", "2026-07-31T12:00:00Z", "2026-10-05T12:00:00Z"
    deal: dict[str, Any] = {"name": "deal", "charge": "llm_tokens", "rows": []}
    log = [
        *((early, record) for record in registered()),
        *((early, record) for record in registered("beta", plan=None)),
        (early, change("add_on_assignment", "acme/priority", "assign")),
        (early, change("contract_override", "acme", "override", **deal)),
        (old, usage("old", old, dimensions={"model": "atlas-small", "token_class": "output"})),
        (new, usage("one", new)),
        (new, usage("two", new, quantity="0.5")),
        (new, usage("none", new, customer_id="beta")),
    ]
    receive(pipeline, log)
    assert list(seen_usage(pipeline.workshop)) == []
    meter(pipeline, [date(2026, 1, 1), date(2026, 7, 31), date(2026, 10, 5)])
    found = list(seen_usage(pipeline.workshop))
    assert [(each.customer_id, each.plan) for each in found] == [("acme", "growth"), ("acme", "priority")]
    first = found[0]
    assert (first.meter, first.unit, first.event_count) == ("llm_tokens", "token", 2)
    assert first.dimensions == '{"model":"atlas-large","token_class":"output"}'
    assert first.quantity == Decimal("1000.5")
    assert (first.first_day, first.last_day) == (date(2026, 10, 5), date(2026, 10, 5))
    assert [override.name for override in first.overrides] == ["deal"]
