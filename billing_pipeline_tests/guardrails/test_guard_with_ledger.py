"""What products call over the real ledger, on either engine."""

import threading
from collections import Counter

import pytest

from billing_pipeline.errors import GuardConflictError, GuardDeniedError, UnpricedUsageError
from billing_pipeline.guardrails.commands import AddGrant, ExpireDue, Stop
from billing_pipeline.guardrails.guard import Guard
from billing_pipeline.guardrails.stored_balance import StoredBalances
from billing_pipeline.guardrails.terms import BreakerTerms
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline_tests.guardrails.made_ledger import MadeLedger, made_terms


@pytest.fixture
def guard(ledger: MadeLedger) -> Guard:
    return Guard(ledger.writer, StoredBalances(ledger.engine, ledger.terms, ledger.clock))


def test_20_threads_hold_75_of_500_six_times(guard: Guard, ledger: MadeLedger) -> None:
    ledger.terms.for_all = made_terms(needs_credit=True)
    ledger.writer.submit(AddGrant(customer_id="acme", currency="usd", grant_id="g", amount=500)).result()
    found: Counter[str] = Counter()

    def reserve() -> None:
        try:
            guard.reserve("acme", "p", estimate=75)
            found["granted"] += 1
        except GuardDeniedError as error:
            found[error.rule] += 1

    threads = [threading.Thread(target=reserve) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"granted": 6, "credit": 14}
    assert guard.balance("acme").funds[0].available == 50


def test_a_guarded_function_that_repeats_itself_is_stopped(guard: Guard, ledger: MadeLedger) -> None:
    """After as many identical calls as the breaker lets through; others are no repeats of it."""
    ledger.terms.for_all = made_terms(breaker=BreakerTerms(identical_calls=3))
    searched: list[str] = []

    @guard.guarded("acme", "p", "run-7", estimate=10)
    def search(query: str) -> None:
        searched.append(query)

    for query in ("a", "a", "b", "a", "a", "a"):
        search(query)
    with pytest.raises(GuardDeniedError, match="identical_calls of session:acme/run-7"):
        search("a")
    with pytest.raises(GuardDeniedError, match="breaker_open"):
        search("c")
    assert len(searched) == 6


def test_a_hold_that_expired_is_settled_all_the_same(guard: Guard, ledger: MadeLedger) -> None:
    """And an extended one has not expired."""
    with guard.hold("acme", "p", estimate=100, ttl_seconds=10) as late:
        ledger.clock.pass_seconds(11)
        ledger.writer.submit(ExpireDue()).result()
        ended = late.settle(60)
    assert ended is not None
    assert (ended.late, ended.booked) == (True, 60)
    with guard.hold("acme", "p", estimate=100, ttl_seconds=10) as kept:
        kept.extend(60)
        ledger.clock.pass_seconds(11)
        ledger.writer.submit(ExpireDue()).result()
        ended = kept.settle(60)
    assert ended is not None
    assert (ended.late, ended.freed) == (False, 40)


def test_a_hold_that_expired_lets_nothing_run_under_its_key(guard: Guard, ledger: MadeLedger) -> None:
    """What it held was given back; the block would run beyond what was admitted."""
    guard.reserve("acme", "p", estimate=100, idempotency_key="job", ttl_seconds=10)
    ledger.clock.pass_seconds(11)
    ledger.writer.submit(ExpireDue()).result()
    hold = guard.hold("acme", "p", estimate=100, idempotency_key="job", ttl_seconds=10)
    with pytest.raises(GuardConflictError, match="is expired already"), hold:
        pytest.fail("the action ran")
    assert guard.balance("acme").funds[0].spent == 0


def test_what_ran_is_settled_while_its_customer_is_killed(guard: Guard, ledger: MadeLedger) -> None:
    """The next one does not run, and is told why."""
    with guard.hold("acme", "p", estimate=100):
        stop = Stop(scope="customer:acme", kind="kill", who="ops@example.com", why="a leaked key")
        ledger.writer.submit(stop).result()
    with pytest.raises(GuardDeniedError, match=r"denied by killed of customer:acme.*because: a leaked key"):
        guard.reserve("acme", "p", estimate=1)
    assert guard.balance("acme").funds[0].spent == 100


def test_usage_that_cannot_be_priced_at_the_settle_keeps_the_hold(guard: Guard) -> None:
    """Until the product settles it at what can be."""
    hold = guard.hold("acme", "p", estimate=10_000)

    def work() -> None:
        with hold:
            hold.settle(Usage(unit="page", quantity="1"))

    with pytest.raises(UnpricedUsageError):
        work()
    assert guard.balance("acme").funds[0].held == 10_000
    ended = hold.settle(Usage(unit="token", quantity="2"))
    assert ended is not None
    assert ended.booked == 2001
