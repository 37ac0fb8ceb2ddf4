"""The guard from end to end: clients, HTTP, `billing serve`, and a control database on either engine."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from billing_pipeline.errors import GuardDeniedError, GuardRefusedError, UnpricedUsageError
from billing_pipeline.guardrails.async_client import AsyncGuardClient
from billing_pipeline.guardrails.calling.http_calls import Patience
from billing_pipeline.guardrails.client import GuardClient
from billing_pipeline.guardrails.nano import NANO
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline_tests.control_databases import new_control_url
from billing_pipeline_tests.gateway.guarded_company import grant, serving
from billing_pipeline_tests.gateway.served import Served

PATIENT = Patience(timeout_seconds=60, attempt_seconds=30)
OUTPUT = {"model": "atlas-large", "token_class": "output"}
RESERVING = """
import json, sys, threading
from collections import Counter
from billing_pipeline.errors import GuardDeniedError
from billing_pipeline.guardrails.client import GuardClient
from billing_pipeline.guardrails.calling.http_calls import Patience

client = GuardClient(sys.argv[1], sys.argv[2], patience=Patience(timeout_seconds=60, attempt_seconds=30))
found = Counter()

def reserve():
    try:
        client.reserve("bolt", "p", estimate=75)
        found["granted"] += 1
    except GuardDeniedError as error:
        found[error.rule] += 1

threads = [threading.Thread(target=reserve) for _ in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(found))
"""
"""What each of four processes runs."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def gateways(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Served]]:
    """Two of them over one home; each test has a customer of its own."""
    folder = tmp_path_factory.mktemp("served")
    with new_control_url(request.param, folder) as control_url, serving(folder, control_url, 2) as found:
        yield found


def test_20_simultaneous_reservations_of_75_against_500_grant_exactly_6(gateways: list[Served]) -> None:
    """And deny 14, from 20 threads of one client; the balance says what is left."""
    gateway = gateways[0]
    grant(gateway, "acme", 500)
    found: Counter[str] = Counter()
    with GuardClient(gateway.url, gateway.key, patience=PATIENT) as client:

        def reserve() -> None:
            try:
                client.reserve("acme", "p", estimate=75)
                found["granted"] += 1
            except GuardDeniedError as error:
                found[error.rule] += 1

        threads = [threading.Thread(target=reserve) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {"granted": 6, "credit": 14}
        (funds,) = client.balance("acme").funds
        assert (funds.available, funds.held, funds.granted) == (50, 450, 500)


def test_four_processes_and_two_gateways_grant_exactly_6_too(gateways: list[Served]) -> None:
    """Five threads each, half of them through another gateway over the same database."""
    grant(gateways[0], "bolt", 500)
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", RESERVING, served.url, served.key],
            stdout=subprocess.PIPE,
            text=True,
        )
        for served in gateways * 2
    ]
    found: Counter[str] = Counter()
    for client in clients:
        told, _ = client.communicate(timeout=120)
        found.update(json.loads(told))
    assert found == {"granted": 6, "credit": 14}


def test_a_hold_goes_from_usage_to_the_usage_event(gateways: list[Served]) -> None:
    """Priced by the rule book, settled at what was used; what has no price or no customer is refused."""
    gateway = gateways[0]
    grant(gateway, "cobalt", 100 * NANO)
    with GuardClient(gateway.url, gateway.key, patience=PATIENT) as client:
        estimate = Usage(unit="token", quantity="2000000", dimensions=OUTPUT)
        with client.hold("cobalt", "p", "run-7", estimate=estimate, ttl_seconds=60) as hold:
            assert hold.granted is not None
            assert (hold.granted.amount, hold.granted.currency) == (24 * NANO, "usd")
            ended = hold.settle(
                Usage(unit="token", quantity="500000", dimensions=OUTPUT, source="chat", id="1")
            )
        assert ended is not None
        assert (ended.booked, ended.freed) == (6 * NANO, 18 * NANO)
        found = client.balance("cobalt", project_id="p", session_id="run-7")
        assert found.session is not None
        assert (found.funds[0].available, found.session.settled, found.session.steps) == (
            94 * NANO,
            6 * NANO,
            1,
        )
        with pytest.raises(GuardDeniedError, match="unknown_customer"):
            client.reserve("nobody", "p", estimate=1)
        with pytest.raises(GuardDeniedError, match="unknown_project"):
            client.reserve("cobalt", "q", estimate=1)
        with pytest.raises(UnpricedUsageError):
            client.reserve("cobalt", "p", estimate=Usage(unit="unheard-of", quantity="1"))
        assert sent_event(gateway) == ("guard", {"source": "chat", "id": "1", "quantity": "500000"})
        with pytest.raises(GuardRefusedError, match="unauthenticated"):
            GuardClient(gateway.url, "bk_unknown").reserve("cobalt", "p", estimate=1)


def sent_event(gateway: Served) -> tuple[str, dict[str, str]]:
    """Producer and identity of the first usage event in the log, once a chore of the gateway has sent it."""
    with SqliteQueue(gateway.settings.queue_path) as queue:
        for _ in range(600):
            for batch in queue.read_from(0, 100):
                for record in batch.records():
                    event = json.loads(record.payload or "")
                    return batch.producer, {name: event[name] for name in ("source", "id", "quantity")}
            time.sleep(0.1)
    raise AssertionError("no usage event was sent")


def test_holds_of_an_event_loop_outlive_a_gateway_that_is_killed(gateways: list[Served]) -> None:
    """What was granted is settled by another one, once. The last test of its database, as it ends a gateway."""
    first, second = gateways

    async def reserve() -> list[str]:
        async with AsyncGuardClient(first.url, first.key, patience=PATIENT) as client:
            holds = [client.reserve("dune", "p", estimate=10) for _ in range(10)]
            return [each.hold_id for each in await asyncio.gather(*holds)]

    async def settle(holds: list[str]) -> int:
        async with AsyncGuardClient(second.url, second.key, patience=PATIENT) as client:
            ended = await asyncio.gather(*(client.settle(each, 4) for each in holds * 2))
            return sum(each.booked for each in ended)

    grant(first, "dune", 500)
    holds = asyncio.run(reserve())
    first.process.kill()
    first.process.wait()
    assert asyncio.run(settle(holds)) == 80
    with GuardClient(second.url, second.key, patience=PATIENT) as client:
        (funds,) = client.balance("dune").funds
    assert (funds.available, funds.held, funds.spent) == (460, 0, 40)
