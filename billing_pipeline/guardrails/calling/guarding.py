"""What a guarded function is held for: worked out of each call's arguments, and settled by its result."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from billing_pipeline.guardrails.calling.asking import Cost, ReserveFields, call_digest, reserve_request
from billing_pipeline.guardrails.requests import Reserve


@dataclass(frozen=True, kw_only=True)
class Guarding:
    """How calls of one function become holds.

    Attributes:
        customer_id: who pays; a text, or a function of the call's arguments. So are `project_id` and `session_id`.
        estimate: the most that a call can cost, or a function of its arguments that says so.
        actual: what a call did cost, by its result; None is the estimate.
        counts_repeats: calls of the function with the same arguments count as identical for the session's breaker.
    """

    customer_id: str | Callable[..., str]
    project_id: str | Callable[..., str]
    session_id: str | Callable[..., str | None] | None = None
    estimate: Cost | Callable[..., Cost]
    actual: Callable[[Any], Cost] | None = None
    counts_repeats: bool = True

    def asked(
        self,
        function: Callable[..., object],
        fields: ReserveFields,
        args: Sequence[Any],
        named: Mapping[str, Any],
    ) -> tuple[Reserve, Cost]:
        """The reserve for one call, and its estimate."""

        def value(given: Any) -> Any:
            return given(*args, **named) if callable(given) else given

        estimate: Cost = value(self.estimate)
        said: ReserveFields = {**fields}
        if self.counts_repeats:
            said.setdefault("call", call_digest(function, args, named))
        request = reserve_request(
            value(self.customer_id), value(self.project_id), value(self.session_id), estimate, **said
        )
        return request, estimate


def check_fields(fields: ReserveFields) -> None:
    """Check what is said of all calls of a function.

    Raises:
        TypeError: there is a key, though each call is an action of its own.
    """
    if "idempotency_key" in fields:
        raise TypeError(
            "a guarded function has no idempotency_key for all its calls: hold a block under a key of its own"
        )


def check_plain(function: Callable[..., object]) -> None:
    """Check that a function ends when it returns.

    Raises:
        TypeError: it is a coroutine function or a generator: its hold would end before it has run.
    """
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__qualname__} is a coroutine function: guard it by an AsyncGuard")
    _check_no_generator(function)


def check_coroutine(function: Callable[..., object]) -> None:
    """Check that a function is a coroutine function.

    Raises:
        TypeError: it is none.
    """
    _check_no_generator(function)
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__qualname__} is no coroutine function: guard it by a Guard")


def _check_no_generator(function: Callable[..., object]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__} is a generator: put `with guard.hold(…)` into its body")
