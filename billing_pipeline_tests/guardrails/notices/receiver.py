"""A webhook's receiver on this machine that does what a test wants: answers, fails, hangs, drips or hangs up."""

import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """Answers each request by the next of `ways` (the last one for good), and keeps what came."""

    ways: list[str] = field(default_factory=lambda: ["200"])
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=t"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = handler.rfile.read(int(handler.headers["content-length"]))
        with self.lock:
            self.came.append(({name.lower(): value for name, value in handler.headers.items()}, body))
            way = self.ways.pop(0) if len(self.ways) > 1 else self.ways[0]
        match way:
            case "hang":
                self.stopped.wait(20)
            case "drop":
                handler.connection.shutdown(socket.SHUT_RDWR)
            case "drip":
                while not self.stopped.wait(0.05):
                    try:
                        handler.wfile.write(b"H")
                    except OSError:
                        return
            case "redirect":
                handler.send_response(302)
                handler.send_header("location", self.url)
                handler.end_headers()
            case status:
                handler.send_response(int(status))
                handler.send_header("content-length", "0")
                handler.end_headers()

    def close(self) -> None:
        """End it."""
        self.stopped.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
