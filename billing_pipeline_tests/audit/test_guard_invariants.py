"""The guard's books: sound as the ledger leaves them, and each damage is found and named, on both databases."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text

from billing_pipeline.audit.guard_invariants import LAWS, guard_checks, guard_faults, leaked_holds
from billing_pipeline.control.database import open_control, writing
from billing_pipeline_tests.audit.guard_books import Books, drop_protection, lived_through, write_books
from billing_pipeline_tests.control_databases import new_control_url
from billing_pipeline_tests.guardrails.made_ledger import START_US

OPEN = "(SELECT hold_id FROM guard_holds WHERE idempotency_key = 'open')"
FIRST = "(SELECT hold_id FROM guard_holds WHERE idempotency_key = 'k0')"
DAMAGES = {
    "a balance": (
        "UPDATE guard_accounts SET available = available + 5, spent = spent - 5 WHERE customer_id = 'acme'",
        "balances",
        "account of acme in usd: available is 580, but its journal adds up to 575",
    ),
    "an account that is gone": (
        "DELETE FROM guard_accounts WHERE customer_id = 'postpaid'",
        "balances",
        "account of postpaid in usd: held is 0, but its open holds add up to 70",
    ),
    "a movement that does not balance": (
        "UPDATE guard_journal SET spent = spent + 1 WHERE id = 13",
        "balances",
        "journal row 13 (settle ",
    ),
    "a movement that is gone": (
        "DELETE FROM guard_journal WHERE id = 1",
        "balances",
        "account of acme in usd: issued is -1040, but its journal adds up to -40",
    ),
    "an account on the wrong side": (
        "UPDATE guard_accounts SET overdraft = 3, available = available - 3 WHERE customer_id = 'acme'",
        "balances",
        "account of acme in usd is on the wrong side of 0",
    ),
    "a hold that is forgotten": (
        "UPDATE guard_accounts SET held = 0, available = available + 120 WHERE customer_id = 'acme'",
        "balances",
        "account of acme in usd: held is 0, but its open holds add up to 120",
    ),
    "a grant with too much left": (
        "UPDATE guard_grants SET remaining = amount + 1 WHERE grant_id = 'g0'",
        "grants",
        "grant g0 of acme in usd: its amount is 1000 and 1001 of it is left",
    ),
    "a grant with something else left": (
        "UPDATE guard_grants SET remaining = remaining - 1 WHERE grant_id = 'g0'",
        "grants",
        "what is available and held, less the overdraft, is 695, but 694 is left of its grants",
    ),
    "a grant that a void has not emptied": (
        "UPDATE guard_grants SET remaining = 1 WHERE grant_id = 'g1'",
        "grants",
        (
            "grant g1 of acme in usd: its amount is 500 and 1 of it is left, but the journal has granted it 1 times, "
            "500 in all, and time or a void has taken 500"
        ),
    ),
    "a grant that is gone": (
        "DELETE FROM guard_grants WHERE grant_id = 'small'",
        "grants",
        "grant small of thin in usd: its amount is 0 and 0 of it is left, but the journal has granted it 1 times",
    ),
    "a hold that ended twice": (
        (
            "INSERT INTO guard_journal (id, customer_id, currency, kind, reference, issued, available, held, spent, "
            "overdraft, expired, recorded_at) SELECT 900, customer_id, currency, 'release', reference, 0, 100, -100, "
            "0, 0, 0, recorded_at FROM guard_journal WHERE id = 13"
        ),
        "holds",
        "settle 1, release 1, expire 0",
    ),
    "a hold that is open again": (
        f"UPDATE guard_holds SET state = 'pending' WHERE hold_id = {FIRST}",
        "holds",
        "over 100 is pending, settled at 60, but the journal has of it: reserve 1, settle 1",
    ),
    "a hold that ended without a movement": (
        f"UPDATE guard_holds SET state = 'released' WHERE hold_id = {OPEN}",
        "holds",
        "over 120 is released, settled at 0, but the journal has of it: reserve 1, settle 0, release 0",
    ),
    "a hold settled at something else": (
        f"UPDATE guard_holds SET booked = 61 WHERE hold_id = {FIRST}",
        "holds",
        (
            "is settled, settled at 61, but the journal has of it: reserve 1, settle 1, release 0, expire 0, "
            "late_settle 0, spent 60"
        ),
    ),
    "a hold in no known state": (
        f"UPDATE guard_holds SET state = 'lost' WHERE hold_id = {FIRST}",
        "holds",
        "is lost, settled at 60",
    ),
    "a hold that is gone": (
        f"DELETE FROM guard_holds WHERE hold_id = {OPEN}",
        "holds",
        "journal row 24 (reserve ",
    ),
    "a late settlement that is gone": (
        "DELETE FROM guard_late_settlements WHERE booked = 30",
        "holds",
        "late_settle 1, spent 30",
    ),
    "a late settlement of no hold": (
        "UPDATE guard_late_settlements SET hold_id = 'ffffffffffffffffffffffffffffffff' WHERE booked = 30",
        "holds",
        "(late settlement ffffffffffffffffffffffffffffffff,",
    ),
    "a true-up booked at something else": (
        "UPDATE guard_true_ups SET amount = -34 WHERE customer_id = 'acme'",
        "true-ups",
        "true-up 2026-12-01 of acme in usd: 1 rows say -34, 1 journal rows book -35",
    ),
    "a true-up that nobody recorded": (
        "DELETE FROM guard_true_ups WHERE customer_id = 'acme'",
        "true-ups",
        "true-up 2026-12-01 of acme in usd: 0 rows say 0, 1 journal rows book -35",
    ),
    "a window's pending": (
        "UPDATE guard_windows SET pending = 1 WHERE scope = 'customer:acme' AND time_window = 'day'",
        "windows",
        f"window day from {START_US} (UTC µs) of customer:acme in usd: pending is 1, settled 380",
    ),
    "a window's settled": (
        "UPDATE guard_windows SET settled = settled - 1 WHERE scope = 'project:acme/p' AND time_window = 'period'",
        "windows",
        f"window period from {START_US} (UTC µs) of project:acme/p in usd: pending is 120, settled 359",
    ),
    "a window that is gone": (
        "DELETE FROM guard_windows WHERE scope = 'project:acme/q' AND time_window = 'minute'",
        "windows",
        f"window minute from {START_US} (UTC µs) of project:acme/q in usd: pending is 0, settled 0, calls 0",
    ),
    "a window's calls": (
        "UPDATE guard_windows SET calls = 9 WHERE scope = 'customer:acme' AND time_window = 'day'",
        "windows",
        "calls 9, unguarded 11, but its holds make pending 120, settled 380, and calls at least 10",
    ),
    "a window's unguarded": (
        "UPDATE guard_windows SET unguarded = -1 WHERE scope = 'customer:acme' AND time_window = 'day'",
        "windows",
        "unguarded -1",
    ),
    "a session's counters": (
        "UPDATE guard_sessions SET pending = 7, steps = 3 WHERE scope = 'session:acme/run-1'",
        "sessions",
        (
            "session:acme/run-1: pending is 7, settled 360, steps 3, unguarded 11, but its holds make pending 120, "
            "settled 360, and steps at least 9"
        ),
    ),
    "a session that is gone": (
        "DELETE FROM guard_sessions WHERE scope = 'session:thin/run-2'",
        "sessions",
        "session:thin/run-2: pending is 0, settled 0",
    ),
    "a probe that has ended": (
        f"UPDATE guard_sessions SET breaker = 'half_open', probe_hold_id = {FIRST} WHERE scope = 'session:acme/run-1'",
        "sessions",
        "session:acme/run-1: its breaker is half_open and waits for hold ",
    ),
    "a kill switch flipped behind the record": (
        "UPDATE guard_stops SET active = false WHERE scope = 'project:acme/q'",
        "stops and limits",
        "kill of project:acme/q is lifted",
    ),
    "a kill switch that nobody recorded": (
        "DELETE FROM guard_stop_changes WHERE scope = 'project:acme/q'",
        "stops and limits",
        "kill of project:acme/q is in force, or ends at another instant than its last change says, which is: nothing",
    ),
    "a limit raised behind the record": (
        "UPDATE guard_limits SET amount = 2000000",
        "stops and limits",
        "hard limit of customer:acme for a day in usd: it is 2000000, but its last change says 1000000",
    ),
    "a limit that is gone": (
        "DELETE FROM guard_limits",
        "stops and limits",
        "it is none, but its last change says 1000000",
    ),
    "a limit that nobody recorded": (
        "DELETE FROM guard_limit_changes",
        "stops and limits",
        "it is 1000000, but its last change says nothing",
    ),
    "a decision that is gone": (
        "DELETE FROM guard_review_decisions",
        "reviews",
        "(soft_limit of customer:acme) is decided, but has 0 decisions",
    ),
    "a review opened again": (
        "UPDATE guard_reviews SET decided_at = NULL",
        "reviews",
        "(soft_limit of customer:acme) is open, but has 1 decisions",
    ),
    "an alert that is gone": (
        "DELETE FROM guard_alerts",
        "reviews",
        f"soft limit 800 of customer:acme in usd, day from {START_US} (UTC µs), has 0 alerts and 1 reviews",
    ),
    "an alert told twice": (
        (
            "INSERT INTO guard_reviews (review_id, kind, scope, customer_id, currency, evidence, opened_at) "
            "SELECT 'again', kind, scope, customer_id, currency, evidence, opened_at FROM guard_reviews "
            "WHERE kind = 'soft_limit'"
        ),
        "reviews",
        "has 1 alerts and 2 reviews",
    ),
    "a notice that is gone": (
        "DELETE FROM guard_notices WHERE kind = 'review.soft_limit'",
        "reviews",
        "(soft_limit of customer:acme) has 0 notices, but is told once",
    ),
    "usage of a hold that was not settled": (
        f"UPDATE guard_outbox SET hold_id = {OPEN} WHERE id = 1",
        "outbox",
        "which is pending and was not settled",
    ),
    "usage of no hold": (
        "UPDATE guard_outbox SET hold_id = 'ffffffffffffffffffffffffffffffff' WHERE id = 2",
        "outbox",
        "outbox row 2 is the usage of hold ffffffffffffffffffffffffffffffff, which is unknown",
    ),
}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Books:
    return lived_through(tmp_path_factory.mktemp("guard"))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def unprotected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A control database that lets itself be damaged."""
    with new_control_url(request.param, tmp_path_factory.mktemp("control")) as url:
        engine = open_control(url)
        drop_protection(engine)
        yield engine
        engine.dispose()


