"""However many ask at once, and whatever an operator changes meanwhile, nothing is admitted above a hard limit."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from billing_pipeline.audit.guard_invariants import guard_faults
from billing_pipeline.control.database import open_control
from billing_pipeline.guardrails.answers import Granted
from billing_pipeline.guardrails.commands import AddGrant
from billing_pipeline.guardrails.ledger.reserving import _Reserving
from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline.guardrails.requests import Settle
from billing_pipeline.guardrails.terms import BreakerTerms, Terms
from billing_pipeline_tests.guardrails.made_ledger import TermsByCustomer, made_reserve
from billing_pipeline_tests.scenarios.guard_clients import PATIENCE_SECONDS, Load, Operator
from billing_pipeline_tests.scenarios.guard_replay import Replayed, replay
from billing_pipeline_tests.scenarios.guard_sampler import Sampler, Seen
from billing_pipeline_tests.scenarios.guard_terms import hard, lasting_terms, open_writer
from billing_pipeline_tests.scenarios.naive_guard import naive_overshoot, naive_table

CLIENTS = (1, 8, 64, 256)
WRITERS = 2
SHORT_RESERVES = {1: 60, 8: 200, 64: 500, 256: 600}
LONG_RESERVES = {1: 1500, 8: 6000, 64: 10_000, 256: 10_000}
ACCOUNTS = {"one hot account": 1, "1,000 accounts": 1000}
ACTING, ESTIMATE = 64, 100
NAIVE_RESERVES, NAIVE_ASKED, NAIVE_LIMIT, NAIVE_RACES = 120, 75, 1500, 3


@dataclass
class Outcome:
    """What a run came to."""

    load: Load
    operator: Operator
    seen: Seen
    replayed: Replayed
    faults: list[str]


def terms_for(limit: int) -> Terms:
    """Credit, hard limits by customer and project, and a breaker by session, all of which bite."""
    return lasting_terms(
        needs_credit=True,
        limits=(
            hard("customer", "period", limit),
            hard("customer", "minute", 3 * limit // 4),
            hard("project", "period", limit // 2),
            hard("project", "hour", 2 * limit // 5),
        ),
        breaker=BreakerTerms(spend=max(limit // 25, 80), steps=25),
    )


def run(url: str, clients: int, accounts: int, reserves: int) -> Outcome:
    names = [f"c{number}" for number in range(accounts)]
    # About half of what will be asked for, and never so little that an account could not hold anything.
    limit = max(25 * reserves // accounts, 200)
    terms = TermsByCustomer(terms_for(limit))
    engine = open_control(url)
    with ExitStack() as stack:
        writers = [stack.enter_context(open_writer(url, terms)) for _ in range(min(clients, WRITERS))]
        grants = [
            AddGrant(customer_id=name, currency="usd", grant_id="first", amount=limit // 2) for name in names
        ]
        for done in [writers[0].submit(grant) for grant in grants]:
            done.result(PATIENCE_SECONDS)
        load = Load(writers, names, clients, reserves)
        with (
            Sampler(engine, lambda _: terms.for_all) as sampler,
            Operator(writers, names, limit, pause_seconds=0.003) as operator,
        ):
            load.run()
    outcome = Outcome(
        load, operator, sampler.seen, replay(engine, lambda _: terms.for_all), guard_faults(engine)
    )
    engine.dispose()
    return outcome


def check(url: str, clients: int, accounts: str, reserves: int) -> str:
    """Run the guard and the naive control; the figures."""
    found = run(url, clients, ACCOUNTS[accounts], reserves)
    naive = naive_control(url, clients, ACCOUNTS[accounts])
    denied = {rule: count for rule, count in sorted(found.load.answers.items()) if rule != "granted"}
    figures = (
        f"{clients} clients on {accounts}: granted {found.load.answers['granted']}, denied {denied}, changes meanwhile "
        f"{dict(found.operator.changes)}; {found.seen.samples} samples of {found.seen.windows} windows: overshoot "
        f"{found.seen.overshoot}; replayed: overshoot {found.replayed.overshoot}, above credit "
        f"{found.replayed.uncovered}; naive control: overshoot {naive}"
    )
    print(figures)  # noqa: T201 - the figures are the point
    assert found.seen.faults == []
    assert (found.seen.overshoot, found.seen.uncovered) == (0, 0)
    assert found.replayed.is_sound, found.replayed
    assert found.replayed.grants == found.load.answers["granted"]
    assert found.faults == []
    assert sum(found.load.answers.values()) == reserves
    assert found.load.answers["granted"] > 0
    assert denied
    if clients > 1 and ACCOUNTS[accounts] == 1:
        assert naive > 0
    return figures


def naive_control(url: str, clients: int, accounts: int) -> int:
    """The most of a few races, each up to the limit; 0 where it never went above it, as with one client it cannot."""
    if clients == 1:
        return 0
    with naive_table(url) as engine:
        races = [[f"{race}/{number}" for number in range(accounts)] for race in range(NAIVE_RACES)]
        if accounts > 1:
            return max(0, naive_overshoot(engine, races[0], clients, limit=75, asked=75, reserves=200))
        return max(
            0,
            *(
                naive_overshoot(
                    engine, names, clients, limit=NAIVE_LIMIT, asked=NAIVE_ASKED, reserves=NAIVE_RESERVES
                )
                for names in races
            ),
        )


@pytest.mark.parametrize("accounts", ACCOUNTS)
@pytest.mark.parametrize("clients", CLIENTS)
def test_nothing_is_admitted_above_a_limit_while_limits_change_and_sessions_are_killed(
    migrated_url: str, clients: int, accounts: str
) -> None:
    """Sampled throughout, and gone through again afterwards; check-then-record goes above its limit."""
    check(migrated_url, clients, accounts, SHORT_RESERVES[clients])


@pytest.mark.torture
@pytest.mark.parametrize("accounts", ACCOUNTS)
@pytest.mark.parametrize("clients", CLIENTS)
def test_nothing_is_admitted_above_a_limit_under_load_for_long(
    migrated_url: str, clients: int, accounts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same with many more holds."""
    figures = check(migrated_url, clients, accounts, LONG_RESERVES[clients])
    with capsys.disabled():
        print(f"\n{figures}")  # noqa: T201 - the figures are the point


