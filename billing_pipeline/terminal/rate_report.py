"""Answers lines of JSON on stdin, one for one: `billing rate`."""

import sys
from collections.abc import Iterator
from typing import Protocol

import click

from billing_pipeline.errors import SourceError
from billing_pipeline.rating.calculator import LINE_BYTES_MOST, Calculator

_CHUNK_BYTES = 65_536
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ByteStream(Protocol):
    """What can be read as it comes."""

    def read1(self, size: int, /) -> bytes:
        """At most `size` bytes, as soon as there are any; none at the end."""


def run_rate() -> None:
    """Answer stdin on stdout; whatever has come is answered before more is waited for.

    Raises:
        SourceError: stdin cannot be read.
    """
    calculator = Calculator()
    for lines in lines_as_they_come(_stdin()):
        if lines:
            click.echo("\n".join([calculator.answer(line) for line in lines]))


def lines_as_they_come(stream: ByteStream) -> Iterator[list[bytes | None]]:
    """The lines that each read completes, without their ends; None for one that is too long to keep.

    Raises:
        SourceError: the stream cannot be read.
    """
    rest, is_dropping = b"", False
    for chunk in _chunks(stream):
        *whole, rest = (rest + chunk).split(b"\n")
        if is_dropping and whole:
            del whole[0]
            is_dropping = False
        elif is_dropping:
            rest = b""
        lines = [line if len(line) <= LINE_BYTES_MOST else None for line in whole]
        if len(rest) > LINE_BYTES_MOST:
            rest, is_dropping = b"", True
            lines.append(None)
        yield lines
    if rest:
        yield [rest]


def _chunks(stream: ByteStream) -> Iterator[bytes]:
    """What comes, without a byte order mark at its start, even one that comes alone or in pieces."""
    start = b""
    while len(start) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(start):
        chunk = _read(stream)
        if not chunk:
            break
        start += chunk
    yield start.removeprefix(_BYTE_ORDER_MARK)
    while chunk := _read(stream):
        yield chunk


def _stdin() -> ByteStream:
    stream: ByteStream | None = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise SourceError("stdin", "is closed; give lines of JSON on it")
    return stream


def _read(stream: ByteStream) -> bytes:
    try:
        return stream.read1(_CHUNK_BYTES)
    except (OSError, ValueError) as error:
        raise SourceError("stdin", f"cannot be read ({error})") from None
