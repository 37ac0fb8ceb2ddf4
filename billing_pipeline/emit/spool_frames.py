"""How an event stands in a spool file: a frame with mark, length, number and checksum before its bytes.

The number makes a frame tell its place even where one before it is damaged, so nothing behind a damage is lost or
taken for settled.
"""

import struct
import zlib
from dataclasses import dataclass

from billing_pipeline.contract.limits import PAYLOAD_BYTES

MARK = b"\xf5UE1"
"""The first byte never occurs in UTF-8, so a mark is hardly ever found within an event."""
_HEADER = struct.Struct("<4sIQI")  # mark, length, number, CRC-32 of length, number and payload
HEADER_BYTES = _HEADER.size
_CHECKED = struct.Struct("<IQ")


@dataclass(frozen=True, slots=True)
class Frame:
    """An event and its number; it stands in the file from `start` to `end`."""

    number: int
    payload: bytes
    start: int
    end: int


def frame_bytes(number: int, payload: bytes) -> bytes:
    """The frame of one event."""
    return _HEADER.pack(MARK, len(payload), number, _checksum(number, payload)) + payload


def read_frame(data: bytes, start: int) -> Frame | None:
    """The frame that starts there; None where it is cut off or does not match its checksum."""
    if start + HEADER_BYTES > len(data):
        return None
    mark, length, number, checksum = _HEADER.unpack_from(data, start)
    end = start + HEADER_BYTES + length
    if mark != MARK or length > PAYLOAD_BYTES or end > len(data):
        return None
    payload = data[start + HEADER_BYTES : end]
    return Frame(number, payload, start, end) if _checksum(number, payload) == checksum else None


def next_frame(data: bytes, start: int) -> Frame | None:
    """The first whole frame at `start` or behind it."""
    while start >= 0:
        frame = read_frame(data, start)
        if frame is not None:
            return frame
        start = data.find(MARK, start + 1)
    return None


def _checksum(number: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_CHECKED.pack(len(payload), number)))
