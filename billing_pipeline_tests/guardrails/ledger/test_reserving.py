"""Reserve: what is granted, what is denied and why, and that a repeat changes nothing."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from billing_pipeline.control.guard_tables import GUARD_DENIALS, GUARD_HOLDS, GUARD_JOURNAL
from billing_pipeline.errors import GuardConflictError, GuardRequestError, UnpricedUsageError
from billing_pipeline.guardrails.answers import DenialRule, Denied, Granted
from billing_pipeline.guardrails.commands import AddGrant, Lift, SetLimit, Stop
from billing_pipeline.guardrails.requests import Settle
from billing_pipeline.guardrails.terms import LimitTerm
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline.guardrails.window import Window
from billing_pipeline_tests.guardrails.made_ledger import (
    MONTH_US,
    START_US,
    MadeLedger,
    made_reserve,
    made_terms,
)

WHO, WHY = "ops@example.com", "asked for"


def test_twenty_reserves_of_75_against_500_grant_six(ledger: MadeLedger) -> None:
    """Six holds fit the limit; each of the other fourteen is told the rule, what is left, and when it resets."""
    ledger.terms.for_all = made_terms(limits=(LimitTerm("customer", "day", "hard", 500),))
    futures = [ledger.writer.submit(made_reserve(f"k-{number}")) for number in range(20)]
    answers = [future.result() for future in futures]
    denied = [each for each in answers if isinstance(each, Denied)]
    assert (len(answers) - len(denied), len(denied)) == (6, 14)
    assert denied[0].rule is DenialRule.HARD_LIMIT
    assert (denied[0].scope, denied[0].window, denied[0].limit) == ("customer:acme", "day", 500)
    assert (denied[0].asked, denied[0].left) == (75, 50)
    assert denied[0].resets_at == START_US + 86_400_000_000


def test_a_hold_says_what_it_is(ledger: MadeLedger) -> None:
    """Customer, project, session, currency, amount, when it was granted and when it ends by itself."""
    ledger.terms.for_all = made_terms(ttl_seconds=60)
    hold = ledger.reserve("k", 75, session_id="s")
    assert (hold.customer_id, hold.project_id, hold.session_id) == ("acme", "p", "s")
    assert (hold.currency, hold.amount) == ("usd", 75)
    assert (hold.granted_at, hold.expires_at) == (START_US, START_US + 60_000_000)


@pytest.mark.parametrize(
    ("window", "resets_after_us"),
    [
        ("minute", 60_000_000),
        ("hour", 3_600_000_000),
        ("day", 86_400_000_000),
        ("period", MONTH_US),
    ],
)
@pytest.mark.parametrize("kind", ["customer", "project"])
def test_a_limit_binds_its_window_and_begins_anew(
    ledger: MadeLedger, kind: str, window: Window, resets_after_us: int
) -> None:
    """What is held in a window counts until the window is over, and no longer."""
    ledger.terms.for_all = made_terms(limits=(LimitTerm(kind, window, "hard", 100),))  # type: ignore[arg-type]  # a parameter
    ledger.reserve("k-1", 60)
    denied = ledger.denied("k-2", 41)
    assert (denied.window, denied.left, denied.resets_at) == (window, 40, START_US + resets_after_us)
    ledger.reserve("k-3", 40)
    ledger.clock.at_us = START_US + resets_after_us
    if window == "period":
        begins = START_US + MONTH_US
        ledger.terms.for_all = made_terms(
            limits=ledger.terms.for_all.limits, period_starts_at=begins, period_ends_at=begins + MONTH_US
        )
    ledger.reserve("k-4", 100)


def test_a_limit_on_one_request_counts_nothing_else(ledger: MadeLedger) -> None:
    """A limit per request bounds each hold alone."""
    ledger.terms.for_all = made_terms(limits=(LimitTerm("customer", "request", "hard", 100),))
    ledger.reserve("k-1", 100)
    ledger.reserve("k-2", 100)
    denied = ledger.denied("k-3", 101)
    assert (denied.window, denied.left, denied.resets_at) == ("request", 100, None)


def test_a_project_limit_leaves_other_projects_alone(ledger: MadeLedger) -> None:
    """Projects have counters of their own, customers one over all of them."""
    ledger.terms.for_all = made_terms(
        limits=(LimitTerm("project", "day", "hard", 100), LimitTerm("customer", "day", "hard", 150))
    )
    ledger.reserve("k-1", 100, project_id="a")
    assert ledger.denied("k-2", 1, project_id="a").scope == "project:acme/a"
    ledger.reserve("k-3", 50, project_id="b")
    assert ledger.denied("k-4", 1, project_id="c").scope == "customer:acme"


def test_credit_bounds_who_needs_it(ledger: MadeLedger) -> None:
    """Nothing is held that is not there; whoever needs no credit may owe."""
    ledger.terms.own["prepaid"] = made_terms(needs_credit=True)
    assert ledger.denied("k-1", 1, customer_id="prepaid").rule is DenialRule.CREDIT
    ledger.do(AddGrant(customer_id="prepaid", currency="usd", grant_id="g", amount=100))
    ledger.reserve("k-2", 60, customer_id="prepaid")
    assert ledger.denied("k-3", 41, customer_id="prepaid").left == 40
    ledger.reserve("k-4", 1_000, customer_id="acme")
    assert ledger.account("acme") == {
        "issued": 0,
        "available": -1_000,
        "held": 1_000,
        "spent": 0,
        "overdraft": 0,
    }


def test_a_repeat_gets_the_same_answer(ledger: MadeLedger) -> None:
    """The same key and content: the same hold, also once it has ended; the same denial, also once there is room."""
    ledger.terms.for_all = made_terms(limits=(LimitTerm("customer", "day", "hard", 100),))
    hold = ledger.reserve("k-1", 100)
    denied = ledger.denied("k-2", 1)
    ledger.do(Settle(hold_id=hold.hold_id, amount=0))
    assert ledger.ask(made_reserve("k-1", 100)) == hold
    assert ledger.ask(made_reserve("k-2", 1)) == denied
    assert len(ledger.rows(select(GUARD_HOLDS))) == 1
    assert len(ledger.rows(select(GUARD_DENIALS))) == 1


def test_a_key_of_another_request_is_a_conflict(ledger: MadeLedger) -> None:
    """The same key with other content is refused; of another customer it is another key."""
    ledger.reserve("k", 100)
    with pytest.raises(GuardConflictError, match="was used for another reserve") as refused:
        ledger.ask(made_reserve("k", 101))
    assert refused.value.code == "idempotency_conflict"
    ledger.reserve("k", 101, customer_id="other")


def test_repeats_within_one_group_are_one_hold(ledger: MadeLedger) -> None:
    """Requests that come at once are one request if they say the same."""
    futures = [ledger.writer.submit(made_reserve("k")) for _ in range(50)]
    assert len({str(future.result()) for future in futures}) == 1
    assert ledger.account("acme")["held"] == 75


def test_denials_hold_nothing_and_are_kept(ledger: MadeLedger) -> None:
    """A denial is a fact with its rule, and moves no counter and no credit."""
    ledger.terms.for_all = made_terms(limits=(LimitTerm("customer", "day", "hard", 10),))
    ledger.denied("k", 11, session_id="s")
    (row,) = ledger.rows(select(GUARD_DENIALS))
    assert (row["rule"], row["scope"], row["asked"], row["remaining"]) == (
        "hard_limit",
        "customer:acme",
        11,
        10,
    )
    assert ledger.rows(select(GUARD_JOURNAL)) == []


def test_an_unknown_customer_is_denied(ledger: MadeLedger) -> None:
    """Who is not registered may hold nothing."""
    denied = ledger.denied("k", 1, customer_id="nobody")
    assert (denied.rule, denied.scope) == (DenialRule.UNKNOWN_CUSTOMER, "customer:nobody")
    assert denied.reason == "register it"


def test_an_estimate_in_usage_is_priced_and_rounded_up(ledger: MadeLedger) -> None:
    """Three tokens at 1,000.5 are held as 3,002; a unit without price is refused, not free."""
    hold = ledger.reserve("k-1", None, usage=(Usage(unit="token", quantity="3"),))
    assert hold.amount == 3_002
    with pytest.raises(UnpricedUsageError, match="usage in call has no price: use token"):
        ledger.ask(made_reserve("k-2", amount=None, usage=(Usage(unit="call", quantity="1"),)))
    assert ledger.account("acme")["held"] == 3_002


@pytest.mark.parametrize("scope", ["customer:acme", "project:acme/p", "session:acme/s"])
@pytest.mark.parametrize(("kind", "rule"), [("kill", "killed"), ("pause", "paused")])
def test_a_stop_denies_from_the_next_reserve_on(ledger: MadeLedger, scope: str, kind: str, rule: str) -> None:
    """A kill switch or pause of customer, project or session denies with who said so, until it is lifted."""
    ledger.reserve("k-1", session_id="s")
    ledger.do(Stop(scope=scope, kind=kind, who=WHO, why=WHY))  # type: ignore[arg-type]  # a parameter
    denied = ledger.denied("k-2", session_id="s")
    assert (denied.rule, denied.scope, denied.reason) == (rule, scope, "asked for")
    ledger.reserve("k-3", customer_id="other", session_id="s")
    assert ledger.do(Lift(scope=scope, kind=kind, who=WHO, why=WHY)).changed == 1  # type: ignore[arg-type]  # as above
    ledger.reserve("k-4", session_id="s")


def test_a_limit_that_is_set_is_in_force_at_once(ledger: MadeLedger) -> None:
    """A limit set for one scope replaces the plan's, knows what was spent before, and can be taken back."""
    ledger.terms.for_all = made_terms(limits=(LimitTerm("customer", "day", "hard", 100),))
    ledger.reserve("k-1", 100)

    def set_limit(amount: int | None, *, inherit: bool = False) -> None:
        ledger.do(
            SetLimit(
                scope="customer:acme",
                currency="usd",
                window="day",
                severity="hard",
                amount=amount,
                inherit=inherit,
                who=WHO,
                why=WHY,
            )
        )

    set_limit(150)
    assert ledger.denied("k-2", 51).left == 50
    set_limit(50)
    assert ledger.denied("k-3", 0 + 1).left == 0
    set_limit(None)
    ledger.reserve("k-4", 1_000)
    set_limit(None, inherit=True)
    assert ledger.denied("k-5", 1).limit == 100


