"""Reads one policy of the document, in each currency of the plans that it holds for."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast, get_args

from billing_pipeline.guardrails.policies.policy import NO_VELOCITY, Policy, WhenUnreachable
from billing_pipeline.guardrails.policies.policy_amounts import Amounts, read_amounts
from billing_pipeline.guardrails.policies.policy_limits import read_limits
from billing_pipeline.guardrails.terms import BreakerTerms, VelocityTerms
from billing_pipeline.rating.document import Field

STEPS_MOST = 100_000_000
MINUTES_MOST = 366 * 24 * 60
TTL_SECONDS_MOST = 30 * 24 * 60 * 60
_SWITCHES = ("needs_credit", "counts_trial_usage", "overdraft_trips")
_DEVIATION_DIGITS = {"integer_digits": 4, "fraction_digits": 3}
POLICY_KEYS = (  # each is a row of the table in docs/guard-policies.md
    *("description", "limits", "breaker", "velocity", "ttl_seconds", "ttl_seconds_most"),
    *("when_unreachable", *_SWITCHES),
)


def read_policy(name: str, field: Field, currencies: Sequence[str]) -> Mapping[str, Policy]:
    """One policy by currency; none where it holds for no plan.

    Args:
        name: its name.
        field: what it says; nothing (`{}`) is a policy without limits.
        currencies: of the plans that it holds for, sorted.
    """
    keys = field.mapping(optional=POLICY_KEYS)
    default = Policy(name, "")
    if "description" in keys:
        keys["description"].text(most=2000)
    limits = read_limits(keys["limits"], currencies) if "limits" in keys else ()
    breaker = _read_breaker(keys["breaker"], currencies) if "breaker" in keys else _Breaker()
    velocity = _read_velocity(keys["velocity"], currencies) if "velocity" in keys else None
    ttl_seconds, ttl_seconds_most = _read_ttl(keys, default)
    switches = {name: keys[name].switch() for name in _SWITCHES if name in keys}
    unreachable = default.when_unreachable
    if "when_unreachable" in keys:
        unreachable = cast("WhenUnreachable", keys["when_unreachable"].choice(get_args(WhenUnreachable)))
    return {
        currency: Policy(
            name=name,
            currency=currency,
            limits=tuple(limit.term(currency) for limit in limits),
            breaker=breaker.terms(currency),
            velocity=velocity.terms(currency) if velocity else NO_VELOCITY,
            ttl_seconds=ttl_seconds,
            ttl_seconds_most=ttl_seconds_most,
            when_unreachable=unreachable,
            **switches,
        )
        for currency in currencies
    }


def _read_ttl(keys: Mapping[str, Field], default: Policy) -> tuple[int, int]:
    most = default.ttl_seconds_most
    if "ttl_seconds_most" in keys:
        most = keys["ttl_seconds_most"].whole(least=1, most=TTL_SECONDS_MOST)
    if "ttl_seconds" not in keys:
        return min(default.ttl_seconds, most), most
    ttl_seconds = keys["ttl_seconds"].whole(least=1, most=TTL_SECONDS_MOST)
    if ttl_seconds > most:
        keys["ttl_seconds"].fault(f"{ttl_seconds} is more than `ttl_seconds_most`, which is {most}")
    return ttl_seconds, most


class _Breaker(NamedTuple):
    spend: Amounts | None = None
    steps: int | None = None
    steps_per_minute: int | None = None
    duration_seconds: int | None = None
    identical_calls: int | None = None

    def terms(self, currency: str) -> BreakerTerms:
        return BreakerTerms(
            steps=self.steps,
            spend=None if self.spend is None else self.spend[currency],
            steps_per_minute=self.steps_per_minute,
            duration_seconds=self.duration_seconds,
            identical_calls=self.identical_calls,
        )


def _read_breaker(field: Field, currencies: Sequence[str]) -> _Breaker:
    counted = ("steps", "steps_per_minute", "identical_calls")
    keys = field.mapping(optional=("spend", "duration_minutes", *counted))
    minutes = _minutes(keys.get("duration_minutes"))
    counts = {name: keys[name].whole(least=1, most=STEPS_MOST) for name in counted if name in keys}
    return _Breaker(
        spend=read_amounts(keys["spend"], currencies) if "spend" in keys else None,
        duration_seconds=None if minutes is None else minutes * 60,
        **counts,
    )


class _Velocity(NamedTuple):
    spend_per_minute: Amounts | None
    cost_per_call: Amounts | None
    least_spend_per_minute: Amounts | None
    deviations: float
    resume_after_seconds: int | None

    def terms(self, currency: str) -> VelocityTerms:
        least = self.least_spend_per_minute
        return VelocityTerms(
            spend_per_minute=None if self.spend_per_minute is None else self.spend_per_minute[currency],
            cost_per_call=None if self.cost_per_call is None else self.cost_per_call[currency],
            deviations=self.deviations,
            least_spend_per_minute=NO_VELOCITY.least_spend_per_minute if least is None else least[currency],
            resume_after_seconds=self.resume_after_seconds,
        )


def _read_velocity(field: Field, currencies: Sequence[str]) -> _Velocity:
    amounts = ("spend_per_minute", "cost_per_call", "least_spend_per_minute")
    keys = field.mapping(optional=("deviations", "resume_after_minutes", *amounts))
    if ("deviations" in keys) != ("least_spend_per_minute" in keys):
        field.fault("the baseline needs `deviations` and `least_spend_per_minute`; give both, or neither")
    deviations = NO_VELOCITY.deviations
    if "deviations" in keys:
        given = keys["deviations"].decimal(**_DEVIATION_DIGITS)
        if given is not None and given < 1:
            keys["deviations"].fault("fewer than 1 would pause what is ordinary; 8 is a good start")
        deviations = float(given or 0)  # a statistic: it judges, nothing is booked by it
    minutes = _minutes(keys.get("resume_after_minutes"))
    return _Velocity(
        **{name: read_amounts(keys[name], currencies) if name in keys else None for name in amounts},
        deviations=deviations,
        resume_after_seconds=None if minutes is None else minutes * 60,
    )


def _minutes(field: Field | None) -> int | None:
    return None if field is None else field.whole(least=1, most=MINUTES_MOST)
