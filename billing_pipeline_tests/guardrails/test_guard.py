"""What products call: reserve, settle and the rest, holds as `with` blocks, guarded functions; for threads."""

import inspect
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from billing_pipeline.errors import (
    GuardConflictError,
    GuardDeniedError,
    GuardRequestError,
    GuardUnavailableError,
    HoldNotFoundError,
    UnpricedUsageError,
)
from billing_pipeline.guardrails.calling.async_calls import AsyncCalls
from billing_pipeline.guardrails.calling.calls import Calls
from billing_pipeline.guardrails.guard import Guard
from billing_pipeline.guardrails.requests import Release, Reserve, Settle
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline_tests.guardrails.told_ledger import PRICE, ToldLedger

TOKENS = Usage(unit="token", quantity="2")


@pytest.fixture
def ledger() -> ToldLedger:
    return ToldLedger(500 * PRICE)


@pytest.fixture
def guard(ledger: ToldLedger) -> Guard:
    return Guard(ledger)


def kinds(ledger: ToldLedger) -> list[type]:
    """Of the requests that were made."""
    return [type(request) for request in ledger.requests]


def test_a_reserve_holds_and_a_settle_books(guard: Guard, ledger: ToldLedger) -> None:
    """Estimated in usage, settled in money."""
    granted = guard.reserve("acme", "p", "run-7", estimate=[TOKENS, TOKENS], ttl_seconds=60, user_id="u")
    assert (granted.amount, granted.session_id) == (4 * PRICE, "run-7")
    assert guard.extend(granted.hold_id, 900).expires_at > granted.expires_at
    ended = guard.settle(granted.hold_id, 3 * PRICE)
    assert (ended.booked, ended.freed) == (3 * PRICE, PRICE)
    assert ledger.available == 497 * PRICE


def test_a_key_of_the_callers_own_gets_the_same_hold_again(guard: Guard, ledger: ToldLedger) -> None:
    """Without one, each reserve is another action."""
    first, again = (guard.reserve("acme", "p", estimate=5, idempotency_key="k") for _ in range(2))
    assert first == again
    assert guard.reserve("acme", "p", estimate=5) != guard.reserve("acme", "p", estimate=5)
    with pytest.raises(GuardConflictError):
        guard.reserve("acme", "p", estimate=6, idempotency_key="k")
    assert len(ledger.open) == 3


def test_a_denial_is_raised_with_all_that_is_known(guard: Guard, ledger: ToldLedger) -> None:
    ledger.available = 1_500_000_000
    with pytest.raises(
        GuardDeniedError, match=r"credit of customer:acme: 1\.50 USD left, 2\.00 USD asked"
    ) as told:
        guard.reserve("acme", "p", estimate=2_000_000_000)
    assert (told.value.rule, told.value.left, told.value.asked) == ("credit", 1_500_000_000, 2_000_000_000)


def test_errors_of_the_ledger_are_raised_as_they_are(guard: Guard, ledger: ToldLedger) -> None:
    ledger.failures = [UnpricedUsageError("usage", "add a price")]
    with pytest.raises(UnpricedUsageError):
        guard.reserve("acme", "p", estimate=1)
    with pytest.raises(HoldNotFoundError):
        guard.release("f" * 32)


@pytest.mark.parametrize("cost", [0.5, True, "5", None, [], [5], {"unit": "token"}])
def test_a_cost_that_is_none_is_refused_before_anything_is_asked(
    guard: Guard, ledger: ToldLedger, cost: Any
) -> None:
    """A float before all."""
    with pytest.raises(GuardRequestError, match="give nano-units as an int, a Usage"):
        guard.reserve("acme", "p", estimate=cost)
    assert not ledger.requests


