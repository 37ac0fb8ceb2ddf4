"""`data/guard.yaml`: what each field comes to, and every fault by its line and field."""

from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import pytest

from billing_pipeline.errors import DocumentError
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT, NANO
from billing_pipeline.guardrails.policies.policy import NO_POLICY, NO_VELOCITY, Policies, Policy
from billing_pipeline.guardrails.policies.policy_document import load_policies
from billing_pipeline.guardrails.terms import BreakerTerms, LimitTerm, VelocityTerms
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.settings import PROJECT_ROOT

Read = Callable[[str], Policies]

WHOLE = """
policies:
  main:
    description: Everything there is.
    needs_credit: true
    limits:
      - {scope: customer, window: day, hard: {usd: 500.00, eur: 450}, soft: {usd: 0.000000001, eur: 1}}
      - {scope: project, window: request, hard: {usd: 2, eur: 2}}
      - {scope: session, window: session, hard: {usd: 3, eur: 3}}
    breaker: {steps: 10, spend: {usd: 5, eur: 4}, steps_per_minute: 6, duration_minutes: 7, identical_calls: 8}
    velocity:
      spend_per_minute: {usd: 9, eur: 8}
      cost_per_call: {usd: 0.5, eur: 0.4}
      deviations: 6.5
      least_spend_per_minute: {usd: 1, eur: 0.9}
      resume_after_minutes: 30
    ttl_seconds: 60
    ttl_seconds_most: 3600
    overdraft_trips: false
    when_unreachable: open
  trial: {counts_trial_usage: true, limits: [{scope: customer, window: period, hard: 5}]}
default: {production: main}
plans:
  growth: {trial: trial}
upper_unit_prices:
  growth: {calls: {unit_price: 12, per: 1000}}
  seats: {peak: {unit_price: 0.01}}
"""


def test_every_field_is_read(read: Read) -> None:
    """Amounts are nano-units of the plan's currency, minutes are seconds."""
    policies = read(WHOLE)
    main = policies.by_plan["growth"].production
    assert main == Policy(
        name="main",
        currency="usd",
        needs_credit=True,
        limits=(
            LimitTerm("customer", "day", "hard", 500 * NANO),
            LimitTerm("customer", "day", "soft", 1),
            LimitTerm("project", "request", "hard", 2 * NANO),
            LimitTerm("session", "session", "hard", 3 * NANO),
        ),
        breaker=BreakerTerms(
            steps=10, spend=5 * NANO, steps_per_minute=6, duration_seconds=420, identical_calls=8
        ),
        velocity=VelocityTerms(
            spend_per_minute=9 * NANO,
            cost_per_call=NANO // 2,
            deviations=6.5,
            least_spend_per_minute=NANO,
            resume_after_seconds=1800,
        ),
        ttl_seconds=60,
        ttl_seconds_most=3600,
        overdraft_trips=False,
        when_unreachable="open",
    )
    assert {key: price.text for key, price in policies.upper_unit_prices.items()} == {
        ("growth", "calls"): "12 per 1,000",
        ("seats", "peak"): "0.01",
    }


def test_a_plan_has_its_own_policy_or_the_default_in_its_currency(read: Read) -> None:
    """What a plan's entry leaves out is the default's; the default's trial is its production where left out."""
    policies = read(WHOLE)
    growth, starter, enterprise = (policies.by_plan[name] for name in ("growth", "starter", "enterprise"))
    assert (growth.on(in_trial=False).name, growth.on(in_trial=True).name) == ("main", "trial")
    assert growth.trial.counts_trial_usage
    assert growth.trial.limits == (LimitTerm("customer", "period", "hard", 5 * NANO),)
    assert starter.production is starter.trial is growth.production
    assert (enterprise.production.currency, enterprise.production.limits[0].amount) == ("eur", 450 * NANO)


