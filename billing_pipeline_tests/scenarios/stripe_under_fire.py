"""The Stripe simulator behind a server that misbehaves as it is told to, in a process of its own.

What is to go wrong stands in the API key (`Fire.key`), so that many cases can share one server and nothing has to be
told to it while they run: `sk_test_CASE.STEP.FAULT.NUMBER.DAY`. The FAULT meets the NUMBERth request of the STEP and no
other. On another DAY Stripe has forgotten all idempotency keys. A key of the form `sk_test_SEED.any.PERMILLE.0.DAY` has
faults by chance instead, at any request.
"""

import json
import os
import random
import socket
import time
from collections import Counter
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Lock
from typing import TYPE_CHECKING

from billing_pipeline.invoicing.simulator.api import Simulator
from billing_pipeline.invoicing.simulator.http_messages import Handler, Request, Response
from billing_pipeline.invoicing.simulator.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

WRITES = ("create_customer", "create_invoice", "add_lines_0", "add_lines_1", "finalize")
READS = ("verify", "verify_lines", "read_back", "read_back_lines")
SECOND_BATCH = "batch-1"
"""Stands in the ids of the lines that go with the second request."""
FAULTS = (
    "rate_limited",
    "conflict",
    "error_stored",
    "applied_error_stored",
    "unavailable",
    "applied_then_hang",
    "applied_then_dropped",
    "dropped_before",
    "slow",
)
STORED = ("error_stored", "applied_error_stored")
"""Faults that only a request with an idempotency key can have."""

CLIENT_TIMEOUT_SECONDS = 0.5
HANG_SECONDS, SLOW_SECONDS = 0.8, 0.1
HITS_PATH = "/hits"


class DroppedError(Exception):
    """The connection is to be closed without an answer."""


@dataclass(frozen=True)
class Orders:
    """What an API key says."""

    case: str
    step: str
    fault: str
    number: int
    day: str

    @staticmethod
    def of(api_key: str | None) -> "Orders":
        """The orders of a request."""
        parts = (api_key or "").removeprefix("sk_test_").split(".")
        if len(parts) != 5:
            return Orders("", "", "", 0, "1")
        case, step, fault, number, day = parts
        return Orders(case, step, fault, int(number), day)

    @property
    def key(self) -> str:
        """The API key that says this."""
        return f"sk_test_{self.case}.{self.step}.{self.fault}.{self.number}.{self.day}"


class Fire:
    """A handler around the simulator's, with faults."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._lock = Lock()
        self._failures: dict[str, Response] = {}
        self._finalized: set[str] = set()
        self._seen: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()
        self._random: dict[str, random.Random] = {}

    def handle(self, request: Request) -> Response:
        """The answer, as the orders want it.

        Raises:
            DroppedError: there is none.
        """
        orders = Orders.of(request.api_key)
        if request.idempotency_key is not None:
            request = replace(request, idempotency_key=f"{request.idempotency_key}@{orders.day}")
            kept = self._failures.get(request.idempotency_key or "")
            if kept is not None:
                return replace(kept, headers={"Idempotent-Replayed": "true"})
        fault = self._fault(orders, request)
        if fault == "":
            return self._answer(request)
        with self._lock:
            self.hits[orders.case] += 1
        return self._go_wrong(fault, request)

    def _fault(self, orders: Orders, request: Request) -> str:
        with self._lock:
            if orders.step == "any":
                chance = self._random.setdefault(orders.case, random.Random(orders.case))
                if chance.randrange(1000) >= int(orders.fault):
                    return ""
                return chance.choice(
                    [fault for fault in FAULTS if request.method == "POST" or fault not in STORED]
                )
            if self._step(request) != orders.step:
                return ""
            self._seen[orders.case] += 1
            return orders.fault if self._seen[orders.case] == orders.number else ""

    def _step(self, request: Request) -> str:
        parts = request.path.removeprefix("/v1/").split("/")
        if request.method == "POST":
            if parts[-1] == "add_lines":
                return "add_lines_1" if SECOND_BATCH in request.form else "add_lines_0"
            names = {"customers": "create_customer", "invoices": "create_invoice", "finalize": "finalize"}
            return names.get(parts[-1], "")
        if parts[0] == "invoices" and len(parts) > 1:
            step = "read_back" if parts[1] in self._finalized else "verify"
            return f"{step}_lines" if parts[-1] == "lines" else step
        return ""

    def _answer(self, request: Request) -> Response:
        response = self._handler(request)
        if request.path.endswith("/finalize") and response.status == 200:
            self._finalized.add(request.path.split("/")[-2])
        return response

    def _go_wrong(self, fault: str, request: Request) -> Response:
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
            return self._answer(request)
        if fault.startswith("applied"):
            self._answer(request)
        if fault == "applied_then_hang":
            time.sleep(HANG_SECONDS)
        if fault in {"applied_then_hang", "applied_then_dropped", "dropped_before"}:
            raise DroppedError
        status = {"rate_limited": 429, "conflict": 409, "unavailable": 503}.get(fault, 500)
        body = json.dumps({"error": {"message": f"{fault}, as ordered", "type": "api_error"}})
        response = Response(status, body, {"Retry-After": "0"} if status == 429 else {})
        if fault in STORED:
            self._failures[request.idempotency_key or ""] = response
        return response


class _Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    starter = 0

    def service_actions(self) -> None:
        if os.getppid() != self.starter:
            os._exit(0)  # whoever has started it is gone


def serve(listener: socket.socket, path: Path, starter: int) -> None:
    """Serve a store on a socket that listens, until the process `starter` ends or this one is killed."""
    fire = Fire(Simulator(Store(path)).handle)

    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def answer(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            try:
                response = self.respond(path, body if self.command == "POST" else query)
            except DroppedError:
                self.close_connection = True
                return
            content = response.body.encode()
            self.send_response(response.status)
            for name, value in {**response.headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def respond(self, path: str, form: str) -> Response:
            if path == HITS_PATH:
                return Response(200, json.dumps(fire.hits))
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            return fire.handle(Request(self.command, path, form, key, self.headers.get("Idempotency-Key")))

        do_GET: "Callable[..., None]" = answer  # noqa: N815 - the library's names
        do_POST: "Callable[..., None]" = answer  # noqa: N815 - as above
        do_DELETE: "Callable[..., None]" = answer  # noqa: N815 - as above

        def log_message(self, *_arguments: object) -> None:
            """Say nothing: faults are meant."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                return  # the client was killed, or went away after its timeout

    server = _Server(listener.getsockname(), Connection, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.starter = starter
    server.serve_forever(poll_interval=0.2)
