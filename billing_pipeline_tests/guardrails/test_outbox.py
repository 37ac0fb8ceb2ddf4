"""The outbox: every usage event of a settle reaches the log, whatever dies in between."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from billing_pipeline.contract.log_lines import Body
from billing_pipeline.control.database import writing
from billing_pipeline.control.guard_tables import GUARD_NOTICES, GUARD_OUTBOX
from billing_pipeline.errors import QueueFullError
from billing_pipeline.guardrails.outbox import OutboxSender, outbox_status
from billing_pipeline.ingest.sqlite_queue import SqliteQueue

AT = 1_795_867_200_000_000


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[SqliteQueue]:
    with SqliteQueue(tmp_path / "queue.sqlite") as queue:
        yield queue


def event(number: int, **fields: object) -> dict[str, Any]:
    """A usage event as a settle writes it."""
    return {
        "type": "usage",
        "schema_version": 2,
        "source": "guard",
        "id": f"{number:032x}:0",
        "customer_id": "acme",
        "project_id": "search",
        "occurred_at": "2026-11-28T12:00:00Z",
        "unit": "token",
        "quantity": "1000",
        "correlation_id": "c",
    } | fields


def put(control: Engine, *events: dict[str, Any] | str) -> None:
    """Write events as settles do."""
    with writing(control) as connection:
        for number, each in enumerate(events):
            payload = each if isinstance(each, str) else json.dumps(each)
            row = {"hold_id": f"{number:032x}", "payload": payload, "created_at": AT}
            connection.execute(insert(GUARD_OUTBOX), row)


def logged(queue: SqliteQueue) -> list[tuple[str, str, str | None]]:
    """Producer, kind and id of every record in the log."""
    return [
        (batch.producer, record.kind, record.id)
        for batch in queue.read_from(0, 100_000)
        for record in batch.records()
    ]


def unsent(control: Engine) -> int:
    with control.connect() as connection:
        return len(connection.execute(select(GUARD_OUTBOX).where(GUARD_OUTBOX.c.sent_at.is_(None))).all())


def test_events_reach_the_log_once_in_their_order(control: Engine, queue: SqliteQueue) -> None:
    put(control, *(event(number) for number in range(2500)))
    sender = OutboxSender(control, queue)
    assert (outbox_status(control).unsent, outbox_status(control).oldest_at) == (2500, AT)
    assert (sender.send(), sender.send()) == (2500, 0)
    assert logged(queue) == [("guard", "usage", f"{number:032x}:0") for number in range(2500)]
    assert (outbox_status(control).unsent, outbox_status(control).oldest_at) == (0, None)


def test_an_event_that_the_door_refuses_is_told_once_with_its_reason_and_stops_no_other(
    control: Engine, queue: SqliteQueue
) -> None:
    put(control, event(1, quantity="-1"), event(2), "no json")
    assert OutboxSender(control, queue).send() == 1
    assert [found[1:] for found in logged(queue)] == [("usage", f"{2:032x}:0")]
    assert unsent(control) == 0
    with control.connect() as connection:
        told = connection.execute(select(GUARD_NOTICES).order_by(GUARD_NOTICES.c.id)).mappings().all()
    payloads = [json.loads(row["payload"]) for row in told]
    assert [row["kind"] for row in told] == ["outbox_refused", "outbox_refused"]
    assert [(each["outbox_id"], each["field"]) for each in payloads] == [(1, "quantity"), (3, "")]


def test_events_that_are_not_plain_go_through_the_whole_contract(control: Engine, queue: SqliteQueue) -> None:
    put(control, event(1, user_id="jörg"), event(2, session_id="a\nb"))
    OutboxSender(control, queue).send()
    assert [found[1] for found in logged(queue)] == ["usage"]


def test_what_the_log_did_not_take_stays_unsent(control: Engine) -> None:
    class FullQueue:
        def submit(self, producer: str, body: Body) -> Future[range]:
            raise QueueFullError(body.count, len(producer))

    put(control, event(1))
    with pytest.raises(QueueFullError):
        OutboxSender(control, FullQueue()).send()  # type: ignore[arg-type]  # all that is asked of it
    assert unsent(control) == 1


def test_several_senders_together_send_everything(control: Engine, queue: SqliteQueue) -> None:
    put(control, *(event(number) for number in range(3000)))
    with ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(OutboxSender(control, queue).send) for _ in range(4)]
        total = sum(each.result() for each in senders)
    OutboxSender(control, queue).send()
    assert unsent(control) == 0
    assert {found[2] for found in logged(queue)} == {f"{number:032x}:0" for number in range(3000)}
    assert total <= 3000


KILLED = """
import os, signal, sys
from pathlib import Path
from billing_pipeline.control.database import open_control
from billing_pipeline.guardrails.outbox import OutboxSender, outbox_status
from billing_pipeline.ingest.sqlite_queue import SqliteQueue

class Dying(OutboxSender):
    def _mark(self, connection, batch):
        os.kill(os.getpid(), signal.SIGKILL)

Dying(open_control(sys.argv[1]), SqliteQueue(Path(sys.argv[2]))).send()
"""


def test_a_sender_killed_between_log_and_mark_sends_the_same_again(
    control: Engine, migrated_url: str, tmp_path: Path, event_ids: Callable[[Path], list[str | None]]
) -> None:
    put(control, event(1), event(2))
    path = tmp_path / "killed.sqlite"
    died = subprocess.run(
        [sys.executable, "-c", KILLED, migrated_url, str(path)], env=os.environ, check=False
    )
    assert died.returncode == -signal.SIGKILL
    assert unsent(control) == 2
    with SqliteQueue(path) as queue:
        for _ in range(500):  # PostgreSQL lets the rows of a lost connection go as soon as it has noticed
            if OutboxSender(control, queue).send():
                break
            time.sleep(0.02)
    assert event_ids(path) == [f"{number:032x}:0" for number in (1, 2, 1, 2)]


@pytest.fixture
def event_ids() -> Callable[[Path], list[str | None]]:
    """The ids in a queue's file."""

    def read(path: Path) -> list[str | None]:
        with SqliteQueue(path) as queue:
            return [found[2] for found in logged(queue)]

    return read
