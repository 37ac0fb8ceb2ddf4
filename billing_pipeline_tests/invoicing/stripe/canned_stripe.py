"""A server that answers as it is told, and keeps what it was asked: for adapters over the real SDK."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Answers = dict[str, tuple[int, dict[str, Any]]]
"""By method and path, like `POST /v1/customers`: status and body."""


class CannedStripe:
    """`answers` may be changed while it serves; `requests` are method and path, parameters, headers."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.address = ""


@contextmanager
def canned_stripe() -> Iterator[CannedStripe]:
    """Serve from a thread for as long as the block runs."""
    stripe = CannedStripe()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            parameters = dict(parse_qsl(body or url.query, keep_blank_values=True))
            name = f"{self.command} {url.path}"
            stripe.requests.append((name, parameters, dict(self.headers)))
            status, answer = stripe.answers.get(name, (404, {"error": {"message": f"no {name}"}}))
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the server's own names

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        stripe.address = f"http://127.0.0.1:{server.server_address[1]}"
        yield stripe
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def listed(*objects: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A list of version 1 with one page."""
    return 200, {"object": "list", "data": list(objects), "has_more": False, "url": "/v1/things"}


def refused(message: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    """A 400 as Stripe words it."""
    return 400, {"error": {"type": "invalid_request_error", "message": message, **fields}}