@pytest.fixture
def damaged(unprotected: Engine, lived: Books) -> Callable[[str], Engine]:
    """The books after one statement."""
    write_books(unprotected, lived)

    def damage(statement: str) -> Engine:
        with writing(unprotected) as connection:
            if unprotected.dialect.name == "sqlite":
                connection.execute(text("PRAGMA ignore_check_constraints = ON"))
            assert connection.execute(text(statement)).rowcount > 0, "nothing was damaged"
        return unprotected

    return damage


def test_books_as_the_ledger_leaves_them_have_no_fault(unprotected: Engine, lived: Books) -> None:
    write_books(unprotected, lived)
    assert guard_faults(unprotected) == []
    checks = list(guard_checks(unprotected))
    assert [check.name for check in checks] == [f"guard: {name}" for name in LAWS]
    assert checks[0].looked_at == f"3 accounts, {len(lived['guard_journal'])} movements"
    assert not any(check.faults for check in checks)


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_found_and_named(damaged: Callable[[str], Engine], what: str) -> None:
    """Each by the check that is about it, with ids, numbers, and what to do."""
    statement, name, told = DAMAGES[what]
    engine = damaged(statement)
    checks = {check.name: check.faults for check in guard_checks(engine)}
    found = [fault for fault in checks[f"guard: {name}"] if told in fault]
    assert len(found) == 1, checks
    assert any(word in found[0] for word in ("docs/operations.md", "restore", "billing review", "void it"))
    assert found[0] in guard_faults(engine)


def test_a_hold_open_long_after_its_expiry_is_a_warning_with_its_numbers(
    unprotected: Engine, lived: Books
) -> None:
    write_books(unprotected, lived)
    (hold,) = [row for row in lived["guard_holds"] if row["idempotency_key"] == "open"]
    expired = hold["expires_at"] + 61_000_000
    before = leaked_holds(unprotected, at_us=expired - 2_000_000)
    assert not any(hold["hold_id"] in each for each in before)
    told = [each for each in leaked_holds(unprotected, at_us=expired) if hold["hold_id"] in each]
    assert told == [
        (
            f"hold {hold['hold_id']} of acme in usd over 120 expired 61 seconds ago and is still open; start `billing "
            "serve`, which ends it within a second"
        )
    ]


def test_a_leak_warns_in_the_check_of_holds_and_is_no_fault(damaged: Callable[[str], Engine]) -> None:
    engine = damaged(f"UPDATE guard_holds SET expires_at = 1 WHERE hold_id = {OPEN}")
    (check,) = [check for check in guard_checks(engine) if check.warnings]
    assert check.name == "guard: holds"
    assert not check.faults
    assert guard_faults(engine) == []
