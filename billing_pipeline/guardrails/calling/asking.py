"""What products write, as requests: estimates in money or in usage, keys where they give none, digests of calls."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypedDict, Unpack

import msgspec

from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.requests import Extend, Release, Reserve, Settle
from billing_pipeline.guardrails.usage import Usage

Cost = int | Usage | Sequence[Usage]
"""Nano-units, or usage that the rule book prices. An estimate is the most that an action can cost."""

_DIGEST_BYTES = 16
_DIGESTED = msgspec.json.Encoder(order="deterministic", enc_hook=repr)


class ReserveFields(TypedDict, total=False):
    """What may be said of an action besides who pays and what it may cost; see `requests.Reserve`."""

    idempotency_key: str
    ttl_seconds: int
    steps: int
    call: str
    user_id: str
    correlation_id: str
    step: str


def new_key() -> str:
    """An idempotency key that nobody has used."""
    return uuid.uuid4().hex


def reserve_request(
    customer_id: str,
    project_id: str,
    session_id: str | None,
    estimate: Cost,
    **fields: Unpack[ReserveFields],
) -> Reserve:
    """A reserve; without `idempotency_key` under a new one."""
    amount, usage = amount_and_usage(estimate)
    keyed: dict[str, Any] = {"idempotency_key": new_key(), **fields}
    return Reserve(
        customer_id=customer_id,
        project_id=project_id,
        session_id=session_id,
        amount=amount,
        usage=usage,
        **keyed,
    )


def settle_request(hold_id: str, actual: Cost, idempotency_key: str = "settle") -> Settle:
    """A settle at what an action did cost."""
    amount, usage = amount_and_usage(actual)
    return Settle(hold_id=hold_id, amount=amount, usage=usage, idempotency_key=idempotency_key)


def release_request(hold_id: str, idempotency_key: str = "release") -> Release:
    """A release of all that is held."""
    return Release(hold_id=hold_id, idempotency_key=idempotency_key)


def extend_request(hold_id: str, ttl_seconds: int, idempotency_key: str | None = None) -> Extend:
    """An extension; without a key under a new one."""
    return Extend(hold_id=hold_id, ttl_seconds=ttl_seconds, idempotency_key=idempotency_key or new_key())


def amount_and_usage(cost: Cost) -> tuple[int | None, tuple[Usage, ...]]:
    """The two fields of a request that a cost is written in; one of them is empty.

    Raises:
        GuardRequestError: it is neither; a float, say, which does not hold all amounts.
    """
    if isinstance(cost, int) and not isinstance(cost, bool):
        return cost, ()
    usage = (cost,) if isinstance(cost, Usage) else tuple(cost) if isinstance(cost, list | tuple) else ()
    if not usage or not all(isinstance(each, Usage) for each in usage):
        raise GuardRequestError("cost", repr(cost), "give nano-units as an int, a Usage, or a list of them")
    return None, usage


def call_digest(function: Callable[..., object], args: Sequence[object], named: Mapping[str, object]) -> str:
    """32 hex digits that are the same for the same function and arguments.

    Arguments that JSON does not know count by their `repr`: one that shows an address is never the same twice in
    different objects, so such calls are never found to be identical.
    """
    name = f"{function.__module__}.{function.__qualname__}"
    try:
        told = _DIGESTED.encode([name, args, named])
    except (TypeError, ValueError, OverflowError, RecursionError):
        told = repr((name, args, sorted(named.items()))).encode("utf-8", "surrogatepass")
    return blake2b(told, digest_size=_DIGEST_BYTES).hexdigest()
