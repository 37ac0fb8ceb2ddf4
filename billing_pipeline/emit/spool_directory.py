"""The files of a spool directory: its lock, how far the gateway has settled, and its segments as a crash left them."""

import contextlib
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from billing_pipeline.emit.spool_frames import HEADER_BYTES, next_frame
from billing_pipeline.errors import SpoolError, SpoolLockedError

SUFFIX = ".spool"
_POSITION = struct.Struct("<QI")


@dataclass(slots=True)
class Segment:
    """One file of frames with the numbers from `first` to before `end`; damage may have left some out."""

    path: Path
    first: int
    end: int
    size_bytes: int
    is_damaged: bool = False


@dataclass(frozen=True)
class Found:
    """What a directory holds: its segments, the number settled up to, and what still waits."""

    segments: list[Segment]
    settled: int
    waiting: int
    waiting_bytes: int


def lock_directory(directory: Path, slots: int) -> tuple[Path, FileLock]:
    """The directory, or its first free slot where it has several; held until the lock is released.

    Raises:
        SpoolLockedError: live clients have all there are.
        SpoolError: it cannot be made.
    """
    for slot in range(slots):
        place = directory if slots == 1 else directory / f"slot-{slot:03}"
        lock = FileLock(place / "lock", thread_local=False)
        try:
            place.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            continue
        except OSError as error:
            raise SpoolError(str(place), str(error)) from error
        return place, lock
    raise SpoolLockedError(str(directory))


def sync_directory(directory: Path) -> None:
    """Make new and removed names durable, where the system can."""
    with contextlib.suppress(PermissionError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class Position:
    """The number up to which everything is settled. Not synced: an older one sends events again, and loses none."""

    def __init__(self, directory: Path) -> None:
        self._file = os.open(directory / "settled", os.O_RDWR | os.O_CREAT, 0o600)

    def read(self) -> int:
        """0 where none was written, or only a part."""
        data = os.pread(self._file, _POSITION.size, 0)
        if len(data) < _POSITION.size:
            return 0
        number, checksum = _POSITION.unpack(data)
        return int(number) if zlib.crc32(data[:8]) == checksum else 0

    def write(self, number: int) -> None:
        """Keep it."""
        checksum = zlib.crc32(number.to_bytes(8, "little"))
        os.pwrite(self._file, _POSITION.pack(number, checksum), 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def recover(directory: Path, settled: int, told: Callable[[str], None]) -> Found:
    """Read what is there, cut off the torn tails that a crash left, and tell of whatever else does not match."""
    segments: list[Segment] = []
    waiting = waiting_bytes = 0
    paths = sorted(directory.glob(f"*{SUFFIX}"))
    for path in paths:
        segment = Segment(path, int(path.stem), int(path.stem), 0)
        count, size = _recover_segment(segment, settled, told, is_last=path == paths[-1])
        if segment.size_bytes == 0 or (segment.end <= settled and not segment.is_damaged):
            path.unlink()
            continue
        waiting, waiting_bytes = waiting + count, waiting_bytes + size
        segments.append(segment)
    return Found(segments, settled, waiting, waiting_bytes)


def _recover_segment(
    segment: Segment, settled: int, told: Callable[[str], None], *, is_last: bool
) -> tuple[int, int]:
    """Count what waits in a segment, and its bytes."""
    data = segment.path.read_bytes()
    at = count = size = 0
    while (frame := next_frame(data, at)) is not None:
        if frame.start != at:
            segment.is_damaged = True
            told(
                f"{frame.start - at} bytes at {at} of {segment.path} are damaged: events between the numbers "
                f"{segment.end} and {frame.number} may be lost. What follows is sent; the file is kept as *.damaged"
            )
        at, segment.end = frame.end, frame.number + 1
        if frame.number >= settled:
            count, size = count + 1, size + frame.end - frame.start - HEADER_BYTES
    segment.size_bytes = len(data)
    if at < len(data) and is_last:
        with segment.path.open("r+b") as file:
            file.truncate(at)
            os.fsync(file.fileno())
        segment.size_bytes = at
        told(
            f"the last {len(data) - at} bytes of {segment.path} are an event that was not taken over whole when its "
            "process ended; they were cut off"
        )
    elif at < len(data):  # what came after it was synced later, so no crash can have torn it
        segment.is_damaged = True
        told(f"the last {len(data) - at} bytes of {segment.path} are damaged; the file is kept as *.damaged")
    return count, size
