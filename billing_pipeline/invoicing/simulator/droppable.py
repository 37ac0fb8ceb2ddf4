"""Connections that can be closed without an answer: HTTP servers are made to always answer."""

import asyncio
from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class DroppableConnection(HttpToolsProtocol):
    """uvicorn's protocol, found again by the addresses that a request is from and to."""

    _open: dict[object, asyncio.Transport] = {}  # noqa: RUF012 - shared by all connections on purpose

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Remember the transport."""
        super().connection_made(transport)
        self._open[self.client, self.server] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._open.pop((self.client, self.server), None)
        super().connection_lost(exc)

    @classmethod
    def drop(cls, scope: Mapping[str, Any]) -> None:
        """Close the connection that a request came on; what was not sent yet is not sent any more."""
        transport = cls._open.get((scope["client"], scope["server"]))
        if transport is not None:
            transport.abort()
