"""An agent that repeats itself is stopped, told of and looked into; a person lets it go on; its usage is billed.

All through `billing serve`, under the rules and policies of the project, as it is run.
"""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from billing_pipeline.access.scope import Right, Scope
from billing_pipeline.control.api_keys import issue_key
from billing_pipeline.control.clock import now_us
from billing_pipeline.guardrails.outbox import outbox_status
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline_tests.commands.guarded_home import control_url
from billing_pipeline_tests.gateway.served import COMMAND, Served
from billing_pipeline_tests.guardrails.notices.receiver import Receiver

REGISTRY = """
customers:
  - id: acme
    effective_from: 2026-01-01
    plan: growth
    projects: [search]
"""
SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"  # noqa: S105 - of this test


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def served(tmp_path: Path, receiver: Receiver) -> Iterator[Served]:
    home = tmp_path / "home"
    control_url(home)
    (tmp_path / "registry.yaml").write_text(REGISTRY, "utf-8")
    applied = subprocess.run(
        [COMMAND[0], "registry", "apply", str(tmp_path / "registry.yaml")],
        env={"BILLING_HOME": str(home), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert applied.returncode == 0, applied.stderr
    variables = {"BILLING_WEBHOOK_URL": receiver.url, "BILLING_WEBHOOK_SECRET": SECRET}
    served = Served(home, COMMAND, variables)
    yield served
    served.close()


def wait_for(found: Callable[[], Any]) -> Any:
    """What is found once it is there, within bounds."""
    for _ in range(1500):
        if value := found():
            return value
        time.sleep(0.04)
    raise AssertionError("it did not come to be")


def test_a_loop_is_stopped_told_looked_into_and_let_go_on(served: Served, receiver: Receiver) -> None:
    scope = Scope(frozenset({Right.GUARD_USE, Right.GUARD_ADMIN}))
    key = issue_key(served.control, "ops", scope, events_per_second=None, expires_at=None, now_us=now_us())
    client = httpx.Client(base_url=served.url, timeout=60, trust_env=False)
    keyed = {"authorization": f"Bearer {key}"}

    def reserve(number: int) -> httpx.Response:
        body = {
            "customer_id": "acme",
            "project_id": "search",
            "session_id": "run-7",
            "amount": "2000000",
            "idempotency_key": f"k-{number}",
            "call": "fetch the same page",
        }
        return client.post("/v1/reserve", json=body, headers=keyed)

    wait_for(lambda: client.get("/v1/reviews", headers=keyed).status_code == 200)
    answers = [reserve(number) for number in range(53)]
    kinds = [answer.json() for answer in answers]
    assert [answer.status_code for answer in answers[:50]] == [200] * 50, kinds[0]
    assert "identical_calls" in json.dumps(kinds[50])
    assert "breaker_open" in json.dumps(kinds[51])

    item = wait_for(lambda: client.get("/v1/reviews", headers=keyed).json()["rows"])[0]
    assert (item["kind"], item["scope"]) == ("breaker", "session:acme/run-7")
    told = json.loads(wait_for(lambda: receiver.came)[0][1])
    assert (told["type"], told["data"]["review_id"]) == ("review.breaker", item["review_id"])

    csrf = re.findall(r'name="csrf" value="([^"]+)"', client.get("/console/login").text)[0]
    client.post("/console/login", data={"csrf": csrf, "key": key, "who": "ops@example.com"})
    page = client.get("/console")
    assert "made the same call again and again" in page.text
    customer = client.get("/console/customers/acme").text
    assert "5,000.00 USD" in customer, "the plan's limits are shown"
    assert "<dt>plan</dt><dd>growth</dd>" in customer
    assert "50 times" in customer
    csrf = re.findall(r'name="csrf" value="([^"]+)"', page.text)[0]
    path = f"/console/reviews/{item['review_id']}"
    decided = client.post(path, data={"csrf": csrf, "decision": "resume", "why": "the page had changed"})
    assert decided.status_code == 303

    hold = reserve(100)
    assert hold.status_code == 200
    dimensions = {"model": "atlas-large", "token_class": "output"}
    usage = {"unit": "token", "quantity": "100", "dimensions": dimensions}
    body = {"hold_id": hold.json()["hold_id"], "usage": [usage]}
    settled = client.post("/v1/settle", json=body, headers=keyed)
    assert settled.json()["booked"] == "1200000", "100 tokens of 12.00 USD a million"
    assert reserve(101).status_code == 200, "the breaker is closed again"

    wait_for(lambda: outbox_status(served.control).unsent == 0)
    assert served.stop() == 0
    with SqliteQueue(served.settings.queue_path) as queue:
        sent = [
            record.id
            for batch in queue.read_from(0, 100_000)
            if batch.producer == "guard"
            for record in batch.records()
        ]
    assert sent == [f"{hold.json()['hold_id']}:0"]
