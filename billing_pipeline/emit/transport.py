"""Carries requests to the gateway: pooled connections through httpx, which is imported when the first is sent."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from billing_pipeline.emit.answers import Answer, NoAnswer

if TYPE_CHECKING:
    import httpx


class Transport(Protocol):
    """Sends a body and waits for the answer; never raises for what the network does."""

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer | NoAnswer:
        """The answer, or why there is none."""

    def close(self) -> None:
        """Close the connections."""


class AsyncTransport(Protocol):
    """As `Transport`, for an event loop."""

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer | NoAnswer:
        """The answer, or why there is none."""

    async def close(self) -> None:
        """Close the connections."""


class HttpTransport:
    """Posts to one URL, on a connection that is kept."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._client: httpx.Client | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer | NoAnswer:
        """As the port says."""
        import httpx

        if self._client is None:
            self._client = httpx.Client(timeout=self._timeout_seconds, verify=_needs_tls(self._url))
        try:
            return _answer(self._client.post(self._url, content=body, headers=headers))
        except (httpx.HTTPError, OSError) as error:
            return NoAnswer(f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """As the port says."""
        if self._client is not None:
            self._client.close()


class AsyncHttpTransport:
    """As `HttpTransport`, for an event loop."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._client: httpx.AsyncClient | None = None

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer | NoAnswer:
        """As the port says."""
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._timeout_seconds, verify=_needs_tls(self._url))
        try:
            return _answer(await self._client.post(self._url, content=body, headers=headers))
        except (httpx.HTTPError, OSError) as error:
            return NoAnswer(f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """As the port says."""
        if self._client is not None:
            await self._client.aclose()


def _answer(response: "httpx.Response") -> Answer:
    return Answer(response.status_code, dict(response.headers), response.content)


def _needs_tls(url: str) -> bool:
    """Whether certificates are loaded and checked: always but where the address says plain HTTP."""
    return not url.lower().startswith("http://")
