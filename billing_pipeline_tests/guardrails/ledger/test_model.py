"""Whatever is asked in whatever order, the ledger answers as a pure model does, and its books are sound."""

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_pipeline.audit.guard_invariants import guard_faults
from billing_pipeline.errors import GuardConflictError
from billing_pipeline.guardrails.answers import Denied, Ended, Granted
from billing_pipeline.guardrails.commands import AddGrant, ExpireDue, Lift, Stop
from billing_pipeline.guardrails.requests import Release, Settle
from billing_pipeline.guardrails.terms import BreakerTerms, LimitTerm
from billing_pipeline_tests.guardrails.ledger.model import Model, ModelHold
from billing_pipeline_tests.guardrails.made_ledger import MadeLedger, made_reserve, made_terms

if TYPE_CHECKING:
    from collections.abc import Callable

WHO, WHY = "ops@example.com", "asked for"
AMOUNTS = st.integers(0, 120)
LIMITS = st.none() | st.integers(100, 600)
TERMS = st.tuples(st.booleans(), LIMITS, LIMITS, st.sampled_from([1, 1, 2, 4, None]))
ALL_LEFT, ONE_MORE = -1, -2
"""Instead of an amount: just what may be held, and one more than that."""
WHICH = st.integers(0, 7)
"""Which of the last holds."""
RESERVE = st.tuples(
    st.just("reserve"),
    st.sampled_from(["p", "q"]),
    st.sampled_from(["s", "s", "t", None]),
    AMOUNTS | st.sampled_from([ALL_LEFT, ONE_MORE]),
    st.sampled_from([1, 90, 3600]),
)
SETTLE = st.tuples(st.just("settle"), WHICH, AMOUNTS | st.integers(100, 500))
SCOPES = st.sampled_from(["customer", "project p", "session s"])
RELEASE = st.tuples(st.just("release"), WHICH)
PASS_TIME = st.tuples(st.just("pass_time"), st.sampled_from([0.5, 61, 3601, 86_400]))
EXPIRE = st.tuples(st.just("expire"), st.sampled_from([1, 91]))
GRANT = st.tuples(st.just("grant"), st.integers(1, 300))
KILL, LIFT = st.tuples(st.just("kill"), SCOPES), st.tuples(st.just("lift"), SCOPES)
STEPS = st.sampled_from(
    [*[RESERVE] * 6, *[SETTLE] * 4, *[RELEASE] * 2, PASS_TIME, *[EXPIRE] * 2, *[GRANT] * 2, KILL, *[LIFT] * 6]
).flatmap(lambda each: each)


