"""An event that the gateway refused, and the file that keeps it: never silent, never sent again."""

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from billing_pipeline.contract.instants import instant_text

FILE_NAME = "refused.ndjson"
FULL_NAME = "refused-before.ndjson"
FILE_BYTES = 16 << 20
"""The file is set aside at this size; the one that was set aside before goes. The gateway's log has them all."""


@dataclass(frozen=True)
class Refusal:
    """Why an event does not count, in the gateway's words, and the event's JSON as it was sent."""

    code: str
    field: str
    value: str | None
    message: str
    event: bytes


class _Line(msgspec.Struct, frozen=True):
    refused_at: str
    code: str
    field: str
    value: str | None
    message: str
    event: msgspec.Raw


class RefusedFile:
    """`refused.ndjson` of a spool directory. It is appended to by the one client that has the directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._full = directory / FULL_NAME

    def append(self, refusals: list[Refusal], refused_at_us: int) -> None:
        """Keep refusals durably.

        Raises:
            OSError: the disk does not take them.
        """
        moment = instant_text(refused_at_us)
        if self._path.exists() and self._path.stat().st_size >= FILE_BYTES:
            self._path.replace(self._full)
        with self._path.open("ab") as file:
            for refusal in refusals:
                line = _Line(
                    moment,
                    refusal.code,
                    refusal.field,
                    refusal.value,
                    refusal.message,
                    msgspec.Raw(refusal.event),
                )
                file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())
