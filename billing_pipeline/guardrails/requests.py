"""What a product asks of the guard. Amounts are nano-units, in JSON as text; quantities are decimal text."""

import msgspec

from billing_pipeline.guardrails.usage import Usage


class Reserve(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hold what an action may cost at most, before it runs.

    Attributes:
        session_id: the agent run; breakers count by it.
        amount: the estimate in nano-units; instead of `usage`.
        usage: the estimate as usage, priced by the rule book in force; instead of `amount`.
        idempotency_key: of the caller's choice, once per action and customer; a repeat gets the same answer.
        ttl_seconds: after so long the hold ends by itself; None is what the customer's policy says.
        steps: how many steps the session's breaker counts.
        call: tells the action from others, say a digest of tool and arguments; repeats of it are counted.
    """

    customer_id: str
    project_id: str
    session_id: str | None = None
    amount: int | None = None
    usage: tuple[Usage, ...] = ()
    idempotency_key: str
    ttl_seconds: int | None = None
    steps: int = 1
    call: str | None = None
    user_id: str | None = None
    correlation_id: str | None = None
    step: str | None = None


class Settle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """End a hold at what the action did cost.

    Attributes:
        amount: nano-units; instead of `usage`. No usage event is sent then.
        usage: priced by the rules in force when the hold was granted, and sent as usage events.
    """

    hold_id: str
    amount: int | None = None
    usage: tuple[Usage, ...] = ()
    idempotency_key: str = "settle"


class Release(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """End a hold unused."""

    hold_id: str
    idempotency_key: str = "release"


class Extend(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Let a hold end by itself only so long from now; never sooner than it would have."""

    hold_id: str
    ttl_seconds: int
    idempotency_key: str


Request = Reserve | Settle | Release | Extend
