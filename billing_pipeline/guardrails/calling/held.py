"""A hold within a product's `with` block: settled at what the action cost, or else ended by leaving the block.

* `settle` ends it at the actual cost; `release` says that nothing was spent.
* Leaving the block normally without either settles it at its estimate: the action ran.
* Leaving it by an exception releases it, unless `on_error="settle"` was asked for: then it is settled at the estimate,
  for actions that cost something also where they fail.
* Once a settle was tried and failed, leaving does nothing: the action ran, so nothing may be given back. Settle again,
  under the same content, also after the block; the hold ends by time otherwise, and a settle is booked even then.
"""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

from billing_pipeline.errors import GuardConflictError, GuardError, GuardUnavailableError
from billing_pipeline.guardrails.answers import Ended, Extended, Granted
from billing_pipeline.guardrails.calling.asking import Cost, extend_request, release_request, settle_request
from billing_pipeline.guardrails.calling.asks import Ask, AsyncAsk
from billing_pipeline.guardrails.requests import Extend, Release, Reserve, Settle

OnError = Literal["release", "settle"]
Unreachable = Literal["closed", "open"]
"""What becomes of an action while the guard cannot be reached: it must not run, or it runs unguarded."""

WhenUnreachable = Unreachable | Callable[[str], Unreachable]
"""The same for all, or asked for each customer id."""

_LOG = logging.getLogger(__name__)


class HoldState:
    """What a hold knows of itself, however its requests are carried."""

    def __init__(
        self,
        request: Reserve,
        estimate: Cost,
        on_error: OnError,
        when_unreachable: WhenUnreachable,
        is_repeatable: bool,
    ) -> None:
        self.granted: Granted | None = None
        """What reserve answered; None before the block, and where the guard could not be reached."""
        self.ended: Ended | None = None
        """How it has ended; None as long as it has not."""
        self.unguarded = False
        """The guard could not be reached, and the action runs all the same: the product sends the usage itself."""
        self._request = request
        self._estimate = estimate
        self._on_error = on_error
        self._when_unreachable = when_unreachable
        self._is_repeatable = is_repeatable
        self._settling = False

    @property
    def hold_id(self) -> str:
        """32 hex digits.

        Raises:
            GuardUnavailableError: there is none, as the guard could not be reached.
        """
        if self.granted is None:
            raise GuardUnavailableError(
                "there is no hold: the guard could not be reached when it was asked for"
            )
        return self.granted.hold_id

    @property
    def idempotency_key(self) -> str:
        """Of the reserve: the same key again gets the same hold."""
        return self._request.idempotency_key

    def _check_new(self) -> None:
        """Refuse a second block: what ran in it would be held by nothing."""
        if self.granted is not None or self.unguarded:
            raise GuardConflictError("hold_ended", "a hold is for one block; ask for another one")

    def _is_held(self) -> bool:
        if self.granted is None and not self.unguarded:
            raise GuardConflictError(
                "not_held", "nothing is held yet: use it as `with guard.hold(…) as hold`"
            )
        return self.granted is not None

    def _to_settle(self, actual: Cost) -> Settle | None:
        if not self._is_held():
            _LOG.warning("not settled: the guard was not reached; send the action's usage to the log")
            return None
        self._settling = True
        return settle_request(self.hold_id, actual)

    def _to_release(self) -> Release | None:
        return release_request(self.hold_id) if self._is_held() else None

    def _to_extend(self, ttl_seconds: int) -> Extend | None:
        return extend_request(self.hold_id, ttl_seconds) if self._is_held() else None

    def _to_end(self, error: BaseException | None) -> Settle | Release | None:
        """What leaving the block asks for."""
        if self.granted is None or self.ended is not None or self._settling:
            return None
        if error is None or self._on_error == "settle":
            return self._to_settle(self._estimate)
        return self._to_release()

    def _runs_open(self, error: GuardUnavailableError) -> bool:
        """Whether the product goes on without the guard; then it is told."""
        said = self._when_unreachable
        if (said(self._request.customer_id) if callable(said) else said) != "open":
            return False
        self.unguarded = True
        _LOG.warning("the guard cannot be reached, the action runs unguarded: %s", error)
        return True

    def _not_ended(self, body: BaseException, error: GuardError) -> None:
        """The body's own exception goes on; that the hold did not end is said beside it."""
        body.add_note(f"and its hold could not be ended, it ends by time: {error}")
        _LOG.warning("a hold could not be ended, it ends by time: %s", error)


