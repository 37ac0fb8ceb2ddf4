"""How the log's records are written in the durable queue: a line each, in one of two forms.

A plain usage event stands as it came, led by `=`; everything else as the JSON of its `LogRecord`. A reader tells them
apart by the first byte.
"""

from collections.abc import Iterable

import msgspec

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.parsing import parse

PLAIN = b"="
LINE_END = b"\n"

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(LogRecord)


class Body(msgspec.Struct, frozen=True, gc=False):
    """The lines of a batch, in offset order, each ended by a line feed."""

    count: int
    lines: bytes


def plain_line(payload: bytes) -> bytes:
    """The line of a plain usage event, without its end. The caller has asked `plain_usage`."""
    return PLAIN + payload


def record_line(record: LogRecord) -> bytes:
    """The line of a parsed record, without its end."""
    return _ENCODER.encode(record)


def read_line(line: bytes) -> LogRecord:
    """The record of a line of either form."""
    return parse(line[len(PLAIN) :]) if line.startswith(PLAIN) else _DECODER.decode(line)


def body_of(lines: Iterable[bytes]) -> Body:
    """Lines put together."""
    taken = [*lines, b""]
    return Body(len(taken) - 1, LINE_END.join(taken))
