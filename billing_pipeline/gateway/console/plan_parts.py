"""What a customer's plan says of its sessions and speed, besides limits."""

from billing_pipeline.gateway.console.html import Html, tag, together
from billing_pipeline.gateway.console.words import money, stretch
from billing_pipeline.guardrails.terms import Terms


def plan_card(terms: Terms | None) -> Html | None:
    """The plan in short; nothing where it is not known."""
    if terms is None:
        return None
    code, breaker, velocity = terms.currency, terms.breaker, terms.velocity
    facts = (
        ("plan", terms.plan),
        ("holds", "need credit" if terms.needs_credit else "are bounded by limits alone"),
        ("a session may spend", None if breaker.spend is None else money(breaker.spend, code)),
        ("a session may take", None if breaker.steps is None else f"{breaker.steps:,} steps"),
        ("in a minute", None if breaker.steps_per_minute is None else f"{breaker.steps_per_minute:,} steps"),
        (
            "a session may run",
            None if breaker.duration_seconds is None else stretch(breaker.duration_seconds * 1_000_000),
        ),
        ("the same call", None if breaker.identical_calls is None else f"{breaker.identical_calls:,} times"),
        (
            "paused above",
            None
            if velocity.spend_per_minute is None
            else f"{money(velocity.spend_per_minute, code)} a minute",
        ),
    )
    shown = [together(tag("dt", name), tag("dd", said)) for name, said in facts if said is not None]
    return tag("div", tag("dl", shown), class_="card")
