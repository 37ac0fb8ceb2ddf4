"""The watch over velocity on a real ledger, on both databases: who is paused, once, and with what evidence."""

import json

import pytest
from sqlalchemy import Engine, insert, select

from billing_pipeline.control.guard_tables import GUARD_REVIEWS, GUARD_STOPS, GUARD_WINDOWS
from billing_pipeline.guardrails.answers import Denied, Granted
from billing_pipeline.guardrails.commands import DecideReview, SetLimit
from billing_pipeline.guardrails.requests import Settle
from billing_pipeline.guardrails.terms import VelocityTerms
from billing_pipeline.guardrails.velocity.series import MINUTE_US
from billing_pipeline.guardrails.watching.watch import VelocityWatch
from billing_pipeline_tests.guardrails.made_ledger import START_US, MadeLedger, made_reserve, made_terms

NOW = START_US + 10 * 24 * 60 * MINUTE_US + 30_000_000
CUSTOMER, PROJECT, OTHER = "customer:acme", "project:acme/p", "project:acme/q"
VELOCITY = VelocityTerms(least_spend_per_minute=1_000, resume_after_seconds=600)


@pytest.fixture
def made(ledger: MadeLedger) -> MadeLedger:
    ledger.terms.for_all = made_terms(velocity=VELOCITY)
    ledger.clock.at_us = NOW
    return ledger


@pytest.fixture
def watch(made: MadeLedger) -> VelocityWatch:
    return VelocityWatch(made.engine, made.writer, made.terms, made.clock)


def spend(
    control: Engine, scope: str, minutes_ago: int, settled: int, calls: int = 2, pending: int = 0
) -> None:
    """What the ledger would have counted in one minute, in it and in its hour if there was none yet."""
    starts_at = NOW - NOW % MINUTE_US - minutes_ago * MINUTE_US
    row = {
        "scope": scope,
        "currency": "usd",
        "time_window": "minute",
        "starts_at": starts_at,
        "pending": pending,
        "settled": settled,
        "unguarded": 0,
        "calls": calls,
    }
    with control.begin() as connection:
        connection.execute(insert(GUARD_WINDOWS), row)


def history(control: Engine, *scopes: str, spent: int = 1_000) -> None:
    """Two hours of even minutes that ended twenty minutes ago."""
    rows = [
        {
            "scope": scope,
            "currency": "usd",
            "time_window": "minute",
            "starts_at": NOW - NOW % MINUTE_US - (20 + each) * MINUTE_US,
            "pending": 0,
            "settled": spent,
            "unguarded": 0,
            "calls": 2,
        }
        for scope in scopes
        for each in range(120)
    ]
    with control.begin() as connection:
        connection.execute(insert(GUARD_WINDOWS), rows)


def runs_away(control: Engine, *scopes: str) -> None:
    """A hundred times as much, in this minute and the one before."""
    for scope in scopes:
        spend(control, scope, 1, 100_000, calls=200)
        spend(control, scope, 0, 60_000, calls=120)


def paused(control: Engine) -> set[str]:
    with control.connect() as connection:
        query = select(GUARD_STOPS.c.scope).where(GUARD_STOPS.c.active, GUARD_STOPS.c.kind == "pause")
        return set(connection.execute(query).scalars())


def reviews(control: Engine) -> list[tuple[str, str, str]]:
    with control.connect() as connection:
        query = select(GUARD_REVIEWS.c.review_id, GUARD_REVIEWS.c.scope, GUARD_REVIEWS.c.evidence)
        return [
            (row[0], row[1], row[2]) for row in connection.execute(query.order_by(GUARD_REVIEWS.c.opened_at))
        ]


