"""20 simultaneous reservations of 75 against 500 grant exactly 6 and deny 14, wherever they come from."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import pytest

from billing_pipeline.audit.guard_invariants import guard_faults
from billing_pipeline.control.database import open_control
from billing_pipeline.guardrails.answers import DenialRule, Granted
from billing_pipeline.guardrails.commands import AddGrant
from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline_tests.guardrails.made_ledger import TermsByCustomer, made_reserve
from billing_pipeline_tests.scenarios.guard_replay import replay
from billing_pipeline_tests.scenarios.guard_terms import hard, lasting_terms, open_writer

AT_ONCE, ASKED, LIMIT = 20, 75, 500
PROCESSES = 4
PATIENCE_SECONDS = 60
TORTURE_ROUNDS = 50

BY_LIMIT = lasting_terms(limits=(hard("customer", "period", LIMIT),))
BY_CREDIT = lasting_terms(needs_credit=True)
WaitForAll = Callable[[], object]


def ask(writer: LedgerWriter, customer_id: str, key: str) -> str:
    """`granted`, or the rule that denied."""
    request = made_reserve(key, ASKED, customer_id=customer_id)
    answer = writer.submit(request).result(PATIENCE_SECONDS)
    return "granted" if isinstance(answer, Granted) else str(answer.rule)


def ask_at_once(
    writers: list[LedgerWriter], customer_id: str, name: str, count: int, wait_for_all: WaitForAll
) -> list[str]:
    """So many threads that ask once each, all at the same moment, in turn of one writer and of the next."""

    def one(number: int) -> str:
        wait_for_all()
        return ask(writers[number % len(writers)], customer_id, f"{name}/{number}")

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


def by_threads(url: str, customer_id: str, writers: int) -> list[str]:
    """20 threads of this process."""
    with ExitStack() as stack:
        opened = [stack.enter_context(open_writer(url, terms_of(customer_id))) for _ in range(writers)]
        barrier = threading.Barrier(AT_ONCE)
        return ask_at_once(opened, customer_id, "threads", AT_ONCE, barrier.wait)


def by_processes(url: str, customer_id: str) -> list[str]:
    """5 threads in each of 4 processes."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(AT_ONCE)
    tasks = [(url, customer_id, f"process {number}", barrier) for number in range(PROCESSES)]
    pipes = [context.Pipe(duplex=False) for _ in tasks]
    processes = [
        context.Process(target=ask_in_child, args=(*task, sends), daemon=True)
        for task, (_, sends) in zip(tasks, pipes, strict=True)
    ]
    for process in processes:
        process.start()
    try:
        answers: list[str] = []
        for receives, _ in pipes:
            assert receives.poll(PATIENCE_SECONDS), "a process does not answer"
            answers += receives.recv()
        return answers
    finally:
        for process in processes:
            process.kill()
            process.join()


def ask_in_child(url: str, customer_id: str, name: str, barrier: Barrier, sends: object) -> None:
    """A share of the reservations, in a process of its own."""
    with open_writer(url, terms_of(customer_id)) as writer:
        # It is connected, so that all really come at once.
        writer.submit(AddGrant(customer_id="other", currency="usd", grant_id="g", amount=1)).result()
        answers = ask_at_once([writer], customer_id, name, AT_ONCE // PROCESSES, barrier.wait)
    sends.send(answers)  # type: ignore[attr-defined]  # a connection


def terms_of(customer_id: str) -> TermsByCustomer:
    return TermsByCustomer(BY_CREDIT if customer_id.startswith("credit") else BY_LIMIT)


WAYS: dict[str, Callable[[str, str], list[str]]] = {
    "threads of one writer": lambda url, customer_id: by_threads(url, customer_id, 1),
    "threads of three writers": lambda url, customer_id: by_threads(url, customer_id, 3),
    "processes": by_processes,
}


def check(url: str, way: str, rounds: int) -> None:
    engine = open_control(url)
    for number in range(rounds):
        for customer_id, rule in (
            (f"limit-{number}", DenialRule.HARD_LIMIT),
            (f"credit-{number}", DenialRule.CREDIT),
        ):
            with open_writer(url, terms_of(customer_id)) as writer:
                grant = AddGrant(customer_id=customer_id, currency="usd", grant_id="g", amount=LIMIT)
                writer.submit(grant).result(PATIENCE_SECONDS)
            answers = Counter(WAYS[way](url, customer_id))
            assert answers == {"granted": 6, str(rule): 14}
    replayed = replay(engine, lambda customer_id: terms_of(customer_id).for_all)
    assert replayed.grants == 2 * 6 * rounds
    assert replayed.is_sound
    assert guard_faults(engine) == []
    engine.dispose()


@pytest.mark.parametrize("way", WAYS)
def test_20_simultaneous_reservations_of_75_against_500_grant_6_and_deny_14(
    migrated_url: str, way: str
) -> None:
    """Against a hard limit, and against credit."""
    check(migrated_url, way, rounds=1)


@pytest.mark.torture
@pytest.mark.parametrize("way", WAYS)
def test_simultaneous_reservations_never_go_above_the_limit_in_many_rounds(
    migrated_url: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same, over and over."""
    check(migrated_url, way, TORTURE_ROUNDS)
    with capsys.disabled():
        print(f"\n{way}: {2 * TORTURE_ROUNDS} times 6 granted and 14 denied")  # noqa: T201 - the figures are the point
