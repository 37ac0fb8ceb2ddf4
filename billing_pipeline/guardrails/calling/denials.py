"""A denial as the error that a product gets: which rule, for what, how much is left, when it begins anew."""

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.errors import GuardDeniedError
from billing_pipeline.guardrails.answers import DenialRule, Denied
from billing_pipeline.guardrails.nano import nano_words

COUNTING_RULES = {
    DenialRule.SESSION_STEPS: "steps",
    DenialRule.SESSION_RATE: "steps a minute",
    DenialRule.SESSION_DURATION: "seconds",
    DenialRule.IDENTICAL_CALLS: "identical calls in a row",
    DenialRule.BREAKER_OPEN: "actions at a time",
}
"""Rules whose limit and rest are no amounts, and what they are instead."""

WHAT_TO_DO = {
    DenialRule.UNKNOWN_CUSTOMER: "register the customer and give it a plan",
    DenialRule.UNKNOWN_PROJECT: "register the project, or send another project_id",
    DenialRule.KILLED: "end the run; an operator has to lift the kill switch",
    DenialRule.PAUSED: "wait until it ends or an operator resumes it",
    DenialRule.BREAKER_OPEN: "end the run, or have its review item decided",
    DenialRule.SESSION_STEPS: "end the run, or have its review item decided",
    DenialRule.SESSION_SPEND: "end the run, or have its review item decided",
    DenialRule.SESSION_RATE: "wait for the next minute",
    DenialRule.SESSION_DURATION: "end the run, or have its review item decided",
    DenialRule.IDENTICAL_CALLS: "look why the run repeats itself, or have its review item decided",
    DenialRule.HARD_LIMIT: "estimate less, wait until it begins anew, or have an operator raise it",
    DenialRule.CREDIT: "estimate less, or grant the customer credit",
}
"""Of every rule what a product or its operators can do."""


def denied_error(denied: Denied) -> GuardDeniedError:
    """The error for a denial; it carries all that the denial says."""
    return GuardDeniedError(
        rule=str(denied.rule),
        scope=denied.scope,
        currency=denied.currency,
        asked=denied.asked,
        window=denied.window,
        limit=denied.limit,
        left=denied.left,
        resets_at=denied.resets_at,
        message=denial_message(denied),
    )


def denial_message(denied: Denied) -> str:
    """For people, in one sentence: `hard_limit of project:acme/search a day: 1.50 USD is left of 10.00 USD, …`."""
    parts = [f"{denied.rule} of {denied.scope}"]
    if denied.window is not None:
        parts[0] += f" by {denied.window}"
    if denied.left is not None:
        of = "" if denied.limit is None else f" of {_said(denied, denied.limit)}"
        parts.append(f"{_said(denied, denied.left)} left{of}")
    if denied.currency:
        parts.append(f"{nano_words(denied.asked, denied.currency)} asked for")
    if denied.reason:
        parts.append(f"because: {denied.reason}")
    if denied.resets_at is not None:
        parts.append(f"begins anew at {instant_text(denied.resets_at)}")
    head, *rest = parts
    return f"denied by {head}{': ' if rest else ''}{', '.join(rest)}; {WHAT_TO_DO[denied.rule]}"


def _said(denied: Denied, number: int) -> str:
    unit = COUNTING_RULES.get(denied.rule)
    return nano_words(number, denied.currency) if unit is None else f"{number} {unit}"