def test_an_empty_policy_stops_nobody(read: Read) -> None:
    """It has no limit, no breaker and no velocity, and a policy that no plan has is named."""
    policies = read("policies: {free: {}, other: {}}\ndefault: {production: free}")
    assert policies.by_plan["growth"].production == Policy("free", "usd")
    assert Policy("free", "usd").velocity is NO_VELOCITY
    assert NO_VELOCITY.spend_per_minute is NO_VELOCITY.cost_per_call is None
    assert NO_VELOCITY.least_spend_per_minute == LARGEST_AMOUNT
    assert policies.unused == ("other",)


def test_without_a_baseline_only_thresholds_pause(read: Read) -> None:
    """`deviations` left out is never, not the usual ones."""
    policies = read("policies: {p: {velocity: {cost_per_call: {usd: 1, eur: 1}}}}\ndefault: {production: p}")
    velocity = policies.by_plan["growth"].production.velocity
    assert (velocity.cost_per_call, velocity.least_spend_per_minute) == (NANO, LARGEST_AMOUNT)


def test_without_a_file_nothing_is_limited(tmp_path: Path, books: RuleBooks) -> None:
    """Every plan has the policy `none`, in its currency."""
    policies = load_policies(tmp_path / "guard.yaml", books)
    assert {name: each.production for name, each in policies.by_plan.items()} == {
        "enterprise": Policy(NO_POLICY, "eur"),
        "growth": Policy(NO_POLICY, "usd"),
        "starter": Policy(NO_POLICY, "usd"),
    }


POLICY = """
policies:
  p:
{policy}
default: {{production: p}}
"""


@pytest.mark.parametrize(
    ("policy", "field", "message"),
    [
        ("needs_credit: maybe", "needs_credit", "give one of true, false"),
        ("needs_credits: true", "needs_credits", "did you mean 'needs_credit'?"),
        ("ttl_seconds: 0", "ttl_seconds", "no whole number from 1"),
        (
            "{ttl_seconds: 61, ttl_seconds_most: 60}",
            "ttl_seconds",
            "more than `ttl_seconds_most`, which is 60",
        ),
        ("when_unreachable: close", "when_unreachable", "did you mean 'closed'?"),
        ("limits: [{scope: customer, window: day, hard: 5}]", "limits[0].hard", "write {eur: …, usd: …}"),
        ("limits: [{scope: customer, window: day, hard: {usd: 5}}]", "limits[0].hard", "no amount in eur"),
        ("breaker: {spend: {usd: 5, eur: 5, xyz: 1}}", "breaker.spend.xyz", "unknown currency 'xyz'"),
        ("breaker: {spend: {usd: -5, eur: 5}}", "breaker.spend.usd", "no plain decimal number"),
        ("breaker: {spend: {usd: 0.0000000001, eur: 5}}", "breaker.spend.usd", "9 after the point"),
        ("breaker: {spend: {usd: 1000000000.1, eur: 5}}", "breaker.spend.usd", "more than 1000000000"),
        ("breaker: {steps: 0}", "breaker.steps", "no whole number from 1"),
        ("limits: [{scope: customer, window: day}]", "limits[0]", "neither `hard` nor `soft`"),
        (
            "limits: [{scope: customer, window: week, hard: {usd: 5, eur: 5}}]",
            "limits[0].window",
            "unknown 'week'",
        ),
        (
            "limits: [{scope: session, window: day, hard: {usd: 5, eur: 5}}]",
            "limits[0].window",
            "a session is counted by `session` alone",
        ),
        (
            "limits: [{scope: project, window: session, hard: {usd: 5, eur: 5}}]",
            "limits[0].window",
            "a project is counted by request, minute",
        ),
        (
            "limits: [{scope: project, window: request, soft: {usd: 5, eur: 5}}]",
            "limits[0].soft",
            "nobody is told of one request",
        ),
        (
            "limits: [{scope: project, window: day, soft: {usd: 5, eur: 5}, hard: {usd: 5, eur: 4}}]",
            "limits[0].soft",
            "above `hard`",
        ),
        (
            (
                "limits: [{scope: project, window: day, soft: {usd: 5, eur: 5}}, "
                "{scope: project, window: day, hard: {usd: 5, eur: 5}}]"
            ),
            "limits[1]",
            "has a limit above",
        ),
        ("velocity: {deviations: 8}", "velocity", "give both, or neither"),
        (
            "velocity: {deviations: 0.5, least_spend_per_minute: {usd: 5, eur: 5}}",
            "velocity.deviations",
            "fewer than 1",
        ),
        ("velocity: {resume_after_minutes: 0}", "velocity.resume_after_minutes", "no whole number from 1"),
    ],
)
def test_a_fault_of_a_policy_is_named(read: Read, policy: str, field: str, message: str) -> None:
    """With its line, field and what to do."""
    with pytest.raises(DocumentError) as raised:
        read(POLICY.format(policy=indent(policy, "    ")))
    (fault,) = raised.value.faults
    assert (fault.line, fault.field) == (4, f"policies.p.{field}")
    assert message in fault.message