def test_the_project_that_ran_away_is_paused_and_only_it(made: MadeLedger, watch: VelocityWatch) -> None:
    """The other project goes on working; the next reserve of the one is denied."""
    history(made.engine, CUSTOMER, PROJECT, OTHER)
    runs_away(made.engine, CUSTOMER, PROJECT)
    spend(made.engine, OTHER, 0, 1_100)
    assert watch.run_once() == 1
    assert paused(made.engine) == {PROJECT}
    assert isinstance(made.writer.submit(made_reserve("one")).result(), Denied)
    assert isinstance(made.writer.submit(made_reserve("two", project_id="q")).result(), Granted)


def test_a_review_holds_the_evidence(made: MadeLedger, watch: VelocityWatch) -> None:
    """Rule, figures as text, and the minutes before; and the pause ends by itself as the plan says."""
    history(made.engine, CUSTOMER, PROJECT)
    runs_away(made.engine, CUSTOMER, PROJECT)
    watch.run_once()
    ((_, scope, text),) = reviews(made.engine)
    evidence = json.loads(text)
    assert scope == PROJECT
    assert (evidence["rule"], evidence["observed"], evidence["expected"]) == ("baseline", "100000", "1000")
    assert evidence["series"][-1] == {
        "starts_at": "2026-12-11T00:00:00.000000Z",
        "spent": "60000",
        "held": "0",
        "calls": 120,
    }
    assert len(evidence["series"]) == 60
    assert evidence["why"] == (
        "0.0001 USD in a minute, where 0.000001 USD is usual and 0.000002 USD the most that is ordinary"
    )
    with made.engine.connect() as connection:
        resumes_at = connection.execute(select(GUARD_STOPS.c.resumes_at)).scalar_one()
    assert resumes_at == NOW - NOW % MINUTE_US + MINUTE_US + 600_000_000


def test_what_runs_away_is_paused_once(made: MadeLedger, watch: VelocityWatch) -> None:
    """Neither the watch that paused it nor another one that starts then pauses it again."""
    history(made.engine, CUSTOMER, PROJECT)
    runs_away(made.engine, CUSTOMER, PROJECT)
    other = VelocityWatch(made.engine, made.writer, made.terms, made.clock)
    assert [watch.run_once(), watch.run_once(), other.run_once()] == [1, 0, 0]
    assert len(reviews(made.engine)) == 1


def test_who_was_resumed_is_not_paused_for_the_same_minutes(made: MadeLedger, watch: VelocityWatch) -> None:
    """But for what it spends in the minutes after, it is."""
    history(made.engine, CUSTOMER, PROJECT)
    runs_away(made.engine, CUSTOMER, PROJECT)
    watch.run_once()
    ((review_id, _, _),) = reviews(made.engine)
    made.clock.pass_seconds(5)
    made.writer.submit(
        DecideReview(review_id=review_id, decision="resume", who="ops@example.com", why="x")
    ).result()
    assert paused(made.engine) == set()
    made.clock.pass_seconds(5)
    assert watch.run_once() == 0
    spend(made.engine, PROJECT, -1, 100_000, calls=200)
    made.clock.pass_seconds(60)
    assert watch.run_once() == 1


def test_the_customer_is_paused_where_no_project_explains_it(made: MadeLedger, watch: VelocityWatch) -> None:
    """Many projects that never ran before, each a little: it is all of them together."""
    history(made.engine, CUSTOMER)
    runs_away(made.engine, CUSTOMER)
    for number in range(20):
        spend(made.engine, f"project:acme/new-{number}", 1, 5_000, calls=10)
    assert watch.run_once() == 1
    assert paused(made.engine) == {CUSTOMER}


def test_a_new_project_is_paused_where_it_explains_its_customer(
    made: MadeLedger, watch: VelocityWatch
) -> None:
    """It has no baseline of its own, but without it the customer would be as ever."""
    history(made.engine, CUSTOMER, OTHER)
    runs_away(made.engine, CUSTOMER, PROJECT)
    spend(made.engine, OTHER, 1, 1_000)
    assert watch.run_once() == 1
    assert paused(made.engine) == {PROJECT}


