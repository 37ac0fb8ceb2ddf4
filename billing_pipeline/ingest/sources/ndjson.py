"""Our own JSON, one event a line. The bytes go on as they are; blank lines are passed over."""

from collections.abc import Iterator
from pathlib import Path

from billing_pipeline.errors import SourceError
from billing_pipeline.ingest.sources.source_record import SourceRecord

LINE_BYTES = 16 * 1024 * 1024


def read(path: Path) -> Iterator[SourceRecord]:
    """The lines of one file.

    Raises:
        SourceError: a line is so long that the file cannot be NDJSON.
    """
    with path.open("rb") as file:
        line = 0
        while text := file.readline(LINE_BYTES):
            line += 1
            if len(text) == LINE_BYTES and not text.endswith(b"\n"):
                raise SourceError(
                    str(path), f"line {line} is longer than {LINE_BYTES} bytes; is this NDJSON?"
                )
            payload = text.strip(b" \t\r\n")
            if payload:
                yield SourceRecord(str(path), line, payload)
