"""The ledger as a model: lists of what has happened, folded anew for every question. Nothing of the product in it."""

from dataclasses import dataclass, field

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000


@dataclass
class ModelHold:
    """A hold and what has become of it."""

    project_id: str
    session_id: str | None
    amount: int
    granted_at: int
    expires_at: int
    state: str = "pending"
    booked: int | None = None

    @property
    def counts(self) -> int:
        """What it takes of limits."""
        return self.amount if self.state == "pending" else self.booked or 0


@dataclass
class Model:
    """One customer. `needs_credit` and the limits are fixed, as a test begins with them."""

    at_us: int
    needs_credit: bool
    daily_limit: int | None
    minute_limit_of_projects: int | None
    session_steps: int | None
    holds: list[ModelHold] = field(default_factory=list)
    granted: int = 0
    overdraft: int = 0
    killed: set[str] = field(default_factory=set)
    steps: dict[str, int] = field(default_factory=dict)
    open_sessions: set[str] = field(default_factory=set)

    @property
    def held(self) -> int:
        """By open holds."""
        return sum(hold.amount for hold in self.holds if hold.state == "pending")

    @property
    def spent(self) -> int:
        """Settled, in time or late."""
        return sum(hold.booked or 0 for hold in self.holds)

    @property
    def available(self) -> int:
        """What can be held."""
        return self.granted + self.overdraft - self.held - self.spent

    def reserve(
        self, project_id: str, session_id: str | None, amount: int, ttl_seconds: int
    ) -> str | ModelHold:
        """The hold, or the rule that denies."""
        scopes = {"customer", f"project {project_id}", f"session {session_id}"}
        if self.killed & scopes:
            return "killed"
        if session_id is not None and (rule := self._broken(session_id)):
            return rule
        if self._is_over(amount, self.daily_limit, DAY_US, None) or self._is_over(
            amount, self.minute_limit_of_projects, MINUTE_US, project_id
        ):
            return "hard_limit"
        if self.needs_credit and amount > self.available:
            return "credit"
        hold = ModelHold(project_id, session_id, amount, self.at_us, self.at_us + ttl_seconds * 1_000_000)
        self.holds.append(hold)
        if session_id is not None:
            self.steps[session_id] = self.steps.get(session_id, 0) + 1
        return hold

    def left(self, project_id: str) -> int:
        """The largest amount that limits and credit let be held now; some amount where nothing bounds it."""
        bounds = [
            limit - self._used(length_us, of)
            for limit, length_us, of in (
                (self.daily_limit, DAY_US, None),
                (self.minute_limit_of_projects, MINUTE_US, project_id),
            )
            if limit is not None
        ]
        if self.needs_credit:
            bounds.append(self.available)
        return max(min(bounds, default=50), 0)

    def _broken(self, session_id: str) -> str | None:
        if session_id in self.open_sessions:
            return "breaker_open"
        if self.session_steps is not None and self.steps.get(session_id, 0) >= self.session_steps:
            self.open_sessions.add(session_id)
            return "session_steps"
        return None

    def _is_over(self, amount: int, limit: int | None, length_us: int, project_id: str | None) -> bool:
        return limit is not None and self._used(length_us, project_id) + amount > limit

    def _used(self, length_us: int, project_id: str | None) -> int:
        return sum(
            hold.counts
            for hold in self.holds
            if hold.granted_at // length_us == self.at_us // length_us
            and project_id in {None, hold.project_id}
        )

    def settle(self, hold: ModelHold, amount: int) -> str:
        """How it was booked, or why it is refused."""
        if hold.booked is not None or hold.state == "released":
            return "hold_ended"
        over = amount - (hold.amount if hold.state == "pending" else 0)
        if self.needs_credit and over > 0:
            self.overdraft += max(over - max(self.available, 0), 0)
        if hold.state == "pending":
            hold.state = "settled"
        hold.booked = amount
        return hold.state

    def release(self, hold: ModelHold) -> str:
        """How it ended, or why it is refused."""
        if hold.state != "pending":
            return "hold_ended"
        hold.state = "released"
        return hold.state

    def expire(self) -> int:
        """How many holds time has ended."""
        due = [hold for hold in self.holds if hold.state == "pending" and hold.expires_at <= self.at_us]
        for hold in due:
            hold.state = "expired"
        return len(due)

    def add_grant(self, amount: int) -> None:
        """Credit; it fills an overdraft first."""
        self.granted += amount
        self.overdraft -= min(amount, self.overdraft)
