"""A gateway within the test's process in which people work on what the guard has stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
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
from billing_pipeline.access.scope import Right, Scope
from billing_pipeline.control.database import open_control
from billing_pipeline.gateway.application import application
from billing_pipeline.gateway.desk import Desk
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.request_log import RequestLog
from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline.guardrails.operators import OperatorPrices, OperatorTerms
from billing_pipeline.guardrails.store.opening import open_store
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.settings import GatewaySettings


class DeskDoor:
    """A gateway with a desk over a control database, a client of it, and keys."""

    def __init__(self, folder: Path, url: str) -> None:
        self.control = open_control(url)
        self.ledger = LedgerWriter(open_store(url), OperatorTerms(), OperatorPrices(), sweep_seconds=3600)
        self.queue = SqliteQueue(folder / "queue.sqlite")
        self._log = (folder / "log").open("wb")
        self.log_path = folder / "log"
        self.gateway = Gateway(
            self.queue, GatewaySettings(), RequestLog(self._log), desk=Desk(self.control, self.ledger)
        )
        self.keys: list[ApiKey] = []
        self.client = TestClient(
            application(self.gateway), raise_server_exceptions=False, follow_redirects=False
        )
        self.client.__enter__()  # so that all requests come to one event loop
        self.key = self.issue()

    def issue(self, *rights: Right, customers: frozenset[str] | None = None) -> str:
        """A key that the gateway knows; of an operator unless told otherwise."""
        secret = new_secret()
        key = ApiKey(
            key_id=new_key_id(),
            name=f"ops-{len(self.keys)}",
            scope=Scope(frozenset(rights or (Right.GUARD_ADMIN,)), customers),
            secrets=(Secret(sha256_of(secret)),),
        )
        self.keys.append(key)
        self.gateway.keys = KeyRing(self.keys)
        return key_text(key.key_id, secret)

    def ask(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        """The answer of a route."""
        headers = {"authorization": f"Bearer {self.key if key is None else key}"}
        return self.client.request(method, path, headers=headers, **options)

    def log(self) -> str:
        """What the gateway logged."""
        self.gateway.log.flush()
        return self.log_path.read_text("utf-8")

    def close(self) -> None:
        """End it."""
        self.client.__exit__()
        self.ledger.close()
        self.queue.close()
        self.control.dispose()
        self._log.close()


Open = Callable[[], DeskDoor]
