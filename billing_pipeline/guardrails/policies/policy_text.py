"""A policy for people, and as JSON, whose amounts are nano-units as text."""

from collections.abc import Callable, Mapping

from billing_pipeline.guardrails.nano import LARGEST_AMOUNT
from billing_pipeline.guardrails.policies.policy import Policy
from billing_pipeline.guardrails.terms import BreakerTerms, VelocityTerms

Money = Callable[[int], str]
"""An amount in nano-units, for people."""


def policy_lines(policy: Policy, money: Money) -> Mapping[str, list[str]]:
    """What it says, line by line, under `limits`, `breaker`, `velocity` and `holds`."""
    return {
        "limits": [
            f"{term.scope_kind}, {term.window}: {money(term.amount)}{'' if term.severity == 'hard' else ' (told)'}"
            for term in policy.limits
        ],
        "breaker": list(_breaker_lines(policy.breaker, money)),
        "velocity": list(_velocity_lines(policy.velocity, money)),
        "holds": [
            f"{policy.ttl_seconds} s, at most {policy.ttl_seconds_most} s",
            *(["covered by credit"] if policy.needs_credit else []),
            *(["an overdraft trips"] if policy.overdraft_trips else []),
            *(["trial usage counts"] if policy.counts_trial_usage else []),
            f"unreachable: {policy.when_unreachable}",
        ],
    }


def _breaker_lines(breaker: BreakerTerms, money: Money) -> list[str]:
    found = [f"spend {money(breaker.spend)}"] if breaker.spend is not None else []
    for name, value in (
        ("steps", breaker.steps),
        ("steps/minute", breaker.steps_per_minute),
        ("seconds", breaker.duration_seconds),
        ("identical calls", breaker.identical_calls),
    ):
        found += [f"{value} {name}"] if value is not None else []
    return found


def _velocity_lines(velocity: VelocityTerms, money: Money) -> list[str]:
    found = []
    if velocity.spend_per_minute is not None:
        found.append(f"{money(velocity.spend_per_minute)}/minute")
    if velocity.cost_per_call is not None:
        found.append(f"{money(velocity.cost_per_call)}/call")
    if velocity.least_spend_per_minute < LARGEST_AMOUNT:
        least = money(velocity.least_spend_per_minute)
        found.append(f"{velocity.deviations:g} deviations, from {least}/minute on")
    if found and velocity.resume_after_seconds is not None:
        found.append(f"until {velocity.resume_after_seconds} s later")
    return found


def policy_document(policy: Policy) -> Mapping[str, object]:
    """As JSON."""
    breaker, velocity = policy.breaker, policy.velocity
    has_baseline = velocity.least_spend_per_minute < LARGEST_AMOUNT
    return {
        "policy": policy.name,
        "needs_credit": policy.needs_credit,
        "counts_trial_usage": policy.counts_trial_usage,
        "limits": [
            {
                "scope": term.scope_kind,
                "window": term.window,
                "severity": term.severity,
                "amount": str(term.amount),
            }
            for term in policy.limits
        ],
        "breaker": {
            "spend": _amount(breaker.spend),
            "steps": breaker.steps,
            "steps_per_minute": breaker.steps_per_minute,
            "duration_seconds": breaker.duration_seconds,
            "identical_calls": breaker.identical_calls,
        },
        "velocity": {
            "spend_per_minute": _amount(velocity.spend_per_minute),
            "cost_per_call": _amount(velocity.cost_per_call),
            "deviations": velocity.deviations if has_baseline else None,
            "least_spend_per_minute": _amount(velocity.least_spend_per_minute) if has_baseline else None,
            "resume_after_seconds": velocity.resume_after_seconds,
        },
        "ttl_seconds": policy.ttl_seconds,
        "ttl_seconds_most": policy.ttl_seconds_most,
        "overdraft_trips": policy.overdraft_trips,
        "when_unreachable": policy.when_unreachable,
    }


def _amount(nano: int | None) -> str | None:
    return None if nano is None else str(nano)
