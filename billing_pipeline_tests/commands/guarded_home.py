"""A home in which the guard has stopped something: the commands, the API and the console have people decide on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from billing_pipeline.control.clock import now_us
from billing_pipeline.guardrails.answers import Granted
from billing_pipeline.guardrails.commands import AddGrant, Stop
from billing_pipeline.guardrails.requests import Settle
from billing_pipeline.guardrails.terms import BreakerTerms, LimitTerm
from billing_pipeline.settings import load_settings
from billing_pipeline_tests.guardrails.made_ledger import (
    Clock,
    MadeLedger,
    TermsByCustomer,
    made_reserve,
    made_terms,
)

USD = 10**9
_MINUTE_US = 60_000_000
_DAY_US = 1440 * _MINUTE_US


def control_url(home: Path) -> str:
    """Of the home's control database."""
    home.mkdir(parents=True, exist_ok=True)
    return load_settings({"BILLING_HOME": str(home)}).control_url


@contextmanager
def made_ledger(url: str, clock: Clock | None = None) -> Iterator[MadeLedger]:
    """A ledger under a plan with a soft limit of 10 dollars a day and a breaker at 20 a session."""
    now = now_us()
    terms = made_terms(
        period_starts_at=now - _DAY_US,
        period_ends_at=now + _DAY_US,
        limits=(
            LimitTerm("customer", "day", "soft", 10 * USD),
            LimitTerm("session", "session", "hard", 20 * USD),
        ),
        breaker=BreakerTerms(steps=50, spend=20 * USD),
    )
    # A little before the wall clock, by which the commands under test go on.
    ledger = MadeLedger(url, TermsByCustomer(terms), clock or Clock(now - _MINUTE_US))
    try:
        yield ledger
    finally:
        ledger.close()


def run_away(url: str, clock: Clock | None = None) -> None:
    """The run-7 of acme spends until its breaker opens, across a soft limit; project p is paused for speed."""
    with made_ledger(url, clock) as ledger:
        submit = ledger.writer.submit
        submit(AddGrant(customer_id="acme", currency="usd", grant_id="prepaid", amount=500 * USD)).result()
        for number in range(6):
            reserve = made_reserve(
                f"k-{number}", 4 * USD, session_id="run-7", step="completion", call=f"search-{number}"
            )
            answer = submit(reserve).result()
            if isinstance(answer, Granted):
                submit(Settle(hold_id=answer.hold_id, amount=4 * USD)).result()
        submit(made_reserve("open", 1 * USD, session_id="run-8")).result()
        submit(
            Stop(
                scope="project:acme/p",
                kind="pause",
                who="velocity",
                why="spend per minute far above its baseline",
                currency="usd",
                review_kind="velocity",
                evidence='{"rule":"velocity","used":"21000000000"}',
            )
        ).result()
