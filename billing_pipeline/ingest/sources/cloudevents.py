"""CloudEvents 1.0 in JSON: a file with one event, with one event a line, or with batches (JSON arrays)."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from billing_pipeline.contract.cloudevents import split_batch
from billing_pipeline.errors import SourceError
from billing_pipeline.ingest.sources import ndjson
from billing_pipeline.ingest.sources.source_record import SourceRecord

DOCUMENT_BYTES = 256 * 1024 * 1024


def read(path: Path) -> Iterator[SourceRecord]:
    """The events of one file; those of a document over several lines are numbered by their position in it.

    Raises:
        SourceError: one document is larger than can be read at once.
    """
    if not _is_one_document(path):
        for record in ndjson.read(path):
            for payload in split_batch(record.payload):
                yield record._replace(payload=payload)
        return
    if path.stat().st_size > DOCUMENT_BYTES:
        raise SourceError(
            str(path), f"one JSON document of more than {DOCUMENT_BYTES} bytes; send a line per event"
        )
    document = path.read_bytes().strip()
    for position, payload in enumerate(split_batch(document) if document else (), start=1):
        yield SourceRecord(str(path), position, payload)


def _is_one_document(path: Path) -> bool:
    """Whether the first line that is not blank is only the beginning of a JSON value."""
    with path.open("rb") as file:
        while text := file.readline(ndjson.LINE_BYTES):
            if text.strip():
                break
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        return "truncated" in str(error) or len(text) == ndjson.LINE_BYTES
    return False
