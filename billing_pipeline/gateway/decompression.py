"""Bodies decompressed with a hard cap: a bomb stops at it, whatever it claims and however it is built."""

import asyncio
import zlib
from collections.abc import Iterator

import zstandard

from billing_pipeline.errors import RequestRefusedError
from billing_pipeline.gateway.byte_budget import Share
from billing_pipeline.gateway.limits import BODY_BYTES
from billing_pipeline.gateway.request_code import RequestCode

ENCODINGS = ("identity", "gzip", "zstd")

_GZIP_WBITS = 31
_OUTPUT_BYTES = 1 << 20
_ZSTD_WINDOW_BYTES = 8 << 20
_ZSTD_INPUT_BYTES = 512
"""Given to zstd at a time: four bytes can become 128 KiB, and zstd's object has no bound of its own on its output."""
_AT_ONCE = 4
"""Bodies decompressed at once: each may hold a window of 8 MiB."""


class Decompressor:
    """Decompresses bodies, a few at once."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def decompress(self, wire: bytes, encoding: str, share: Share) -> bytes:
        """The body that `wire` stands for in gzip or zstd.

        Raises:
            RequestRefusedError: it is broken, has anything behind its end, or becomes more than a body may have.
        """
        body = bytearray()
        async with self._turns:
            try:
                for piece in _gunzipped(wire) if encoding == "gzip" else _unzstd(wire):
                    share.take(len(piece))
                    body += piece
                    if len(body) > BODY_BYTES:
                        raise RequestRefusedError(
                            413,
                            RequestCode.BODY_TOO_LARGE,
                            f"the decompressed body has more than {BODY_BYTES} bytes; send fewer events at once",
                            limit=BODY_BYTES,
                        )
                    await asyncio.sleep(0)
            except (zlib.error, zstandard.ZstdError) as error:
                raise _broken(encoding, str(error)) from error
        return bytes(body)


def _gunzipped(wire: bytes) -> Iterator[bytes]:
    inflater = zlib.decompressobj(_GZIP_WBITS)
    rest = wire
    while rest and not inflater.eof:
        yield inflater.decompress(rest, _OUTPUT_BYTES)
        rest = inflater.unconsumed_tail
    while not inflater.eof and (piece := inflater.decompress(b"", _OUTPUT_BYTES)):
        yield piece
    _check_end("gzip", ended=inflater.eof, rest=inflater.unused_data)


def _unzstd(wire: bytes) -> Iterator[bytes]:
    inflater = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
    view = memoryview(wire)
    pieces: list[bytes] = []
    size_bytes = start = 0
    while start < len(view) and not inflater.eof:
        piece = inflater.decompress(view[start : start + _ZSTD_INPUT_BYTES])
        start += _ZSTD_INPUT_BYTES
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes >= _OUTPUT_BYTES:
            yield b"".join(pieces)
            pieces.clear()
            size_bytes = 0
    yield b"".join(pieces)
    _check_end("zstd", ended=inflater.eof, rest=inflater.unused_data or bytes(view[start : start + 1]))


def _check_end(encoding: str, *, ended: bool, rest: bytes) -> None:
    if not ended:
        raise _broken(encoding, "it ends early")
    if rest:
        raise _broken(encoding, "there is something behind its end; send one gzip member or zstd frame")


def _broken(encoding: str, reason: str) -> RequestRefusedError:
    return RequestRefusedError(
        400, RequestCode.BAD_COMPRESSION, f"the body cannot be decompressed as {encoding}: {reason}"
    )
