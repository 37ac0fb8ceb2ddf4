"""What the review routes take: parameters and bodies; what they do not know is refused."""

from typing import Annotated, Literal

import msgspec

from billing_pipeline.guardrails.commands import StopKind
from billing_pipeline.guardrails.review.page import ROWS, ROWS_MOST
from billing_pipeline.guardrails.review.queue import ReviewState
from billing_pipeline.guardrails.terms import Severity
from billing_pipeline.guardrails.window import Window

Amount = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,19}$")]
"""Nano-units as text."""
Rows = Annotated[int, msgspec.Meta(ge=1, le=ROWS_MOST)]


class ReviewsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which items."""

    state: ReviewState = "open"
    customer: str | None = None
    after: str | None = None
    rows: Rows = ROWS


class DecisionAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is decided; `amount` is the new limit, with `raise_limit` only."""

    decision: Literal["resume", "keep", "raise_limit"]
    why: str
    who: str | None = None
    amount: Amount | None = None


class LimitsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose limits; with a customer also what its plans say and what is used."""

    customer: str | None = None
    rows: Rows = ROWS


class LimitAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A limit to set; `amount` null is none at all."""

    scope: str
    currency: str
    window: Window
    severity: Severity = "hard"
    amount: Amount | None
    why: str
    who: str | None = None


class LimitUnset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A limit that is to be the plan's again."""

    scope: str
    currency: str
    window: Window
    severity: Severity = "hard"
    why: str
    who: str | None = None


class StopsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose stops."""

    customer: str | None = None
    rows: Rows = ROWS


class StopAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stop to set; `resumes_at` (RFC 3339) is when a pause ends by itself."""

    scope: str
    kind: StopKind
    why: str
    who: str | None = None
    resumes_at: str | None = None


class StopLifted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stop to lift."""

    scope: str
    kind: StopKind
    why: str
    who: str | None = None
