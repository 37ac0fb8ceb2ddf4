"""The chores of `billing serve` that look at spend: what they do, and what the metrics say of it."""

import asyncio
from pathlib import Path

from sqlalchemy import func, select

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.contract.log_lines import body_of
from billing_pipeline.control.clock import now_us
from billing_pipeline.control.guard_tables import GUARD_STOPS, GUARD_WINDOWS
from billing_pipeline.gateway.guard_chores import watching_chores
from billing_pipeline.gateway.metrics import Metrics
from billing_pipeline.guardrails.terms import VelocityTerms
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline_tests.guardrails.made_ledger import MadeLedger, PriceByUnit, made_terms
from billing_pipeline_tests.guardrails.unguarded.test_seen_usage import EVENT, line_of


def test_usage_that_never_asked_is_counted_and_pauses(ledger: MadeLedger, tmp_path: Path) -> None:
    """From the log to a pause in one round of the chores; what has no price is told by the metrics."""
    ledger.terms.for_all = made_terms(velocity=VelocityTerms(spend_per_minute=1_500_000))
    ledger.clock.at_us = now_us()
    metrics = Metrics()
    with SqliteQueue(tmp_path / "queue.sqlite") as queue:
        follow, judge = watching_chores(
            ledger.engine, queue, ledger.writer, ledger.terms, PriceByUnit(), metrics=metrics
        )
        asyncio.run(follow.run())  # type: ignore[arg-type]  # each is a coroutine
        events = [
            EVENT | {"id": name, "unit": unit, "occurred_at": instant_text(now_us())}
            for name, unit in (("one", "token"), ("two", "token"), ("three", "second"))
        ]
        queue.submit("product", body_of(map(line_of, events))).result()
        asyncio.run(follow.run())  # type: ignore[arg-type]  # as above
        asyncio.run(judge.run())  # type: ignore[arg-type]  # as above
    with ledger.engine.connect() as connection:
        query = select(func.sum(GUARD_WINDOWS.c.unguarded)).where(
            GUARD_WINDOWS.c.scope == "customer:acme", GUARD_WINDOWS.c.time_window == "day"
        )
        assert connection.execute(query).scalar_one() == 2_001_000
        assert connection.execute(select(GUARD_STOPS.c.scope)).scalars().all() == ["project:acme/p"]
    text = metrics.text().decode()
    assert 'billing_guard_log_events_total{outcome="counted"} 2.0' in text
    assert 'billing_guard_log_events_total{outcome="unpriced"} 1.0' in text
    assert "billing_guard_velocity_pauses_total 1.0" in text