def test_a_new_limit_knows_what_was_spent_before_it(ledger: MadeLedger) -> None:
    """Windows are counted whether limited or not."""
    ledger.reserve("k-1", 80)
    ledger.do(
        SetLimit(
            scope="project:acme/p",
            currency="usd",
            window="period",
            severity="hard",
            amount=100,
            who=WHO,
            why=WHY,
        )
    )
    assert ledger.denied("k-2", 21).left == 20


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"customer_id": ""}, "customer_id"),
        ({"customer_id": "a/b"}, "customer_id"),
        ({"project_id": "x" * 129}, "project_id"),
        ({"session_id": "a\0b"}, "session_id"),
        ({"amount": -1}, "amount"),
        ({"amount": 10**18 + 1}, "amount"),
        ({"amount": None}, "amount"),
        ({"usage": (Usage(unit="token", quantity="1"),)}, "amount"),
        ({"steps": 0}, "steps"),
        ({"ttl_seconds": 0}, "ttl_seconds"),
        ({"ttl_seconds": 86_401}, "ttl_seconds"),
        ({"idempotency_key": ""}, "idempotency_key"),
    ],
)
def test_what_is_not_possible_is_refused_by_name(
    ledger: MadeLedger, fields: dict[str, object], field: str
) -> None:
    """The error names the field; nothing is moved."""
    with pytest.raises(GuardRequestError) as refused:
        ledger.ask(made_reserve(**({"key": "k"} | fields)))  # type: ignore[arg-type]  # a parameter
    assert refused.value.field == field
    assert ledger.rows(select(GUARD_JOURNAL)) == []


