"""The baselines of the customers and projects that spend now, each read once in a while and bounded in number."""

from collections import OrderedDict
from typing import TYPE_CHECKING

from billing_pipeline.guardrails.velocity.baseline import Baseline, baseline_of
from billing_pipeline.guardrails.watching.reading import (
    ScopeKey,
    past_hours,
    recent_minutes,
    stretches_left_out,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

BELIEVED_US = 600_000_000
"""So long a baseline is believed: it moves slowly."""
KEPT = 5_000
READ_IN_A_RUN = 500
"""More are read the next time, so that a run takes seconds at most."""


class Baselines:
    """Of each scope its baseline, or None where there is too little history."""

    def __init__(self, control: "Engine") -> None:
        self._control = control
        self._known: OrderedDict[ScopeKey, tuple[int, Baseline | None]] = OrderedDict()
        self._may_read = READ_IN_A_RUN

    def begin_run(self) -> None:
        """Another run of the watch: as many may be read again."""
        self._may_read = READ_IN_A_RUN

    def of(self, key: ScopeKey, now_us: int) -> Baseline | None:
        """The baseline of a scope at an instant (UTC µs), at most ten minutes old where it could be read."""
        known = self._known.get(key)
        if known is None or now_us >= known[0]:
            if self._may_read <= 0:
                return known[1] if known is not None else None
            self._may_read -= 1
            known = self._known[key] = (now_us + BELIEVED_US, self._read(key, now_us))
        self._known.move_to_end(key)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return known[1]

    def _read(self, key: ScopeKey, now_us: int) -> Baseline | None:
        return baseline_of(
            recent_minutes(self._control, key, now_us),
            past_hours(self._control, key, now_us),
            now_us,
            stretches_left_out(self._control, key[0], now_us),
        )