def test_the_pause_of_a_project_answers_for_its_customer(made: MadeLedger, watch: VelocityWatch) -> None:
    """The customer's minutes hold the same money."""
    history(made.engine, CUSTOMER, PROJECT)
    runs_away(made.engine, CUSTOMER, PROJECT)
    watch.run_once()
    spend(made.engine, OTHER, 0, 1_200)
    made.clock.pass_seconds(5)
    assert watch.run_once() == 0
    assert paused(made.engine) == {PROJECT}


def test_what_people_agreed_to_for_a_minute_does_not_pause(made: MadeLedger, watch: VelocityWatch) -> None:
    """That is what raising the limit of a pause sets."""
    history(made.engine, CUSTOMER, PROJECT)
    runs_away(made.engine, CUSTOMER, PROJECT)
    for scope in (CUSTOMER, PROJECT):
        made.writer.submit(
            SetLimit(
                scope=scope,
                currency="usd",
                window="minute",
                severity="soft",
                amount=100_000,
                who="ops@example.com",
                why="a large import",
            )
        ).result()
    assert watch.run_once() == 0


def test_the_least_spends_no_reading(made: MadeLedger, watch: VelocityWatch) -> None:
    """A hundred times of next to nothing is next to nothing."""
    history(made.engine, CUSTOMER, PROJECT, spent=5)
    spend(made.engine, CUSTOMER, 0, 500, calls=90)
    spend(made.engine, PROJECT, 0, 500, calls=90)
    assert watch.run_once() == 0


def test_an_absolute_threshold_pauses_a_customer_of_the_first_day(
    made: MadeLedger, watch: VelocityWatch
) -> None:
    """What is held counts there; the sentence says whose rule it is."""
    made.terms.own["acme"] = made_terms(velocity=VelocityTerms(spend_per_minute=50_000))
    spend(made.engine, CUSTOMER, 0, 1_000, pending=60_000, calls=3)
    spend(made.engine, PROJECT, 0, 1_000, pending=60_000, calls=3)
    assert watch.run_once() == 1
    ((_, scope, text),) = reviews(made.engine)
    assert scope == PROJECT
    assert json.loads(text)["why"] == (
        "0.000061 USD in a minute; 0.00005 USD is the most that the plan allows"
    )


def test_customers_without_terms_are_left_alone(made: MadeLedger, watch: VelocityWatch) -> None:
    """Nothing may be held for them anyway."""
    history(made.engine, "customer:nobody", "project:nobody/p")
    runs_away(made.engine, "customer:nobody", "project:nobody/p")
    assert watch.run_once() == 0


def test_nothing_spent_is_nothing_to_watch(watch: VelocityWatch) -> None:
    """An idle guard costs one query."""
    assert watch.run_once() == 0


def test_a_loop_is_stopped_by_its_own_reserves(ledger: MadeLedger) -> None:
    """An hour and a half of ordinary work through the ledger, then a loop: within two minutes nothing is held."""
    ledger.terms.for_all = made_terms(velocity=VelocityTerms(least_spend_per_minute=1_000))
    ledger.clock.at_us = NOW - NOW % MINUTE_US
    watch = VelocityWatch(ledger.engine, ledger.writer, ledger.terms, ledger.clock)

    def act(name: str) -> bool:
        """Hold ten times what the action then costs."""
        asked = ledger.writer.submit(made_reserve(name, 5_000)).result()
        if isinstance(asked, Denied):
            return False
        ledger.writer.submit(Settle(hold_id=asked.hold_id, amount=500)).result()
        return True

    for minute in range(90):
        assert act(f"ordinary-{minute}-a")
        assert act(f"ordinary-{minute}-b")
        assert watch.run_once() == 0
        ledger.clock.pass_seconds(60)
    admitted, started_at = 0, ledger.clock.at_us
    while act(f"loop-{admitted}"):
        admitted += 1
        ledger.clock.pass_seconds(2)
        if admitted % 3 == 0:
            watch.run_once()
    assert (ledger.clock.at_us - started_at) // 1_000_000 <= 120
    assert paused(ledger.engine) == {PROJECT}
