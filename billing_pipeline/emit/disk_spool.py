"""The spool on disk: what `append` has returned from survives the process and the machine."""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from billing_pipeline.emit.spool_directory import (
    SUFFIX,
    Position,
    Segment,
    lock_directory,
    recover,
    sync_directory,
)
from billing_pipeline.emit.spool_frames import HEADER_BYTES, Frame, frame_bytes, next_frame
from billing_pipeline.errors import ClientClosedError, SpoolError, SpoolFullError

_CLOSED = "closed"


class _Place(NamedTuple):
    """Where an event that was peeked at ends."""

    segment_first: int
    end_offset: int
    number: int
    size: int


class DiskSpool:
    """Segment files of one directory, under a lock from `__init__` to `close`.

    Appends of several threads share one sync. Only what is synced is sent, so the settled number never runs ahead
    of what the disk has.

    Raises:
        SpoolLockedError: another client has the directory.
        SpoolError: it cannot be read or written.
    """

    def __init__(
        self,
        directory: Path,
        *,
        limit_bytes: int,
        segment_bytes: int,
        slots: int,
        steady_seconds: Callable[[], float],
        told: Callable[[str], None],
    ) -> None:
        self.directory, self._file_lock = lock_directory(directory, slots)
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._steady_seconds = steady_seconds
        self._write_lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._state_lock = threading.Lock()
        self._failure: str | None = None
        self._file: int | None = None
        try:
            self._position = Position(self.directory)
            found = recover(self.directory, self._position.read(), told)
        except OSError as error:
            self._file_lock.release()
            raise SpoolError(str(self.directory), str(error)) from error
        self._segments = deque(found.segments)
        self._settled = found.settled
        # A settled number beyond the files (they were removed by hand) must not swallow what comes next.
        self._end = max([found.settled, *(segment.end for segment in found.segments)])
        self._synced = self._end
        self._waiting = found.waiting
        self._waiting_bytes = found.waiting_bytes
        self._read_offset = 0
        self._peeked: list[_Place] = []
        self._arrivals: deque[tuple[int, float]] = deque()
        if self._waiting:
            self._arrivals.append((self._end, steady_seconds()))

    def append(self, payloads: Sequence[bytes]) -> None:
        """As the port says; they are on the disk when this returns."""
        size = sum(map(len, payloads))
        with self._write_lock:
            self._check_usable()
            if self._waiting_bytes + size > self._limit_bytes:
                raise SpoolFullError(self._waiting_bytes, self._limit_bytes)
            number = self._end
            self._write(b"".join(frame_bytes(number + at, payload) for at, payload in enumerate(payloads)))
            self._end = end = number + len(payloads)
            self._segments[-1].end = end
            with self._state_lock:
                self._waiting_bytes += size
        self._sync(end)
        with self._state_lock:  # what is not synced is not sent, so it does not wait yet
            self._waiting += len(payloads)
            self._arrivals.append((end, self._steady_seconds()))

    def peek(self, most_events: int, most_bytes: int) -> list[bytes]:
        """As the port says."""
        payloads: list[bytes] = []
        places: list[_Place] = []
        size, offset = 0, self._read_offset
        read_bytes = most_bytes + (most_events + 1) * HEADER_BYTES
        for segment in list(self._segments):
            frames, is_whole = self._frames(segment, offset, read_bytes)
            for frame in frames:
                size += len(frame.payload)
                if payloads and (len(payloads) == most_events or size > most_bytes):
                    is_whole = False
                    break
                payloads.append(frame.payload)
                places.append(_Place(segment.first, offset + frame.end, frame.number, len(frame.payload)))
            if not is_whole:
                break
            offset = 0
        self._peeked = places
        return payloads

    def settle(self, count: int) -> None:
        """As the port says, of the events last peeked at. Segments that are settled whole are removed."""
        done, self._peeked = self._peeked[:count], self._peeked[count:]
        with self._write_lock:
            if self._failure == _CLOSED:
                return  # they are sent again by the next client
            self._settled = done[-1].number + 1
            self._position.write(self._settled)
            while self._segments[0].first != done[-1].segment_first:
                self._remove_first_segment()
            self._read_offset = done[-1].end_offset
            if self._segments[0].end <= self._settled and self._segments[0].size_bytes >= self._segment_bytes:
                self._remove_first_segment()
        with self._state_lock:
            self._waiting -= len(done)
            self._waiting_bytes -= sum(place.size for place in done)
            while self._arrivals and self._arrivals[0][0] <= self._settled:
                self._arrivals.popleft()

    def close(self) -> None:
        """Remove the files if nothing waits, and let the next client in. Twice changes nothing."""
        with self._write_lock:
            if self._failure == _CLOSED:
                return
            self._failure = _CLOSED
            while self._waiting == 0 and self._segments:
                self._remove_first_segment()
            if self._file is not None:
                os.close(self._file)
            self._position.close()
            self._file_lock.release()

    @property
    def waiting(self) -> int:
        """As the port says."""
        return self._waiting

    @property
    def waiting_bytes(self) -> int:
        """As the port says."""
        return self._waiting_bytes

    @property
    def oldest_seconds(self) -> float | None:
        """As the port says; what an earlier process left counts from the opening."""
        with self._state_lock:
            return self._arrivals[0][1] if self._arrivals else None

    def _frames(self, segment: Segment, offset: int, read_bytes: int) -> tuple[list[Frame], bool]:
        """The frames from the offset on that are synced and not settled; whether the file has no more of them.

        At least one where there is one, however large it is and whatever is damaged before it.
        """
        with segment.path.open("rb") as file:
            file.seek(offset)
            data = file.read(read_bytes)
            is_whole = len(data) < read_bytes
            frames = self._sendable(data)
            if not frames and not is_whole:
                return self._sendable(data + file.read()), True
            return frames, is_whole

    def _sendable(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        frame = next_frame(data, 0)
        while frame is not None and frame.number < self._synced:
            if frame.number >= self._settled:
                frames.append(frame)
            frame = next_frame(data, frame.end)
        return frames

    def _write(self, frames: bytes) -> None:
        try:
            if self._file is None or self._segments[-1].size_bytes >= self._segment_bytes:
                self._start_segment()
            segment, file = self._segments[-1], self._file
            assert file is not None  # noqa: S101 - a segment was started
            try:
                rest = memoryview(frames)
                while rest:
                    rest = rest[os.write(file, rest) :]
            except OSError:
                os.ftruncate(file, segment.size_bytes)
                raise
            segment.size_bytes += len(frames)
        except OSError as error:
            raise SpoolError(str(self.directory), str(error)) from error

    def _start_segment(self) -> None:
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
            self._note_synced(self._end)
        path = self.directory / f"{self._end:020}{SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._segments.append(Segment(path, self._end, self._end, 0))
        sync_directory(self.directory)

    def _sync(self, end: int) -> None:
        """Wait until everything before `end` is on the disk; one sync does for all that was written before it."""
        with self._sync_lock:
            if self._synced >= end:
                return
            with self._write_lock:
                self._check_usable()
                if self._synced >= end or self._file is None:
                    return
                file, written = os.dup(self._file), self._end
            try:
                os.fsync(file)
            except OSError as error:
                self._failure = str(error)
                raise SpoolError(str(self.directory), str(error)) from error
            finally:
                os.close(file)
            self._note_synced(written)

    def _note_synced(self, end: int) -> None:
        with self._state_lock:
            self._synced = max(self._synced, end)

    def _remove_first_segment(self) -> None:
        segment = self._segments.popleft()
        if not self._segments and self._file is not None:
            os.close(self._file)
            self._file = None
        self._read_offset = 0
        if segment.is_damaged:
            segment.path.rename(segment.path.with_suffix(".damaged"))
        else:
            segment.path.unlink(missing_ok=True)

    def _check_usable(self) -> None:
        if self._failure == _CLOSED:
            raise ClientClosedError(f"the spool {self.directory} is closed; the event was not taken over")
        if self._failure is not None:
            raise SpoolError(str(self.directory), self._failure)
