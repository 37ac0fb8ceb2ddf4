"""The gateway's log: a line of JSON per request or happening; never a payload, never a secret."""

import asyncio
import sys
from typing import BinaryIO

import msgspec

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.ingest.queue_clock import wall_clock_us

_FLUSH_SECONDS = 0.1
_ENCODER = msgspec.json.Encoder()


class RequestLog:
    """Writes lines to a stream: at once outside an event loop, several together within one."""

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream
        self._waiting: list[bytes] = []

    def info(self, event: str, **fields: object) -> None:
        """Say that something happened."""
        self._write("info", event, fields)

    def problem(self, event: str, **fields: object) -> None:
        """Say that something is wrong."""
        self._write("error", event, fields)
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        lines, self._waiting = self._waiting, []
        if lines:
            stream = self._stream or sys.stderr.buffer
            stream.write(b"".join(lines))
            stream.flush()

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        line = {"at": instant_text(wall_clock_us()), "level": level, "event": event} | fields
        self._waiting.append(_ENCODER.encode(line) + b"\n")
        if len(self._waiting) == 1:
            try:
                asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
            except RuntimeError:
                self.flush()