def test_a_guard_that_looked_away_would_be_seen(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its checks, sampling and replaying both find holds above limits and above credit, and after a kill."""
    for check_of in ("_limited", "_uncovered", "_stopped", "_broken"):
        monkeypatch.setattr(_Reserving, check_of, lambda *_: None)
    found = run(migrated_url, 64, 1, SHORT_RESERVES[64])
    assert (found.seen.overshoot > 0, found.seen.uncovered > 0) == (True, True)
    assert found.replayed.overshoot > 0
    assert found.replayed.uncovered > 0
    assert found.replayed.steps_over > 0
    assert found.replayed.after_stop > 0


@pytest.mark.parametrize("ratio", [1, 2, 5])
def test_what_worst_case_holds_cost(
    tmp_path: Path, migrated_sqlite: Path, ratio: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """How much of a limit is left unused where actions hold `ratio` times what they cost: at most what was held."""
    limit = 2 * ACTING * ESTIMATE
    terms = TermsByCustomer(lasting_terms(limits=(hard("customer", "period", limit),)))
    shutil.copyfile(migrated_sqlite, tmp_path / "control.sqlite")
    with open_writer(f"sqlite:///{tmp_path / 'control.sqlite'}", terms) as writer:
        until_denied = use_up(writer, ACTING, ratio)
        to_the_end = until_denied + use_up(writer, 1, ratio)
    with capsys.disabled():
        print(  # noqa: T201 - the figures are the point
            f"\nestimate {ratio} times the actual, {ACTING} clients, a limit of {limit // ESTIMATE} estimates: "
            f"unused {1 - until_denied / limit:.1%} where all stop at the first denial, "
            f"{1 - to_the_end / limit:.1%} where one asks on once nothing is held any more"
        )
    assert to_the_end <= limit
    assert limit - to_the_end < ESTIMATE
    assert limit - until_denied <= ACTING * (ESTIMATE - ESTIMATE // ratio) + ESTIMATE


def use_up(writer: LedgerWriter, clients: int, ratio: int) -> int:
    """Clients that hold, act a little while, and settle, until the first of them is denied; what all have spent."""
    denied = threading.Event()

    def client(number: int) -> int:
        spent = turn = 0
        while not denied.is_set():
            hold = writer.submit(made_reserve(f"{clients}/{number}/{turn}", ESTIMATE)).result(
                PATIENCE_SECONDS
            )
            turn += 1
            if not isinstance(hold, Granted):
                denied.set()
                break
            time.sleep(0.005)
            settle = Settle(hold_id=hold.hold_id, amount=ESTIMATE // ratio)
            spent += writer.submit(settle).result(PATIENCE_SECONDS).booked
        return spent

    with ThreadPoolExecutor(clients) as threads:
        return sum(threads.map(client, range(clients)))