class TestHold:
    def test_it_is_for_one_block(self, guard: Guard, ledger: ToldLedger) -> None:
        """What would run in another one is held by nothing; and before the block nothing is held."""
        hold = guard.hold("acme", "p", estimate=7)
        with pytest.raises(GuardConflictError, match="nothing is held yet"):
            hold.settle(7)
        with hold:
            pass
        with pytest.raises(GuardConflictError, match="for one block"), hold:
            pytest.fail("the action ran")
        assert kinds(ledger) == [Reserve, Settle]

    def test_it_is_settled_at_what_the_body_says(self, guard: Guard, ledger: ToldLedger) -> None:
        """By usage, which the ledger sends to the log."""
        used = Usage(unit="token", quantity="1", source="chat", id="req-1")
        with guard.hold("acme", "p", estimate=TOKENS) as hold:
            ended = hold.settle(used)
        assert ended is hold.ended
        assert ledger.requests[1:] == [Settle(hold_id=hold.hold_id, usage=(used,))]
        assert ledger.available == 499 * PRICE

    def test_under_a_key_of_the_callers_own_it_is_found_again_while_it_is_open(
        self, guard: Guard, ledger: ToldLedger
    ) -> None:
        """With its whole time from now on. Once it has ended the block does not run: nothing would hold it."""
        first = guard.reserve("acme", "p", estimate=7, idempotency_key="job", ttl_seconds=60)
        with guard.hold("acme", "p", estimate=7, idempotency_key="job", ttl_seconds=60) as hold:
            assert (hold.hold_id, hold.idempotency_key) == (first.hold_id, "job")
            extend = ledger.requests[-1]
            assert (extend.hold_id, extend.ttl_seconds) == (first.hold_id, 60)
        with (
            pytest.raises(GuardConflictError, match="has ended"),
            guard.hold("acme", "p", estimate=7, idempotency_key="job", ttl_seconds=60),
        ):
            pytest.fail("the action ran")
        assert ledger.available == 500 * PRICE - 7

    def test_without_a_settle_it_is_settled_at_its_estimate(self, guard: Guard, ledger: ToldLedger) -> None:
        with guard.hold("acme", "p", estimate=TOKENS) as hold:
            pass
        assert ledger.requests[1:] == [Settle(hold_id=hold.hold_id, usage=(TOKENS,))]

    def test_an_exception_in_the_body_releases_it(self, guard: Guard, ledger: ToldLedger) -> None:
        """And goes on."""
        with pytest.raises(ZeroDivisionError), guard.hold("acme", "p", estimate=7) as hold:
            raise ZeroDivisionError
        assert ledger.requests[1:] == [Release(hold_id=hold.hold_id)]
        assert ledger.available == 500 * PRICE

    def test_an_exception_settles_it_at_the_estimate_where_that_was_asked_for(
        self, guard: Guard, ledger: ToldLedger
    ) -> None:
        with pytest.raises(ZeroDivisionError), guard.hold("acme", "p", estimate=7, on_error="settle"):
            raise ZeroDivisionError
        assert ledger.available == 500 * PRICE - 7

    def test_an_exception_after_the_settle_changes_nothing(self, guard: Guard, ledger: ToldLedger) -> None:
        def run() -> None:
            with guard.hold("acme", "p", estimate=7) as hold:
                hold.settle(3)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            run()
        assert ledger.available == 500 * PRICE - 3

    def test_the_same_settle_twice_is_one(self, guard: Guard, ledger: ToldLedger) -> None:
        """Another one is a conflict."""
        with guard.hold("acme", "p", estimate=7) as hold:
            assert hold.settle(3) == hold.settle(3)
            with pytest.raises(GuardConflictError):
                hold.settle(4)
        assert ledger.available == 500 * PRICE - 3

    def test_it_may_be_released_by_the_body(self, guard: Guard, ledger: ToldLedger) -> None:
        with guard.hold("acme", "p", estimate=7) as hold:
            hold.release()
        assert kinds(ledger) == [Reserve, Release]
        assert ledger.available == 500 * PRICE

    def test_it_may_be_extended_by_the_body(self, guard: Guard) -> None:
        with guard.hold("acme", "p", estimate=7, ttl_seconds=10) as hold:
            extended = hold.extend(900)
        assert extended is not None
        assert hold.granted is not None
        assert extended.expires_at - hold.granted.expires_at == 890_000_000

    def test_a_denied_body_does_not_run(self, guard: Guard, ledger: ToldLedger) -> None:
        ran = False
        with pytest.raises(GuardDeniedError), guard.hold("acme", "p", estimate=501 * PRICE):
            ran = True
        assert not ran
        assert kinds(ledger) == [Reserve]

    def test_a_failed_settle_gives_nothing_back(self, guard: Guard, ledger: ToldLedger) -> None:
        """The action ran: the hold stays until it is settled, which may also be after the block."""
        hold = guard.hold("acme", "p", estimate=7)

        def run() -> None:
            with hold:
                ledger.failures = [UnpricedUsageError("usage", "add a price")]
                hold.settle(TOKENS)

        with pytest.raises(UnpricedUsageError):
            run()
        assert ledger.available == 500 * PRICE - 7
        hold.settle(5)
        assert ledger.available == 500 * PRICE - 5

    def test_a_release_that_fails_does_not_hide_the_bodys_exception(
        self, guard: Guard, ledger: ToldLedger
    ) -> None:
        """It is told beside it."""

        def run() -> None:
            with guard.hold("acme", "p", estimate=7):
                ledger.failures = [GuardUnavailableError("gone")]
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as told:
            run()
        assert "it ends by time: gone" in told.value.__notes__[0]

    def test_a_settle_on_leaving_that_fails_is_raised(self, guard: Guard, ledger: ToldLedger) -> None:
        with pytest.raises(GuardUnavailableError, match="gone"), guard.hold("acme", "p", estimate=7):
            ledger.failures = [GuardUnavailableError("gone")]


