"""What people are shown of the guard is what its tables say, of whom they may see, in bounded pages."""

import pytest
from sqlalchemy import Engine, insert

from billing_pipeline.control.database import writing
from billing_pipeline.control.guard_tables import GUARD_REVIEWS
from billing_pipeline.errors import GuardRequestError, ReviewNotFoundError
from billing_pipeline.guardrails.review.accounts import balances, balances_of
from billing_pipeline.guardrails.review.activity import alerts, denials, open_holds, sessions_of
from billing_pipeline.guardrails.review.limits import limits_in_force, projects_of
from billing_pipeline.guardrails.review.limits_set import set_limits
from billing_pipeline.guardrails.review.queue import open_count, review, reviews
from billing_pipeline.guardrails.review.shown import document
from billing_pipeline.guardrails.review.stops import stop_changes, stops_in_force
from billing_pipeline.guardrails.review.surroundings import surroundings
from billing_pipeline.guardrails.terms import LimitTerm, NoTerms, Terms
from billing_pipeline_tests.guardrails.review.seeds import MINUTE, NOON, OPENED, PERIOD, USD, review_row


class OnePlan:
    """The terms of acme's projects."""

    def terms(self, customer_id: str, project_id: str, at_us: int) -> Terms | NoTerms:
        if (customer_id, project_id) != ("acme", "search"):
            return NoTerms("unknown_project", "there is none")
        limits = (
            LimitTerm("customer", "day", "hard", 5 * USD),
            LimitTerm("customer", "period", "soft", 100 * USD),
            LimitTerm("session", "session", "hard", 6 * USD),
        )
        return Terms(
            plan="trial",
            currency="usd",
            limits=limits,
            period_starts_at=PERIOD,
            period_ends_at=at_us + MINUTE,
        )


def test_open_items_are_listed_newest_first_and_decided_ones_with_who_and_why(control: Engine) -> None:
    assert [item.review_id[0] for item in reviews(control).rows] == ["a", "b"]
    (decided,) = reviews(control, "decided").rows
    (decision,) = decided.decisions
    assert (decision.decision, decision.amount, decision.who) == ("raise_limit", 200 * USD, "ops@example.com")
    assert open_count(control) == 2


def test_pages_show_every_item_once_even_where_many_were_opened_at_one_instant(control: Engine) -> None:
    with writing(control) as connection:
        rows = [review_row(f"{number:032x}") for number in range(20)]
        connection.execute(insert(GUARD_REVIEWS), rows)
    seen: list[str] = []
    after: str | None = None
    while True:
        page = reviews(control, "all", after=after, rows=7)
        seen += [item.review_id for item in page.rows]
        after = page.after
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 23


def test_a_key_limited_to_customers_sees_no_others(control: Engine) -> None:
    only = frozenset({"beta"})
    assert reviews(control, "all", customers=only).rows[0].customer_id == "beta"
    with pytest.raises(ReviewNotFoundError):
        review(control, "a" * 32, only)
    assert stops_in_force(control, customers=only).rows == ()
    assert stop_changes(control, customers=only).rows == ()
    assert set_limits(control, customers=only).rows == ()
    assert alerts(control, customers=only).rows == ()
    assert open_holds(control, customers=only).rows == ()
    assert {row.customer_id for row in denials(control, customers=only).rows} == {"beta"}
    assert {row.customer_id for row in balances(control, customers=only).rows} == {"beta"}
    assert set_limits(control, customers=frozenset()).rows == ()


def test_the_surroundings_of_an_item_are_its_own_minutes_sessions_and_actions(control: Engine) -> None:
    found = surroundings(control, review(control, "a" * 32), NOON + 10 * MINUTE)
    assert [(each.at, each.total) for each in found.minutes] == [
        (NOON - 2 * MINUTE, 6 * USD),
        (NOON, 12 * USD),
    ]
    assert [each.scope for each in found.sessions] == ["session:acme/run-7", "session:acme/run-6"]
    assert [(int(each.hold_id, 16), each.step) for each in found.actions] == [
        (2, "completion"),
        (3, "completion"),
        (1, "completion"),
    ]
    assert found.actions[0].usage[0]["dimensions"] == {"model": "m-1"}
    assert found.last_at == NOON + 10 * MINUTE


