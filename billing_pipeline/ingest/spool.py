"""Holds what an import has read until its order is known: records on disk, receipt times in memory."""

import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from billing_pipeline.contract.log import LogRecord

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(LogRecord)
BATCH_RECORDS = 5_000
BATCH_BYTES = 4 * 1024 * 1024


class Spool:
    """Records in the order they were read, given back in that of their receipt times; 16 bytes each held."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._ends = array("q")
        self._times = array("q")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._times)

    def add(self, record: LogRecord, received_at: int) -> None:
        """Keep one more record, with its receipt time in UTC microseconds."""
        line = _ENCODER.encode(record)
        self._file.write(line)
        self._ends.append((self._ends[-1] if self._ends else 0) + len(line))
        self._times.append(received_at)

    def batches(self) -> Iterator[tuple[list[LogRecord], list[int]]]:
        """Records and receipt times, ordered by (receipt time, order of reading), in bounded batches."""
        records: list[LogRecord] = []
        times: list[int] = []
        size = 0
        # sorted() keeps equal times in the order of reading, which is that of file and line.
        for index in sorted(range(len(self._times)), key=self._times.__getitem__):
            start = self._ends[index - 1] if index else 0
            length = self._ends[index] - start
            if records and (len(records) == BATCH_RECORDS or size + length > BATCH_BYTES):
                yield records, times
                records, times, size = [], [], 0
            if self._file.tell() != start:
                self._file.seek(start)
            records.append(_DECODER.decode(self._file.read(length)))
            times.append(self._times[index])
            size += length
        if records:
            yield records, times
