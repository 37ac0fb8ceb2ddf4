"""`billing serve` as a process of its own, on a free port of this machine."""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from billing_pipeline.access.scope import Right, Scope
from billing_pipeline.control.api_keys import issue_key
from billing_pipeline.control.clock import now_us
from billing_pipeline.control.database import open_control
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.settings import load_settings

COMMAND = (str(Path(sys.executable).parent / "billing"), "serve", "--port", "0")
WAIT_SECONDS = 60
POLL_SECONDS = 0.02


class Served:
    """A running gateway with one key that may do all. Its log goes to a file."""

    def __init__(
        self, home: Path, command: Sequence[str], variables: Mapping[str, str] | None = None
    ) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BILLING_")}
        environment |= {"BILLING_HOME": str(home), **(variables or {})}
        self.settings = load_settings(environment)
        home.mkdir(parents=True, exist_ok=True)
        self.control = open_control(self.settings.control_url)
        self.key = self.issue(f"app-{secrets.token_hex(4)}")
        self.log_path = home / f"gateway-{secrets.token_hex(4)}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=log)
        self.port = int(self.logged("listening")["port"])
        self.url = f"http://127.0.0.1:{self.port}"

    def issue(self, name: str) -> str:
        """A new key."""
        return issue_key(
            self.control,
            name,
            Scope(frozenset(Right)),
            events_per_second=None,
            expires_at=None,
            now_us=now_us(),
        )

    def connect(self) -> socket.socket:
        """A connection on which nothing has been sent."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS)

    def head(self, length: int, *headers: str) -> bytes:
        """The head of a request that brings a JSON body of so many bytes."""
        lines = [
            "POST /v1/events HTTP/1.1",
            "Host: gateway",
            f"Authorization: Bearer {self.key}",
            "Content-Type: application/json",
            f"Content-Length: {length}",
            *headers,
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def send(self, body: object, key: str | None = None) -> int:
        """The status of a request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        headers = {"authorization": f"Bearer {self.key if key is None else key}"}
        headers["content-type"] = "application/json"
        try:
            connection.request("POST", "/v1/events", json.dumps(body), headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def get(self, path: str) -> int:
        """The status of a route."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self) -> int:
        """Tell it to end, and wait for its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Its exit status."""
        try:
            return self.process.wait(WAIT_SECONDS)
        finally:
            self.close()

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.control.dispose()

    def next_offset(self) -> int:
        """Records in the log."""
        with SqliteQueue(self.settings.queue_path) as queue:
            return queue.next_offset()

    def logged(self, event: str) -> dict[str, Any]:
        """The first line of the log that tells of this, once it is there."""
        for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
            for line in self.log_path.read_text("utf-8").splitlines():
                if f'"event":"{event}"' in line:
                    found: dict[str, Any] = json.loads(line)
                    return found
            if self.process.poll() is not None:
                break
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"{event} was not logged:\n{self.log_path.read_text('utf-8')}")


def read_answer(connection: socket.socket) -> bytes:
    """All that comes until the gateway closes the connection."""
    answer = b""
    try:
        while part := connection.recv(65_536):
            answer += part
    except ConnectionResetError:
        pass
    return answer