def test_the_minutes_of_a_session_are_added_up_from_its_holds(control: Engine) -> None:
    found = surroundings(control, review(control, "b" * 32), OPENED)
    (minute,) = found.minutes
    assert (minute.at, minute.settled, minute.calls) == (NOON - 5 * MINUTE, 8 * USD, 2)
    assert [each.scope for each in found.sessions] == ["session:acme/run-7"]


def test_limits_in_force_are_the_plans_but_where_one_was_set_for_the_scope(control: Engine) -> None:
    found = limits_in_force(control, "acme", ("search", "gone"), OnePlan(), OPENED)
    shown = [(each.scope, each.window, each.amount, each.used, each.left, each.is_set) for each in found]
    assert shown == [
        ("customer:acme", "day", 30 * USD, 23 * USD, 7 * USD, True),
        ("customer:acme", "period", 100 * USD, 63 * USD, 37 * USD, False),
        ("project:acme/search", "day", None, 0, None, True),
        ("session:acme/*", "session", 6 * USD, None, None, False),
    ]
    assert found[1].resets_at == OPENED + MINUTE


def test_limits_of_another_customer_whose_id_begins_alike_are_not_shown(control: Engine) -> None:
    assert {each.scope for each in limits_in_force(control, "acme2", (), None, OPENED)} == {"customer:acme2"}


def test_projects_are_those_counted_in_the_period(control: Engine) -> None:
    assert projects_of(control, "acme") == ("search",)


def test_customers_are_found_by_how_their_id_begins(control: Engine) -> None:
    assert [row.customer_id for row in balances(control, prefix="ac").rows] == ["acme", "acme2"]
    first = balances(control, rows=2)
    assert (first.after, len(first.rows)) == ("acme2", 2)
    assert [row.customer_id for row in balances(control, after=first.after).rows] == ["beta"]
    (acme,) = balances_of(control, "acme")
    assert (acme.available, acme.granted) == (40 * USD, 100 * USD)


def test_denials_come_newest_first_in_pages(control: Engine) -> None:
    first = denials(control, rows=2)
    assert [row.customer_id for row in first.rows] == ["beta", "acme"]
    assert len(denials(control, after=first.after).rows) == 1


def test_open_holds_and_sessions_are_shown(control: Engine) -> None:
    (hold,) = open_holds(control).rows
    assert (hold.customer_id, hold.action.amount, hold.action.booked) == ("acme", 5 * USD, None)
    assert {each.breaker for each in sessions_of(control, "acme")} == {"open", "closed"}


def test_documents_have_amounts_as_text_and_instants_in_utc(control: Engine) -> None:
    shown = document(reviews(control, "decided").rows[0])
    assert shown["opened_at"] == "2026-11-28T12:00:30.500000Z"
    assert shown["decisions"][0]["amount"] == "200000000000"
    assert shown["resumes_at"] is None


@pytest.mark.parametrize("rows", [0, 501])
def test_a_page_of_no_rows_or_too_many_is_refused(control: Engine, rows: int) -> None:
    with pytest.raises(GuardRequestError):
        reviews(control, rows=rows)


@pytest.mark.parametrize("after", ["x", "-1.a", "9" * 30 + ".a", "³.a"])
def test_a_page_after_what_was_never_given_out_is_refused(control: Engine, after: str) -> None:
    with pytest.raises(GuardRequestError):
        reviews(control, after=after)


def test_an_item_whose_evidence_is_no_object_is_shown_all_the_same(control: Engine) -> None:
    with writing(control) as connection:
        connection.execute(insert(GUARD_REVIEWS), review_row("d" * 32, evidence="[1]", opened_at=OPENED + 1))
        connection.execute(insert(GUARD_REVIEWS), review_row("e" * 32, evidence="{", opened_at=OPENED + 2))
    assert [item.evidence for item in reviews(control, rows=2).rows] == [{"text": "{"}, {"value": [1]}]
