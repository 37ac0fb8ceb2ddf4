"""A request as the gateway reads it: its headers, its options and its body, each within bounds."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import count
from typing import Any
from urllib.parse import parse_qs

from billing_pipeline.errors import RequestRefusedError
from billing_pipeline.gateway.byte_budget import Share
from billing_pipeline.gateway.decompression import ENCODINGS
from billing_pipeline.gateway.limits import WIRE_BYTES
from billing_pipeline.gateway.request_code import RequestCode

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PROCESS = secrets.token_hex(8).encode()
_NUMBERS = count(1)
_IS_CORRELATION_ID = re.compile(rb"[!-~]{1,128}").fullmatch
_DISCARD_BYTES = 1 << 20
_DISCARD_SECONDS = 2.0


class ClientGoneError(Exception):
    """The client hung up before its request had come. Caught by the endpoint, which answers nobody."""


class Request:
    """One request under way."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.headers = dict(scope["headers"])
        self.query_string: bytes = scope["query_string"]
        self._receive = receive
        self.came_whole = False
        """Whether the body has been read to its end."""
        self.wire_bytes = 0
        self._limit_bytes = WIRE_BYTES
        shown = self.headers.get(b"x-correlation-id", b"")
        self.correlation_id: bytes = (
            shown if _IS_CORRELATION_ID(shown) else b"%b-%x" % (_PROCESS, next(_NUMBERS))
        )

    def header(self, name: bytes) -> str:
        """The value of a header, named in lower case; empty where there is none."""
        value: bytes = self.headers.get(name, b"")
        return value.decode("latin-1")

    def api_key(self) -> str:
        """The API key shown; empty where there is none."""
        scheme, _, key = self.header(b"authorization").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else self.header(b"x-api-key")

    def is_atomic(self) -> bool:
        """Whether all events are to be taken, or none.

        Raises:
            RequestRefusedError: `atomic` is neither true nor false.
        """
        if not self.query_string:
            return False
        values = parse_qs(self.query_string.decode("latin-1"), keep_blank_values=True).get(
            "atomic", ["false"]
        )
        if values not in (["true"], ["false"]):
            raise RequestRefusedError(400, RequestCode.INVALID_PARAMETER, "atomic must be true or false")
        return values == ["true"]

    def content_encoding(self) -> str:
        """How the body is compressed.

        Raises:
            RequestRefusedError: in a way that is not known, or in several.
        """
        encoding = self.header(b"content-encoding").strip().lower() or ENCODINGS[0]
        if encoding not in ENCODINGS:
            raise RequestRefusedError(
                415,
                RequestCode.UNSUPPORTED_CONTENT_ENCODING,
                f"send the body as one of {', '.join(ENCODINGS)}",
            )
        return encoding

    async def body(self, share: Share, timeout_seconds: float, limit_bytes: int = WIRE_BYTES) -> bytes:
        """The body as it came, of at most `limit_bytes`.

        Raises:
            RequestRefusedError: it is too large, comes too slowly, or there is no memory for it now.
            ClientGoneError: the client hung up.
        """
        self._limit_bytes = limit_bytes
        length = self.header(b"content-length")
        if length.isdecimal() and len(length) < 20 and int(length) > limit_bytes:  # noqa: PLR2004 - digits of 2⁶⁴
            raise _too_large(limit_bytes)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._read(share)
        except TimeoutError as error:
            raise RequestRefusedError(
                408, RequestCode.BODY_TOO_SLOW, f"the body did not come within {timeout_seconds:g} seconds"
            ) from error

    async def _read(self, share: Share) -> bytes:
        first = await self._next(share)
        if self.came_whole:
            return first
        body = bytearray(first)
        while not self.came_whole:
            body += await self._next(share)
        return bytes(body)

    async def _next(self, share: Share) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part: bytes = message.get("body", b"")
        self.wire_bytes += len(part)
        self.came_whole = not message.get("more_body", False)
        if self.wire_bytes > self._limit_bytes:
            raise _too_large(self._limit_bytes)
        share.take(len(part))
        return part

    async def discard_rest(self) -> None:
        """Read some of what is still coming and drop it, so that a client that sends first gets its answer."""
        if b"expect" in self.headers:
            return
        size_bytes = 0
        try:
            async with asyncio.timeout(_DISCARD_SECONDS):
                while not self.came_whole and size_bytes < _DISCARD_BYTES:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        return
                    size_bytes += len(message.get("body", b""))
                    self.came_whole = not message.get("more_body", False)
        except TimeoutError:
            return


def _too_large(limit_bytes: int) -> RequestRefusedError:
    return RequestRefusedError(
        413,
        RequestCode.BODY_TOO_LARGE,
        f"the body has more than {limit_bytes} bytes; compress it, or send less at once",
        limit=limit_bytes,
    )
