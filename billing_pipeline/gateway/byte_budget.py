"""How many bytes all requests together may hold at once, so that memory is bounded whatever clients do."""

from types import TracebackType
from typing import Self

from billing_pipeline.errors import RequestRefusedError
from billing_pipeline.gateway.request_code import RequestCode


class ByteBudget:
    """A number of bytes to be shared out. Not thread-safe: the event loop owns it."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.taken_bytes = 0

    def share(self) -> "Share":
        """What one request takes, given back when its block ends."""
        return Share(self)


class Share:
    """The bytes that one request holds."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._taken_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.taken_bytes -= self._taken_bytes
        self._taken_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Hold so many bytes more.

        Raises:
            RequestRefusedError: all requests together would hold too much; a client may try again soon.
        """
        budget = self._budget
        if budget.taken_bytes + size_bytes > budget.total_bytes:
            raise RequestRefusedError(
                503,
                RequestCode.GATEWAY_BUSY,
                "other requests take up the gateway's memory; send this one again soon",
                retry_after_seconds=1,
            )
        budget.taken_bytes += size_bytes
        self._taken_bytes += size_bytes
