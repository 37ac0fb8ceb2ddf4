"""The writer ends what is due by itself, however much that is."""

import time
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select

from billing_pipeline.control.guard_tables import GUARD_HOLDS
from billing_pipeline.guardrails import ledger_writer
from billing_pipeline_tests.guardrails.made_ledger import MadeLedger

PATIENCE_SECONDS = 60


def test_a_sweep_goes_on_until_nothing_is_due(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five holds are due and one transaction ends two; the next sweep would be an hour later."""
    passed = [0.0]
    monkeypatch.setattr(ledger_writer, "SWEEP_MOST", 2)
    monkeypatch.setattr(ledger_writer, "time", SimpleNamespace(monotonic=lambda: passed[0]))
    ledger = MadeLedger(migrated_url)
    try:
        for number in range(5):
            ledger.reserve(f"k{number}", ttl_seconds=1)
        ledger.clock.pass_seconds(3600)
        passed[0] = 3600.0
        ledger.reserve("wakes the writer")
        open_holds = select(func.count()).where(GUARD_HOLDS.c.state == "pending").select_from(GUARD_HOLDS)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (left := ledger.rows(open_holds)[0]["count_1"]) > 1:
            assert time.monotonic() < deadline, f"{left - 1} holds are left open"
            time.sleep(0.01)
    finally:
        ledger.close()