class Hold(HoldState):
    """A hold as a context manager.

    Entering raises what `reserve` raises, GuardDeniedError before all: then the block does not run.
    """

    def __init__(
        self,
        ask: Ask,
        request: Reserve,
        estimate: Cost,
        on_error: OnError,
        when_unreachable: WhenUnreachable = "closed",
        *,
        is_repeatable: bool = False,
    ) -> None:
        super().__init__(request, estimate, on_error, when_unreachable, is_repeatable)
        self._ask = ask

    def __enter__(self) -> Self:
        self._check_new()
        try:
            granted = self._ask.reserve(self._request)
            if self._is_repeatable:
                self._ask.extend(_renewal(granted))
            self.granted = granted
        except GuardUnavailableError as error:
            if not self._runs_open(error):
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        request = self._to_end(error)
        if request is None:
            return
        try:
            self._end(request)
        except GuardError as failure:
            if error is None:
                raise
            self._not_ended(error, failure)

    def settle(self, actual: Cost) -> Ended | None:
        """End it at what the action did cost: nano-units, or usage, which is also sent to the log.

        None where it is unguarded. The same again changes nothing.

        Raises:
            GuardError: as `reserve` says; the hold is as it was, so try again.
        """
        request = self._to_settle(actual)
        return None if request is None else self._end(request)

    def release(self) -> Ended | None:
        """End it unused; None where it is unguarded. Errors as `settle`."""
        request = self._to_release()
        return None if request is None else self._end(request)

    def extend(self, ttl_seconds: int) -> Extended | None:
        """Let it end by itself only so long from now; None where it is unguarded. Errors as `settle`."""
        request = self._to_extend(ttl_seconds)
        return None if request is None else self._ask.extend(request)

    def _end(self, request: Settle | Release) -> Ended | None:
        try:
            self.ended = self._ask.end(request)
        except GuardUnavailableError as error:
            if not self._runs_open(error):
                raise
        return self.ended


class AsyncHold(HoldState):
    """As `Hold`, for an event loop."""

    def __init__(
        self,
        ask: AsyncAsk,
        request: Reserve,
        estimate: Cost,
        on_error: OnError,
        when_unreachable: WhenUnreachable = "closed",
        *,
        is_repeatable: bool = False,
    ) -> None:
        super().__init__(request, estimate, on_error, when_unreachable, is_repeatable)
        self._ask = ask

    async def __aenter__(self) -> Self:
        self._check_new()
        try:
            granted = await self._ask.reserve(self._request)
            if self._is_repeatable:
                await self._ask.extend(_renewal(granted))
            self.granted = granted
        except GuardUnavailableError as error:
            if not self._runs_open(error):
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        request = self._to_end(error)
        if request is None:
            return
        try:
            await self._end(request)
        except GuardError as failure:
            if error is None:
                raise
            self._not_ended(error, failure)

    async def settle(self, actual: Cost) -> Ended | None:
        """As `Hold.settle`."""
        request = self._to_settle(actual)
        return None if request is None else await self._end(request)

    async def release(self) -> Ended | None:
        """As `Hold.release`."""
        request = self._to_release()
        return None if request is None else await self._end(request)

    async def extend(self, ttl_seconds: int) -> Extended | None:
        """As `Hold.extend`."""
        request = self._to_extend(ttl_seconds)
        return None if request is None else await self._ask.extend(request)

    async def _end(self, request: Settle | Release) -> Ended | None:
        try:
            self.ended = await self._ask.end(request)
        except GuardUnavailableError as error:
            if not self._runs_open(error):
                raise
        return self.ended


def _renewal(granted: Granted) -> Extend:
    """The whole time again, from now on; refused where the hold has ended.

    Under a key of the caller's own the hold may be one of long ago, whose answer is repeated: what would run now would
    be held by nothing.
    """
    ttl_seconds = (granted.expires_at - granted.granted_at) // 1_000_000
    return extend_request(granted.hold_id, max(ttl_seconds, 1))