class Story:
    """One customer of a ledger that other stories use too, beside its model."""

    numbers = itertools.count()

    def __init__(
        self, ledger: MadeLedger, terms: tuple[bool, int | None, int | None, int | None], seen: Counter[str]
    ) -> None:
        needs_credit, day, minute, steps = terms
        self.ledger = ledger
        self.seen = seen
        self.customer_id = f"c{next(self.numbers)}"
        self.pairs: list[tuple[Granted, ModelHold]] = []
        self.model = Model(ledger.clock.at_us, needs_credit, day, minute, steps)
        limits = [
            LimitTerm(kind, window, "hard", amount)  # type: ignore[arg-type]  # of these
            for kind, window, amount in (("customer", "day", day), ("project", "minute", minute))
            if amount is not None
        ]
        ledger.terms.own[self.customer_id] = made_terms(
            needs_credit=needs_credit,
            limits=tuple(limits),
            breaker=BreakerTerms(steps=steps),
            overdraft_trips=False,
        )

    def ask(self, request: Any) -> Any:
        """The answer, or the code of the conflict."""
        try:
            answer = self.ledger.do(request)
        except GuardConflictError as conflict:
            answer = conflict.code
        told = (
            answer
            if isinstance(answer, str)
            else getattr(answer, "rule", getattr(answer, "state", "granted"))
        )
        self.seen[f"{type(request).__name__} {told}"] += 1
        return answer

    def reserve(self, project: str, session: str | None, amount: int, ttl: int) -> None:
        """Ask twice, and compare the answer."""
        if amount < 0:
            amount = self.model.left(project) + (amount == ONE_MORE)
        request = made_reserve(
            f"k{next(self.numbers)}",
            amount,
            customer_id=self.customer_id,
            project_id=project,
            session_id=session,
            ttl_seconds=ttl,
        )
        expected = self.model.reserve(project, session, amount, ttl)
        answer = self.ask(request)
        assert self.ask(request) == answer, "a repeat gets the same answer"
        if isinstance(answer, Denied):
            assert str(answer.rule) == expected
            return
        assert isinstance(expected, ModelHold), expected
        assert (answer.amount, answer.expires_at) == (expected.amount, expected.expires_at)
        self.pairs.append((answer, expected))

    def settle(self, which: int, amount: int) -> None:
        """One of the last holds, whatever has become of it."""
        if not self.pairs:
            return
        granted, hold = self.pairs[-1 - which % len(self.pairs)]
        before = hold.booked
        request = Settle(hold_id=granted.hold_id, amount=amount)
        answer = self.ask(request)
        if isinstance(answer, Ended) and before is not None:
            assert answer.booked == before == amount, "a repeat books nothing anew"
            return
        expected = self.model.settle(hold, amount)
        if isinstance(answer, Ended):
            assert (answer.state, answer.booked, answer.late) == (expected, amount, expected == "expired")
            self.seen["overdraft"] += answer.overdraft > 0
            assert self.ask(request) == answer
        else:
            assert expected == "hold_ended"
            assert answer in {"hold_ended", "idempotency_conflict"}

    def release(self, which: int) -> None:
        """One of the last holds, whatever has become of it."""
        if not self.pairs:
            return
        granted, hold = self.pairs[-1 - which % len(self.pairs)]
        was_released = hold.state == "released"
        answer = self.ask(Release(hold_id=granted.hold_id))
        expected = "released" if was_released else self.model.release(hold)
        assert (answer.state if isinstance(answer, Ended) else answer) == expected

    def pass_time(self, seconds: float) -> None:
        """Nothing happens by itself: a test says when what is due is ended."""
        self.ledger.clock.pass_seconds(seconds)
        self.model.at_us = self.ledger.clock.at_us

    def expire(self, seconds: float) -> None:
        """Let so much time pass and end what is due, also of other stories."""
        self.pass_time(seconds)
        self.ledger.do(ExpireDue(at_most=100_000))
        self.seen["expired"] += self.model.expire()

    def grant(self, amount: int) -> None:
        """Credit."""
        grant_id = f"g{next(self.numbers)}"
        command = AddGrant(customer_id=self.customer_id, currency="usd", grant_id=grant_id, amount=amount)
        self.ledger.do(command)
        self.model.add_grant(amount)

    def kill(self, what: str) -> None:
        """The switch of a scope."""
        self.ledger.do(Stop(scope=self._scope(what), kind="kill", who=WHO, why=WHY))
        self.model.killed.add(what)

    def lift(self, what: str) -> None:
        """The switch of a scope."""
        self.ledger.do(Lift(scope=self._scope(what), kind="kill", who=WHO, why=WHY))
        self.model.killed.discard(what)

    def _scope(self, what: str) -> str:
        kind, _, name = what.partition(" ")
        return f"{kind}:{self.customer_id}" + (f"/{name}" if name else "")

    def compare(self) -> None:
        """The account, as the model has it."""
        model = self.model
        if model.holds or model.granted:
            account = self.ledger.account(self.customer_id)
            assert (account["held"], account["spent"]) == (model.held, model.spent)
            assert (account["available"], -account["overdraft"]) == (model.available, model.overdraft)


def run(ledger: MadeLedger, examples: int, steps: int) -> Counter[str]:
    """Play stories against ledger and model; what has been answered how often."""
    seen: Counter[str] = Counter()

    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(terms=TERMS, told=st.lists(STEPS, min_size=steps // 2, max_size=steps))
    def play(terms: tuple[bool, int | None, int | None, int | None], told: list[tuple[Any, ...]]) -> None:
        story = Story(ledger, terms, seen)
        for name, *values in told:
            step: Callable[..., None] = getattr(story, name)
            step(*values)
            story.compare()

    play()
    assert guard_faults(ledger.engine) == []
    return seen


def check_coverage(seen: Counter[str]) -> None:
    """The stories have met every answer."""
    wanted = {
        "Reserve granted",
        *(f"Reserve {rule}" for rule in ("killed", "session_steps", "breaker_open", "hard_limit", "credit")),
        *(f"Settle {how}" for how in ("settled", "expired", "hold_ended", "idempotency_conflict")),
        *(f"Release {how}" for how in ("released", "hold_ended")),
        "overdraft",
        "expired",
    }
    assert {name for name in wanted if not seen[name]} == set()


def test_the_ledger_does_as_its_model(ledger: MadeLedger) -> None:
    """Reserve, settle, release, expiry, grants and kill switches in any order, on both databases."""
    check_coverage(run(ledger, examples=40, steps=60))


@pytest.mark.torture
def test_the_ledger_does_as_its_model_at_length(ledger: MadeLedger) -> None:
    """The same, with many more and longer histories."""
    seen = run(ledger, examples=600, steps=150)
    print(sum(seen.values()), dict(seen))  # noqa: T201 - the figures are what a person runs it for
    check_coverage(seen)
