"""Producers, a gateway and a lander that are killed at random moments; and what became of every event.

The gateway is the `billing serve` command and the lander lands over and over, each in a process of its own, forked
from one that has imported everything. Producers send batches over plain HTTP and send a batch again, with the same
ids, until it is acknowledged.
"""

import http.client
import json
import multiprocessing
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.control.clock import now_us

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

PATIENCE_SECONDS = 60.0
_IMPORTED = ["billing_pipeline.commands.serve", "billing_pipeline.pipeline", __name__]


@dataclass
class Fate:
    """What the producers know: every id they sent, and those that were acknowledged."""

    sent: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    resent_batches: int = 0
    refusals: dict[int, int] = field(default_factory=dict)
    """Answers that acknowledged nothing, by status."""


class Fire:
    """The processes under fire. Use it as a context manager: it leaves none behind.

    Args:
        environment: tells the processes their home.
        key: an API key of the home.
        producers: threads that send at once.
    """

    def __init__(self, environment: dict[str, str], key: str, *, producers: int = 4, seed: int = 1) -> None:
        self.fate = Fate()
        self._environment = environment
        self._key = key
        self._random = random.Random(seed)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_IMPORTED)
        self._port = free_port()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._producers = [
            threading.Thread(target=self._produce, args=(number,), name=f"producer {number}", daemon=True)
            for number in range(producers)
        ]
        self._processes: dict[Callable[..., None], BaseProcess] = {}

    def __enter__(self) -> Self:
        for target in (serve, land_on_and_on):
            self._start(target)
        for producer in self._producers:
            producer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for process in self._processes.values():
            process.kill()
            process.join()

    def kill_one(self, longest_seconds: float) -> None:
        """Kill the gateway or the lander a random while after a batch got through, and start it again at once."""
        self._wait_for_acknowledgement()
        time.sleep(self._random.uniform(0.0, longest_seconds))
        target = self._random.choice([serve, land_on_and_on])
        process = self._processes[target]
        process.kill()
        process.join()
        self._start(target)

    def finish(self) -> None:
        """Let every producer have its last batch acknowledged; stop the gateway and the lander as one should."""
        self._stopping.set()
        for producer in self._producers:
            producer.join(PATIENCE_SECONDS)
            assert not producer.is_alive(), "a producer waits for an acknowledgement that does not come"
        self._processes.pop(land_on_and_on).kill()
        gateway = self._processes.pop(serve)
        gateway.terminate()
        gateway.join(PATIENCE_SECONDS)
        assert gateway.exitcode == 0

    def _wait_for_acknowledgement(self) -> None:
        before = len(self.fate.acknowledged)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.fate.acknowledged) == before:
            assert time.monotonic() < deadline, "nothing gets through any more"
            time.sleep(0.002)

    def _start(self, target: Callable[..., None]) -> None:
        process = self._context.Process(target=target, args=(self._environment, self._port), daemon=True)
        process.start()
        self._processes[target] = process

    def _produce(self, number: int) -> None:
        draw = random.Random(number)
        batch = 0
        while not self._stopping.is_set():
            ids = [f"{number}/{batch}/{place}" for place in range(draw.randint(1, 20))]
            body = json.dumps([made_event(name) for name in ids]).encode()
            with self._lock:
                self.fate.sent.update(ids)
            if not self._send_until_acknowledged(body):
                return
            with self._lock:
                self.fate.acknowledged.update(ids)
            batch += 1

    def _send_until_acknowledged(self, body: bytes) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        again = False
        while time.monotonic() < deadline:
            with self._lock:
                self.fate.resent_batches += again
            again = True
            try:
                status = post(self._port, self._key, body)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
                continue
            if status == http.client.ACCEPTED:
                return True
            with self._lock:
                self.fate.refusals[status] = self.fate.refusals.get(status, 0) + 1
            time.sleep(0.02)
        return False


def serve(environment: dict[str, str], port: int) -> None:
    """Be a gateway until the end; its log goes nowhere."""
    from billing_pipeline.cli import billing

    os.environ.update(environment)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device, by its name
        os.dup2(nowhere.fileno(), 2)
    billing.main(["serve", "--port", str(port)], standalone_mode=False)


def land_on_and_on(environment: dict[str, str], _port: int) -> None:
    """Land whatever the queue holds, over and over."""
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    os.environ.update(environment)
    pipeline = Pipeline(load_settings())
    while True:
        with pipeline.queue() as queue:
            pipeline.lander(queue).land()
        time.sleep(0.05)


def post(port: int, key: str, body: bytes) -> int:
    """Send one request of its own connection; the status of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        connection.request("POST", "/v1/events", body, headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def made_event(name: str) -> dict[str, Any]:
    """A usage event of acme's project p that occurred now."""
    return {
        "id": name,
        "source": "product",
        "type": "usage",
        "schema_version": 2,
        "customer_id": "acme",
        "project_id": "p",
        "occurred_at": instant_text(now_us()),
        "unit": "call",
        "quantity": "1",
        "dimensions": {"tool": "search"},
        "correlation_id": name,
    }


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
