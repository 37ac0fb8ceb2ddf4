"""The terms of customers by registry, rule books and policies."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.guardrails.customers.registry_book import RegistryBook
from billing_pipeline.guardrails.policies.policy import PlanPolicies, Policies, Policy
from billing_pipeline.guardrails.terms import BreakerTerms, LimitTerm, NoTerms, Terms, VelocityTerms
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline_tests.guardrails.made_customers import MadeCustomers, acme, at, made_books

BOOK = """
version: {version}
effective_from: {start}
units: [call]
meters: {{calls: {{unit: call, aggregation: sum}}}}
plans:
  growth: {{currency: usd, trial_days: 10, charges: []}}
  {plan}: {{currency: eur, charges: []}}
"""
POLICIES = Policies(
    {
        "growth": PlanPolicies(
            Policy(
                "production",
                "usd",
                needs_credit=True,
                limits=(LimitTerm("customer", "day", "hard", 5),),
                breaker=BreakerTerms(steps=3),
                velocity=VelocityTerms(spend_per_minute=7),
                ttl_seconds=11,
                ttl_seconds_most=12,
                overdraft_trips=False,
                when_unreachable="open",
            ),
            Policy("trial", "usd", ttl_seconds=1),
        ),
        "late": PlanPolicies(Policy("late", "eur"), Policy("late", "eur")),
        "early": PlanPolicies(Policy("early", "eur"), Policy("early", "eur")),
    }
)
OCTOBER = "2026-10-20T12:00:00Z"


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> RuleBooks:
    """One until 06:00 of 16 October with a plan `early`, and one with a plan `late`."""
    folder = tmp_path_factory.mktemp("books")
    first = BOOK.format(version="v1", start="2026-01-01T00:00:00Z", plan="early")
    return made_books(folder, first, BOOK.format(version="v2", start="2026-10-16T06:00:00Z", plan="late"))


def terms_of(book: RegistryBook, instant: str = OCTOBER, project: str = "p") -> Terms:
    found = book.terms("acme", project, at(instant))
    assert isinstance(found, Terms), found
    return found


def refusal(book: RegistryBook, instant: str = OCTOBER, project: str = "p") -> tuple[str, str]:
    found = book.terms("acme", project, at(instant))
    assert isinstance(found, NoTerms), found
    return found.rule, found.reason


def test_terms_are_the_plans_policy_and_the_billing_period(books: RuleBooks) -> None:
    """With the currency of the plan, and the period by the customer's anchor day."""
    book = RegistryBook(MadeCustomers(books, acme(anchor_day=31)), POLICIES)
    assert terms_of(book) == Terms(
        plan="growth",
        currency="usd",
        needs_credit=True,
        limits=(LimitTerm("customer", "day", "hard", 5),),
        breaker=BreakerTerms(steps=3),
        velocity=VelocityTerms(spend_per_minute=7),
        ttl_seconds=11,
        ttl_seconds_most=12,
        overdraft_trips=False,
        period_starts_at=at("2026-09-30T00:00:00Z"),
        period_ends_at=at("2026-10-31T00:00:00Z"),
    )


def test_the_trial_ends_with_its_last_day(books: RuleBooks) -> None:
    """The plan's own trial, or the one agreed with the customer; afterwards production."""
    own = RegistryBook(MadeCustomers(books, acme(start=date(2026, 10, 1))), POLICIES)
    assert [terms_of(own, f"2026-10-{day}T23:59:59Z").ttl_seconds for day in ("01", "10", "11")] == [1, 1, 11]
    agreed = RegistryBook(MadeCustomers(books, acme(start=date(2026, 10, 1), trial_days=0)), POLICIES)
    assert terms_of(agreed, "2026-10-01T00:00:00Z").ttl_seconds == 11


def test_terms_are_the_same_object_as_long_as_they_hold(books: RuleBooks) -> None:
    """Through the day, for every project, and after a change that does not concern them."""
    customers = MadeCustomers(books, acme(projects=("p", "q")))
    book = RegistryBook(customers, POLICIES)
    found = terms_of(book)
    assert terms_of(book, "2026-10-20T23:59:59Z") is found is terms_of(book, project="q")
    customers.change(RegistryChange("customer", "other", "register", date(2026, 1, 1)))
    assert customers.refresh()
    assert terms_of(book) is found


def test_nobody_is_held_for_who_is_unknown_closed_or_without_a_plan(books: RuleBooks) -> None:
    """And it is said which of them, with what to do."""
    nobody = RegistryBook(MadeCustomers(books, []), POLICIES)
    assert refusal(nobody) == ("unknown_customer", "customer acme is not registered")
    without = RegistryBook(MadeCustomers(books, acme(plan=None)), POLICIES)
    assert refusal(without) == ("unknown_customer", "customer acme has no plan on 2026-10-20; assign one")
    ended = RegistryBook(MadeCustomers(books, acme(until="2026-10-20")), POLICIES)
    assert terms_of(ended, "2026-10-19T23:59:59Z").plan == "growth"
    assert refusal(ended)[1].endswith("has no plan on 2026-10-20; assign one")
    assert refusal(RegistryBook(MadeCustomers(books, acme()), POLICIES), project="q") == (
        "unknown_project",
        "project q of customer acme is not registered",
    )
    before = RegistryBook(MadeCustomers(books, acme("late")), POLICIES)
    assert refusal(before, "2026-01-02T00:00:00Z")[1].endswith(
        "has the plan late, which is not in rule book v1; assign another"
    )


