"""A gateway within the test's process, over a real queue, and what producers send to it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from billing_pipeline.access.api_key import (
    ApiKey,
    KeyRing,
    Secret,
    key_text,
    new_key_id,
    new_secret,
    sha256_of,
)
from billing_pipeline.access.scope import Scope
from billing_pipeline.gateway.application import application
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.request_log import RequestLog
from billing_pipeline.ingest.queue_clock import wall_clock_us
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.settings import GatewaySettings
from billing_pipeline_tests.gateway.served import COMMAND, Served

Event = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running gateway with small bounds, for the tests of a module."""
    bounds = {
        "BILLING_GATEWAY_BODY_SECONDS": "2",
        "BILLING_GATEWAY_CONNECTIONS": "40",
        "BILLING_GATEWAY_BUFFER_MB": "64",
        "BILLING_GATEWAY_CLOCK_SECONDS": "1",
    }
    running = Served(tmp_path_factory.mktemp("served") / "home", COMMAND, bounds)
    yield running
    running.close()


@pytest.fixture(scope="session")
def event() -> Event:
    """A usage event of the source `app` for acme, unless told otherwise."""

    def make(event_id: str = "e-1", **fields: object) -> dict[str, Any]:
        return {
            "type": "usage",
            "schema_version": 2,
            "source": "app",
            "id": event_id,
            "customer_id": "acme",
            "project_id": "p",
            "occurred_at": "2026-11-25T10:00:00Z",
            "unit": "token",
            "quantity": "1000",
            "correlation_id": "c",
        } | fields

    return make


@pytest.fixture(scope="session")
def correction() -> Event:
    """A correction that voids an event of the source `app`, unless told otherwise."""

    def make(correction_id: str = "c-1", **fields: object) -> dict[str, Any]:
        return {
            "type": "correction",
            "schema_version": 2,
            "source": "app",
            "id": correction_id,
            "occurred_at": "2026-11-25T10:00:00Z",
            "corrects": {"source": "app", "id": "e-1"},
            "action": "void",
            "reason_code": "metering_error",
        } | fields

    return make


class Door:
    """A gateway with its queue, a client of it, and keys."""

    def __init__(self, folder: Path, log: Path, settings: GatewaySettings) -> None:
        self.log_path = log
        self.clock_us: Callable[[], int] = wall_clock_us
        self.queue = SqliteQueue(folder / "queue.sqlite", wall_clock=self._wall_clock_us)
        self._log = log.open("wb")
        self.failures: list[str] = []
        self.gateway = Gateway(
            self.queue, settings, RequestLog(self._log), on_failure=lambda: self.failures.append("failed")
        )
        self.keys: list[ApiKey] = []
        self.client = TestClient(application(self.gateway), raise_server_exceptions=False)
        self.client.__enter__()  # so that all requests come to one event loop
        self.key = self.issue()

    def issue(self, scope: Scope | None = None, **fields: Any) -> str:
        """A key that the gateway knows."""
        secret = new_secret()
        key = ApiKey(
            key_id=new_key_id(),
            name=f"producer-{len(self.keys)}",
            scope=Scope() if scope is None else scope,
            secrets=(Secret(sha256_of(secret)),),
            **fields,
        )
        self.keys.append(key)
        self.gateway.keys = KeyRing(self.keys)
        return key_text(key.key_id, secret)

    def send(
        self,
        body: bytes | str | dict[str, Any] | list[Any],
        content_type: str | None = "application/json",
        *,
        key: str | None = None,
        query: str = "",
        **headers: str,
    ) -> httpx.Response:
        """Post a body; what is no bytes or text becomes JSON."""
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        sent = {"authorization": f"Bearer {self.key if key is None else key}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            sent["content-type"] = content_type
        return self.client.post(f"/v1/events{query}", content=content, headers=sent)

    def records(self) -> list[tuple[str, str | None]]:
        """Kind and fault code of every record in the log."""
        return [
            (record.kind, record.fault_code)
            for batch in self.queue.read_from(0, 100_000)
            for record in batch.records()
        ]

    def log(self) -> str:
        """What the gateway logged."""
        self.gateway.log.flush()
        return self.log_path.read_text("utf-8")

    def _wall_clock_us(self) -> int:
        return self.clock_us()

    def close(self) -> None:
        """End the queue."""
        self.client.__exit__()
        self.queue.close()
        self._log.close()


@pytest.fixture
def open_door(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    """Makes a gateway under some settings."""
    made: list[Door] = []

    def make(**settings: int) -> Door:
        made.append(Door(tmp_path, tmp_path / "log", GatewaySettings(**settings)))  # type: ignore[arg-type]  # no text
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    """A gateway under the default settings."""
    return open_door()
