"""Limits of one customer: a row for each, with what is used of it, and a form to set one."""

from typing import get_args

from billing_pipeline.gateway.console.html import Child, Html, tag
from billing_pipeline.gateway.console.layout import ROOT, amount, choice, csrf_field, field
from billing_pipeline.gateway.console.visit import Visit
from billing_pipeline.gateway.console.words import stretch
from billing_pipeline.guardrails.review.accounts import Balance
from billing_pipeline.guardrails.review.limits import LimitInForce
from billing_pipeline.guardrails.scope import customer_scope
from billing_pipeline.guardrails.terms import Severity
from billing_pipeline.guardrails.window import Window


def limit_row(limit: LimitInForce, now: int) -> tuple[Child, ...]:
    """Scope, window, amount, used, left, how full, and who says so."""
    resets = None if limit.resets_at is None else f"anew in {stretch(limit.resets_at - now)}"
    return (
        tag("code", limit.scope),
        [
            tag(
                "span",
                tag("span", limit.severity, class_="tag bad" if limit.severity == "hard" else "tag warn"),
                f" {limit.window}",
                class_="line",
            ),
            None if resets is None else tag("span", resets, class_="line quiet"),
        ],
        "none" if limit.amount is None else amount(limit.amount, limit.currency),
        "-" if limit.used is None else amount(limit.used, limit.currency),
        "-" if limit.left is None else amount(limit.left, limit.currency),
        _meter(limit),
        "set here" if limit.is_set else "plan",
    )


def _meter(limit: LimitInForce) -> Html | None:
    if limit.amount is None or limit.used is None:
        return None
    is_full = limit.used >= limit.amount
    percent = 100 if is_full else max(limit.used, 0) * 100 // limit.amount
    bar = tag("svg", tag("rect", width=percent, height=1), viewBox="0 0 100 1", preserveAspectRatio="none")
    return tag(
        "div",
        bar,
        class_="meter full" if is_full else "meter",
        role="img",
        aria_label=f"{percent} % used",
    )


def limit_form(visit: Visit, customer_id: str, found: tuple[Balance, ...], back: str) -> Html:
    """Sets one, or lets the plan's hold again."""
    currencies = {each.currency for each in found}
    return tag(
        "form",
        csrf_field(visit.session),
        tag("input", type="hidden", name="back", value=back),
        tag(
            "div",
            field("Scope", "scope", value=customer_scope(customer_id), long=True),
            choice("Window", "window", get_args(Window), "day"),
            choice("Kind", "severity", get_args(Severity)),
            field("Amount", "amount", required=False, placeholder="empty: none"),
            field("Currency", "currency", value=currencies.pop() if len(currencies) == 1 else ""),
            field("Reason", "why", long=True),
            class_="fields",
        ),
        tag(
            "div",
            tag("button", "Set limit", name="do", value="set", class_="main"),
            tag("button", "Plan's limit again", name="do", value="unset"),
            class_="actions",
        ),
        method="post",
        action=f"{ROOT}/limits",
    )