class TestGuarded:
    def test_each_call_is_a_hold_of_its_own(self, guard: Guard, ledger: ToldLedger) -> None:
        """Estimated by its arguments, settled by its result."""

        @guard.guarded(
            customer_id=lambda prompt, *, customer: customer,  # noqa: ARG005 - as the function is called
            project_id="p",
            session_id=lambda prompt, *, customer: f"run-{prompt}",  # noqa: ARG005 - as above
            estimate=lambda prompt, *, customer: len(prompt) * 10,  # noqa: ARG005 - as above
            actual=len,
            step="answer",
        )
        def answer(prompt: str, *, customer: str) -> str:
            """Says it twice."""
            return f"{prompt}{prompt} of {customer}"

        assert answer("hello", customer="acme") == "hellohello of acme"
        reserve, settle = ledger.requests
        assert (reserve.customer_id, reserve.session_id, reserve.amount) == ("acme", "run-hello", 50)
        assert (reserve.step, settle.amount) == ("answer", 18)
        assert answer.__doc__ == "Says it twice."

    def test_without_an_actual_cost_it_is_the_estimate(self, guard: Guard, ledger: ToldLedger) -> None:
        @guard.guarded("acme", "p", estimate=TOKENS)
        def work() -> None: ...

        work()
        assert ledger.available == 498 * PRICE

    def test_a_call_that_raises_is_released(self, guard: Guard, ledger: ToldLedger) -> None:
        @guard.guarded("acme", "p", estimate=9)
        def work() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        assert ledger.available == 500 * PRICE

    def test_calls_with_the_same_arguments_are_told_to_be_identical(
        self, guard: Guard, ledger: ToldLedger
    ) -> None:
        """By function and arguments; and not where that is not wanted."""

        @guard.guarded("acme", "p", estimate=1)
        def search(text: str, *, most: int = 3) -> None: ...

        @guard.guarded("acme", "p", estimate=1, counts_repeats=False)
        def poll(text: str) -> None: ...

        search("a", most=1)
        search("a", most=1)
        search("b", most=1)
        poll("a")
        first, second, other, none = (each.call for each in ledger.requests if isinstance(each, Reserve))
        assert first == second != other
        assert none is None

    def test_arguments_that_json_does_not_know_are_told_by_their_repr(
        self, guard: Guard, ledger: ToldLedger
    ) -> None:
        """Objects that show their address are never identical."""

        @guard.guarded("acme", "p", estimate=1)
        def use(thing: object) -> None: ...

        things = [object(), object()]
        for thing in (*things, {1: "a", "b": {3, 4}}, float("nan"), "\ud800"):
            use(thing)
        calls = [each.call for each in ledger.requests if isinstance(each, Reserve)]
        assert len(set(calls)) == len(calls)

    def test_what_is_not_over_when_it_returns_is_refused(self, guard: Guard) -> None:
        def numbers() -> Iterator[int]:
            yield 1

        async def wait() -> None: ...

        for function in (numbers, wait):
            with pytest.raises(TypeError):
                guard.guarded("acme", "p", estimate=1)(function)
        with pytest.raises(TypeError, match="hold a block under a key of its own"):
            guard.guarded("acme", "p", estimate=1, idempotency_key="k")


def test_a_ledger_that_does_not_answer_is_unreachable() -> None:
    """And what it has not begun is taken back."""
    future: Future[Any] = Future()

    class Silent(ToldLedger):
        def submit(self, request: Any) -> Future[Any]:  # noqa: ARG002 - as the port
            return future

    with pytest.raises(GuardUnavailableError, match=r"within 0\.01 s"):
        Guard(Silent(), timeout_seconds=0.01).reserve("acme", "p", estimate=1)
    assert future.cancelled()


def test_open_for_some_customers_their_actions_run_unguarded(ledger: ToldLedger) -> None:
    """While the ledger cannot be reached; those of the others do not run."""
    guard = Guard(ledger, when_unreachable=lambda customer_id: "open" if customer_id == "acme" else "closed")
    ledger.failures = [GuardUnavailableError("gone")] * 2
    with guard.hold("acme", "p", estimate=7) as hold:
        assert (hold.unguarded, hold.settle(1)) == (True, None)
    with pytest.raises(GuardUnavailableError), guard.hold("bolt", "p", estimate=7):
        pytest.fail("the action ran")
    with guard.hold("acme", "p", estimate=7) as hold:
        assert not hold.unguarded


@pytest.mark.parametrize("name", ["reserve", "settle", "release", "extend", "hold", "guarded"])
def test_coroutines_call_it_as_threads_do(name: str) -> None:
    """With the same arguments."""
    asked, asked_async = (inspect.signature(getattr(each, name)) for each in (Calls, AsyncCalls))
    for one, other in zip(asked.parameters.values(), asked_async.parameters.values(), strict=True):
        assert (one.name, one.kind, one.default) == (other.name, other.kind, other.default)
