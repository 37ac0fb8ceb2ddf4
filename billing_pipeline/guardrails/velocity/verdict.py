"""What the detector says. Amounts are nano-units, instants UTC µs."""

from enum import StrEnum
from typing import Literal

import msgspec

Severity = Literal["none", "low", "high"]


class VelocityRule(StrEnum):
    """Why a customer or project is paused."""

    ABSOLUTE = "absolute"
    """More was spent in a minute than the policy lets anybody."""
    COST_PER_CALL = "cost_per_call"
    """A call of the minute cost more in the mean than the policy lets anybody."""
    BASELINE = "baseline"
    """Far more was spent than this customer or project ordinarily spends."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Of one customer or project at one instant.

    Attributes:
        rule: None where it goes on.
        since: start of the first minute that is too much, or of the minute that was looked at.
        minutes: over how many minutes `observed` was spent.
        observed: what was spent in them; for `cost_per_call` what a call cost.
        expected: what is ordinary for them; 0 where there is no baseline.
        deviation: how many robust deviations above it; 0 where there is no baseline. A float: it is shown, not booked.
        threshold: more than this pauses.
        severity: `low` is half way to a pause.
    """

    rule: VelocityRule | None = None
    since: int
    minutes: int = 1
    observed: int
    expected: int = 0
    deviation: float = 0.0
    threshold: int = 0
    severity: Severity = "none"

    @property
    def pauses(self) -> bool:
        """Whether it is to be stopped."""
        return self.rule is not None
