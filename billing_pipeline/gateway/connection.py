"""One connection to the gateway: uvicorn's protocol, with bounds on slow, large and unread ones."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from billing_pipeline.gateway.limits import ANSWER_SECONDS, HEAD_BYTES, HEAD_SECONDS, WIRE_BYTES
from billing_pipeline.gateway.request_code import RequestCode

_MESSAGE_BYTES = 4 * WIRE_BYTES
"""Of a message with the framing of its chunks, and trailers."""


class Connection(HttpToolsProtocol):
    """Closes where no headers come in time, where they are too long, and where answers are not read.

    `max_connections` and `head_seconds` are those of the server's settings.
    """

    max_connections = 1000
    head_seconds: float = HEAD_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None
        self._head_open = True
        self._message_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Refuse one connection too many; else wait for its first headers."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._end(b"503 Service Unavailable", RequestCode.TOO_MANY_CONNECTIONS, b"retry-after: 1\r\n")
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        self._stop_head_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what a message has, whatever it is."""
        if self.transport.is_closing():
            return
        self._message_bytes += len(data)
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._await_head()  # empty lines begin no message, and end the wait for one
        if self._message_bytes > (HEAD_BYTES if self._head_open else _MESSAGE_BYTES):
            if self._head_open:
                self._end(b"431 Request Header Fields Too Large", RequestCode.HEADERS_TOO_LARGE)
            else:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """Begin to count, and to wait for the headers."""
        super().on_message_begin()
        self._head_open = True
        self._message_bytes = 0
        self._await_head()

    def on_headers_complete(self) -> None:
        """The headers came in time."""
        self._head_open = False
        self._stop_head_timer()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """The client does not read: wait for it, but not for ever."""
        super().pause_writing()
        self._answer_timer = self._answer_timer or self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None
        super().resume_writing()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_too_slow)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._head_timer = None
        self._end(b"408 Request Timeout", RequestCode.HEADERS_TOO_SLOW)

    def _end(self, status: bytes, code: RequestCode, headers: bytes = b"") -> None:
        if self.transport.is_closing():
            return
        body = b'{"error":{"code":"%b","message":"the connection is closed"}}' % code.encode()
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n%b\r\n"
        self.transport.write(head % (status, len(body), headers) + body)
        self.transport.close()