@pytest.mark.parametrize(
    ("text", "line", "field", "message"),
    [
        ("policies: {p: {}}", 1, "default", "missing"),
        ("policies: {p: {}}\ndefault: {production: q}", 2, "default.production", "give one of p"),
        ("policies: {p: {}}\ndefault: {trial: p}", 2, "default.production", "missing"),
        (
            "policies: {p: {}}\ndefault: {production: p}\nplans:\n  grow: {production: p}",
            4,
            "plans.grow",
            "no rule book has a plan 'grow'; there are enterprise, growth, starter",
        ),
        (
            "policies: {p: {}}\ndefault: {production: p}\nplans: {growth: {}}",
            3,
            "plans.growth",
            "says nothing",
        ),
        (
            "policies: {p: {}}\ndefault: {production: p}\nupper_unit_prices: {gone: {calls: {unit_price: 1}}}",
            3,
            "upper_unit_prices.gone",
            "no rule book has a plan or add-on 'gone'; there are enterprise, growth, seats, starter",
        ),
        (
            "policies: {p: {}}\ndefault: {production: p}\nupper_unit_prices: {growth: {calls: {per: 10}}}",
            3,
            "upper_unit_prices.growth.calls.unit_price",
            "missing",
        ),
    ],
)
def test_a_fault_of_the_document_is_named(read: Read, text: str, line: int, field: str, message: str) -> None:
    """Whatever else there may be."""
    with pytest.raises(DocumentError) as raised:
        read(text)
    found = {(fault.line, fault.field): fault.message for fault in raised.value.faults}
    assert message in found[line, field]


def test_all_faults_are_listed_at_once(read: Read) -> None:
    """In the order of their lines."""
    with pytest.raises(DocumentError) as raised:
        read("policies:\n  p: {ttl_seconds: x}\n  q: {breaker: {steps: y}}\ndefault: {production: z}")
    assert [fault.line for fault in raised.value.faults] == [2, 3, 4]


def test_the_projects_own_policies_leave_room_and_trials_are_smaller() -> None:
    """Every plan has hard limits, and those of its trial are at most a tenth of those in production."""
    books = load_rule_books(PROJECT_ROOT / "data" / "rule_books")
    policies = load_policies(PROJECT_ROOT / "data" / "guard.yaml", books)
    assert policies.unused == ()
    for plan in policies.by_plan.values():
        production, trial = (
            {(term.scope_kind, term.window): term.amount for term in policy.limits if term.severity == "hard"}
            for policy in (plan.production, plan.trial)
        )
        shared = production.keys() & trial.keys()
        assert ("customer", "day") in shared
        assert all(trial[key] * 10 <= production[key] for key in shared)
        assert plan.trial.counts_trial_usage
