"""Whom a call is booked for: what a provider does not know, and the product does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from billing_pipeline.contract.events import AllocationShare
from billing_pipeline.contract.reason_codes import UsageReason


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """What is the same for all events of one call.

    From `occurred_at` on, what is left out is taken from what the provider reports, where that tells it.
    """

    source: str
    """The producer; with the id it identifies an event, so it stays the same when a call is reported again."""
    customer_id: str
    project_id: str
    occurred_at: datetime | None = None
    """Aware. The same whenever the call is reported again, or it becomes a conflict instead of a duplicate."""
    action_id: str | None = None
    """What the ids are made of: the response's id where left out."""
    correlation_id: str | None = None
    model: str | None = None
    provider: str | None = None
    step: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    parent_id: str | None = None
    billable: bool = True
    reason_code: UsageReason | None = None
    """Required where the call is not billable."""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    """Beside those that are made of the report, which come first where they have the same name."""
    allocations: Sequence[AllocationShare] = ()

    def not_billable(self, reason: UsageReason) -> "Attribution":
        """The same for a call that is not billable; a reason that is given already stays."""
        given = None if self.billable else self.reason_code
        return replace(self, billable=False, reason_code=given or reason)

    def failed(self) -> "Attribution":
        """The same for a call that failed."""
        return self.not_billable(UsageReason.PROVIDER_ERROR)