def test_what_was_looked_up_for_refusals_does_not_pile_up(ledger: MadeLedger) -> None:
    """Requests that are all refused move nothing, and leave nothing behind in memory."""
    usage = (Usage(unit="call", quantity="1"),)
    for number in range(3):
        with pytest.raises(UnpricedUsageError):
            ledger.ask(made_reserve(f"k-{number}", amount=None, usage=usage))
    assert ledger.writer._book.answers == {}


def test_two_writers_of_one_database_agree(open_ledger: Callable[[], MadeLedger]) -> None:
    """What one writer has granted, stopped or limited, the other knows at its next request."""
    one, other = open_ledger(), open_ledger()
    for each in (one, other):
        each.terms.for_all = made_terms(limits=(LimitTerm("customer", "day", "hard", 100),))
    hold = one.reserve("k-1", 60)
    assert other.denied("k-2", 41).left == 40
    other.do(Settle(hold_id=hold.hold_id, amount=10))
    one.reserve("k-3", 90)
    other.do(Stop(scope="customer:acme", kind="kill", who=WHO, why=WHY))
    assert one.denied("k-4", 0).rule is DenialRule.KILLED
    granted = other.ask(made_reserve("k-1", 60))
    assert isinstance(granted, Granted)
    assert granted.hold_id == hold.hold_id