def test_a_customer_is_closed_from_an_instant_within_the_day(books: RuleBooks) -> None:
    """Until then its terms hold, and settles of that time still find them."""
    closing = RegistryChange("customer", "acme", "close", datetime(2026, 10, 20, 12, tzinfo=UTC))
    book = RegistryBook(MadeCustomers(books, [*acme(), closing]), POLICIES)
    assert terms_of(book, "2026-10-20T11:59:59.999999Z").plan == "growth"
    assert refusal(book) == ("unknown_customer", "customer acme is closed since 2026-10-20T12:00:00Z")
    assert terms_of(book, "2026-10-20T11:00:00Z").plan == "growth"


def test_a_project_is_closed_from_an_instant_within_the_day(books: RuleBooks) -> None:
    """The customer's others are not."""
    closing = RegistryChange("project", "acme/p", "close", datetime(2026, 10, 20, 12, tzinfo=UTC))
    book = RegistryBook(MadeCustomers(books, [*acme(projects=("p", "q")), closing]), POLICIES)
    assert terms_of(book, "2026-10-20T11:59:59Z").plan == "growth"
    assert refusal(book)[1] == "project p of customer acme is closed since 2026-10-20T12:00:00Z"
    assert terms_of(book, project="q").plan == "growth"


def test_a_rule_book_that_starts_within_the_day_decides_from_then_on(books: RuleBooks) -> None:
    """The plan `early` is gone at 06:00."""
    book = RegistryBook(MadeCustomers(books, acme("early")), POLICIES)
    assert terms_of(book, "2026-10-16T05:59:59Z").currency == "eur"
    assert refusal(book, "2026-10-16T06:00:00Z")[1].endswith("which is not in rule book v2; assign another")
    assert terms_of(book, "2026-10-16T05:59:59Z").plan == "early"


def test_a_new_customer_holds_after_the_next_refresh(books: RuleBooks) -> None:
    """Whoever asks for it in vain has the registry read again soon."""
    customers = MadeCustomers(books, [])
    book = RegistryBook(customers, POLICIES)
    assert refusal(book)[0] == "unknown_customer"
    assert customers.missed == 1
    customers.change(*acme())
    assert refusal(book)[0] == "unknown_customer"
    assert customers.refresh()
    assert terms_of(book).plan == "growth"
    assert customers.missed == 2


def test_unreachable_is_closed_unless_the_policy_says_open(books: RuleBooks) -> None:
    """Also for whom nothing may be held."""
    book = RegistryBook(MadeCustomers(books, acme(start=date(2026, 10, 1))), POLICIES)
    assert book.when_unreachable("acme", at(OCTOBER)) == "open"
    assert book.when_unreachable("acme", at("2026-10-02T00:00:00Z")) == "closed"
    assert book.when_unreachable("nobody", at(OCTOBER)) == "closed"


def _change(kind: str, offset: int, hour: int) -> RegistryChange:
    """A change of acme at some hour of October, where the entity's changes may fall within a day."""
    day, instant = date(2026, 10, 1 + hour // 24), datetime(2026, 10, 1 + hour // 24, hour % 24, tzinfo=UTC)
    made = {
        "register": ("customer", "acme", "register", day, {"anchor_day": 1 + hour % 31}),
        "project": ("project", "acme/p", "register", day, {}),
        "growth": ("plan_assignment", "acme", "assign", day, {"plan": "growth", "trial_days": hour % 5}),
        "early": ("plan_assignment", "acme", "assign", day, {"plan": "early"}),
        "late": ("plan_assignment", "acme", "assign", day, {"plan": "late", "until": "2026-10-25"}),
        "end": ("plan_assignment", "acme", "end", day, {}),
        "close project": ("project", "acme/p", "close", instant, {}),
        "close": ("customer", "acme", "close", instant, {}),
    }[kind]
    return RegistryChange(*made, offset)  # type: ignore[arg-type]  # as above


HOURS = st.integers(14 * 24, 16 * 24 - 1)
"""Of 15 and 16 October; on the second the rule book changes at 06:00."""
KINDS = ("register", "project", "growth", "early", "late", "end", "close project", "close")
STEPS = st.lists(st.one_of(HOURS, HOURS, st.tuples(st.sampled_from(KINDS), HOURS)), min_size=5, max_size=40)


@given(st.integers(0, len(KINDS) - 3), STEPS)
def test_what_is_kept_is_what_would_be_found_anew(
    books: RuleBooks, known: int, steps: list[int | tuple[str, int]]
) -> None:
    """Whatever is asked and changed in whichever order: a book that has run for long answers as a new one."""
    customers = MadeCustomers(books, [_change(kind, -1, 0) for kind in KINDS[:known]])
    book = RegistryBook(customers, POLICIES)
    for offset, step in enumerate(steps):
        if isinstance(step, tuple):
            customers.registry = customers.registry.after([_change(step[0], offset, step[1])])
            customers.refresh()
            continue
        start = at("2026-10-01T00:00:00Z") + step * 3_600_000_000
        for instant in (start, start - 1):
            fresh = RegistryBook(MadeCustomers(books, customers.registry.changes), POLICIES)
            assert book.terms("acme", "p", instant) == fresh.terms("acme", "p", instant)
            assert book.when_unreachable("acme", instant) == fresh.when_unreachable("acme", instant)
