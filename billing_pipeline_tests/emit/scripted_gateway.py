"""A small gateway on 127.0.0.1 that answers by a script."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = list[dict[str, Any]]
Reply = tuple[int, dict[str, str], object]
"""Status, headers, and what becomes JSON (bytes go out as they are)."""
Step = Reply | Callable[[Body], Reply]


def accepted(body: Body) -> Reply:
    return 202, {}, {"accepted": len(body), "refused": 0}


def failed(status: int, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, {"error": {"code": "scripted", "message": "as the test wants it"}}


def refusing(*ids: str) -> Callable[[Body], Reply]:
    def reply(body: Body) -> Reply:
        errors = [
            {
                "index": index,
                "code": "missing_field",
                "field": "unit",
                "value": None,
                "message": "unit must be given",
            }
            for index, event in enumerate(body)
            if event["id"] in ids
        ]
        status = 207 if len(errors) < len(body) else 422
        return status, {}, {"accepted": len(body) - len(errors), "refused": len(errors), "errors": errors}

    return reply


@dataclass
class ScriptedGateway:
    """Takes one step of the script for each request, then accepts everything."""

    url: str = ""
    script: list[Step] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, headers: dict[str, str], raw: bytes) -> Reply:
        data = gzip.decompress(raw) if headers.get("content-encoding") == "gzip" else raw
        body = [json.loads(line) for line in data.splitlines()]
        with self.lock:
            self.paths.append(path)
            self.headers.append(headers)
            self.bodies.append(body)
            step: Step = self.script.pop(0) if self.script else accepted
        return step(body) if callable(step) else step

    def ids(self) -> list[list[str]]:
        """The ids of each request."""
        return [[event["id"] for event in body] for body in self.bodies]


@contextmanager
def serving(scripted: ScriptedGateway) -> Iterator[ScriptedGateway]:
    """Answers on a free port of 127.0.0.1 while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, extra, value = scripted.answer(self.path, headers, raw)
            if status == 0:  # the script wants the connection to break
                self.close_connection = True
                return
            out = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in extra.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    scripted.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield scripted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
