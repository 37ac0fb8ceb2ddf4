"""The formats that can be imported, by name."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from billing_pipeline.errors import SourceError
from billing_pipeline.ingest.sources import agent_trace, azure_llm, cloudevents, ndjson
from billing_pipeline.ingest.sources.source_record import SourceRecord, TraceOptions

Format = Literal["azure-llm", "agent-trace", "ndjson", "cloudevents"]
FORMATS: tuple[Format, ...] = get_args(Format)


def default_receipt(format_name: Format) -> str:
    """How receipt times are made where nobody says: history was received when it happened, events are now."""
    return "occurred" if format_name in ("azure-llm", "agent-trace") else "now"


def read_files(format_name: Format, files: Sequence[Path], options: TraceOptions) -> Iterator[SourceRecord]:
    """The events of several files, one file after the other.

    Raises:
        SourceError: a file cannot be read, or is of another format.
    """
    for file in files:
        try:
            match format_name:
                case "azure-llm":
                    yield from azure_llm.read(file, options)
                case "agent-trace":
                    yield from agent_trace.read(file, options)
                case "ndjson":
                    yield from ndjson.read(file)
                case "cloudevents":
                    yield from cloudevents.read(file)
        except OSError as error:
            raise SourceError(str(file), f"cannot be read: {error.strerror}") from error
