"""What the gateway does for the guard beside requests: each chore goes on whatever becomes of the others."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from billing_pipeline.control.clock import now_us
from billing_pipeline.control.database import open_control, writing
from billing_pipeline.control.guard_tables import GUARD_NOTICES, GUARD_OUTBOX
from billing_pipeline.errors import QueueFailedError
from billing_pipeline.gateway.guard_chores import Chore, keep_doing
from billing_pipeline.guardrails.notices.book import notices
from billing_pipeline_tests.commands.guarded_home import control_url
from billing_pipeline_tests.gateway.served import COMMAND, Served
from billing_pipeline_tests.guardrails.notices.receiver import Receiver

SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"  # noqa: S105 - of this test


def doing(door: Any, chores: list[Chore], until: Callable[[], bool]) -> None:
    """Do chores until something is so."""

    async def work() -> None:
        tasks = [asyncio.create_task(keep_doing(door.gateway, chore)) for chore in chores]
        for _ in range(2000):
            if until():
                break
            await asyncio.sleep(0.005)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(work())
    assert until()


def test_a_chore_that_fails_is_counted_and_told_once_and_stops_no_other(door: Any) -> None:
    done = {"good": 0, "bad": 0}

    async def good() -> None:
        done["good"] += 1

    async def bad() -> None:
        done["bad"] += 1
        if done["bad"] <= 3:
            raise ValueError("not now")

    doing(door, [Chore("good", 0.001, good), Chore("bad", 0.001, bad)], lambda: min(done.values()) >= 5)
    assert b'billing_gateway_chore_failures_total{chore="bad"} 3.0' in door.gateway.metrics.text()
    log = door.log()
    assert log.count("chore_failed") == 1
    assert log.count("chore_works_again") == 1


def test_a_chore_that_hangs_holds_up_no_other_and_is_given_up_at_the_end(door: Any) -> None:
    done: list[str] = []

    async def hang() -> None:
        await asyncio.sleep(3600)

    async def close() -> None:
        done.append("closed")

    async def good() -> None:
        done.append("good")

    doing(door, [Chore("hang", 0.001, hang, close), Chore("good", 0.001, good)], lambda: len(done) > 5)
    assert done[-1] == "closed"


def test_a_queue_that_has_failed_ends_the_gateway(door: Any) -> None:
    async def fail() -> None:
        raise QueueFailedError("queue", "no disk")

    doing(door, [Chore("outbox", 0.001, fail)], lambda: door.gateway.failure is not None)


def wait_for(found: Callable[[], bool]) -> None:
    """Until it is so, within bounds."""
    for _ in range(1500):
        if found():
            return
        time.sleep(0.04)
    raise AssertionError("it did not come to be")


def test_a_running_gateway_sends_events_into_the_log_and_notices_to_the_webhook(tmp_path: Path) -> None:
    """Also while the webhook is down at first; and it stops within its time."""
    receiver = Receiver(["500", "200"])
    control = open_control(control_url(tmp_path / "home"))
    event = {
        "type": "usage",
        "schema_version": 2,
        "source": "guard",
        "id": "a:0",
        "customer_id": "acme",
        "project_id": "search",
        "occurred_at": "2026-11-28T12:00:00Z",
        "unit": "token",
        "quantity": "1000",
        "correlation_id": "c",
    }
    now = now_us()
    with writing(control) as connection:
        connection.execute(
            insert(GUARD_OUTBOX), {"hold_id": "a", "payload": json.dumps(event), "created_at": now}
        )
        row = {"kind": "review.breaker", "payload": "{}", "created_at": now, "attempts": 0}
        connection.execute(insert(GUARD_NOTICES), row | {"next_attempt_at": now})
    variables = {"BILLING_WEBHOOK_URL": receiver.url, "BILLING_WEBHOOK_SECRET": SECRET}
    served = Served(tmp_path / "home", COMMAND, variables)
    try:

        def is_sent() -> bool:
            with control.connect() as connection:
                query = select(GUARD_OUTBOX.c.sent_at).where(GUARD_OUTBOX.c.sent_at.is_not(None))
                return connection.execute(query).first() is not None

        wait_for(is_sent)
        wait_for(lambda: notices(control).rows[0].state == "delivered")
        assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1
        assert served.stop() == 0
        assert served.next_offset() == 1
    finally:
        served.close()
        receiver.close()
        control.dispose()


def test_a_gateway_whose_guard_policies_have_faults_takes_events_and_says_why_nothing_is_reserved(
    tmp_path: Path, data_with_faulty_policies: Path
) -> None:
    served = Served(tmp_path / "home", COMMAND, {"BILLING_DATA": str(data_with_faulty_policies)})
    try:
        assert served.get("/readyz") == 200
        assert served.logged("registry_not_read")["kind"] == "DocumentError"
    finally:
        served.close()


@pytest.fixture
def data_with_faulty_policies(tmp_path: Path) -> Path:
    """The project's data, but for a guard document that is none."""
    from billing_pipeline.settings import PROJECT_ROOT

    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("rule_books", "registry.yaml"):
        (folder / name).symlink_to(PROJECT_ROOT / "data" / name)
    (folder / "guard.yaml").write_text("plans: 7\n", "utf-8")
    return folder
