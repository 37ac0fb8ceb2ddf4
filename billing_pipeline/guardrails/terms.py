"""What holds for a customer at an instant: the policy of its plan, before what operators have set for it alone."""

from typing import Literal

import msgspec

from billing_pipeline.guardrails.scope import ScopeKind
from billing_pipeline.guardrails.window import Window

Severity = Literal["hard", "soft"]


class LimitTerm(msgspec.Struct, frozen=True):
    """A plan's default limit on spend, in nano-units. Every customer, project or session has one of its own."""

    scope_kind: ScopeKind
    window: Window
    severity: Severity
    amount: int


class BreakerTerms(msgspec.Struct, frozen=True, kw_only=True):
    """When a session's breaker opens; None is never."""

    steps: int | None = None
    spend: int | None = None
    """Nano-units, settled and held."""
    steps_per_minute: int | None = None
    duration_seconds: int | None = None
    identical_calls: int | None = None
    """So many of the same call, one after the other, are let through."""


class VelocityTerms(msgspec.Struct, frozen=True, kw_only=True):
    """When spend is too fast. Amounts are nano-units; None is never."""

    spend_per_minute: int | None = None
    """More in one minute pauses whatever the baseline says."""
    cost_per_call: int | None = None
    """A higher mean over a minute pauses."""
    deviations: float = 8.0
    """How many robust deviations above the customer's own baseline pause."""
    least_spend_per_minute: int = 0
    """Less than this in a minute never pauses by the baseline."""
    resume_after_seconds: int | None = None
    """A pause by velocity ends by itself after so long; None is when a person says so."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a customer and project at an instant. Instants are UTC µs.

    Attributes:
        needs_credit: every hold must be covered by credit; otherwise only limits bound spend.
        overdraft_trips: an overrun that no credit covers opens the session's breaker, or pauses the project.
        period_starts_at: of the billing period that holds the instant.
    """

    plan: str
    currency: str
    needs_credit: bool = False
    limits: tuple[LimitTerm, ...] = ()
    breaker: BreakerTerms = BreakerTerms()
    velocity: VelocityTerms = VelocityTerms()
    ttl_seconds: int = 600
    ttl_seconds_most: int = 86_400
    overdraft_trips: bool = True
    period_starts_at: int
    period_ends_at: int


class NoTerms(msgspec.Struct, frozen=True):
    """Nothing may be held: the customer or project is not registered, is closed, or has no plan."""

    rule: Literal["unknown_customer", "unknown_project"]
    reason: str
