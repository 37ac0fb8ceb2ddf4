"""`billing guard status`: what the guard knows of a customer."""

from typing import TYPE_CHECKING

import click

from billing_pipeline.commands import guard_shown as shown
from billing_pipeline.errors import BillingError

if TYPE_CHECKING:
    from billing_pipeline.guardrails.review.limits import LimitInForce
    from billing_pipeline.pipeline import Pipeline


@click.command()
@click.argument("customer_id", metavar="CUSTOMER")
@shown.as_json
def status(customer_id: str, as_json: bool) -> None:
    """Show the balance, credit, limits, stops and sessions of CUSTOMER."""
    from billing_pipeline.guardrails.review.accounts import balances_of, credit_of
    from billing_pipeline.guardrails.review.activity import sessions_of
    from billing_pipeline.guardrails.review.stops import stops_in_force

    pipeline = shown.pipeline()
    control = pipeline.control
    shown.warn_unknown(control, f"customer:{customer_id}")
    found_balances, found_credit = balances_of(control, customer_id), credit_of(control, customer_id)
    limits = _limits(pipeline, customer_id)
    stops = stops_in_force(control, customers=(customer_id,)).rows
    sessions = sessions_of(control, customer_id)
    if as_json:
        shown.print_json(
            {
                "customer_id": customer_id,
                "balances": found_balances,
                "credit": found_credit,
                "limits": limits,
                "stops": stops,
                "sessions": sessions,
            }
        )
        return
    shown.print_table(
        f"balances of {customer_id}",
        ("available", "held", "spent", "overdraft", "granted", "expired"),
        (
            tuple(
                shown.money(amount, each.currency)
                for amount in (
                    each.available,
                    each.held,
                    each.spent,
                    each.overdraft,
                    each.granted,
                    each.expired,
                )
            )
            for each in found_balances
        ),
    )
    shown.print_table(
        "credit",
        ("grant", "amount", "left", "priority", "expires", "voided"),
        (
            (
                each.grant_id,
                shown.money(each.amount, each.currency),
                shown.money(each.remaining, each.currency),
                each.priority,
                shown.instant(each.expires_at),
                shown.instant(each.voided_at),
            )
            for each in found_credit
        ),
    )
    shown.print_table(
        "limits",
        ("scope", "window", "severity", "limit", "used", "left", "resets", "from"),
        (
            (
                each.scope,
                each.window,
                each.severity,
                shown.money(each.amount, each.currency) or "none",
                shown.money(each.used, each.currency),
                shown.money(each.left, each.currency),
                shown.instant(each.resets_at),
                "set" if each.is_set else "plan",
            )
            for each in limits
        ),
    )
    shown.print_table(
        "stops",
        ("scope", "kind", "since", "ends", "who", "why"),
        (
            (
                each.scope,
                each.kind,
                shown.instant(each.since),
                shown.instant(each.resumes_at),
                each.who,
                each.why,
            )
            for each in stops
        ),
    )
    shown.print_table(
        "sessions",
        ("session", "project", "spent and held", "steps", "last seen", "breaker"),
        (
            (
                each.scope,
                each.project_id,
                shown.money(each.total, each.currency),
                each.steps,
                shown.instant(each.last_at),
                f"{each.breaker} ({each.opened_by})" if each.opened_by else each.breaker,
            )
            for each in sessions
        ),
    )


def _limits(pipeline: "Pipeline", customer_id: str) -> "tuple[LimitInForce, ...]":
    """All that is in force; where the plans cannot be read, what was set, and why on the standard error."""
    from billing_pipeline.control.clock import now_us
    from billing_pipeline.guardrails.review.limits import limits_in_force, projects_of

    control, now = pipeline.control, now_us()
    counted = projects_of(control, customer_id)
    try:
        with pipeline.queue() as queue, pipeline.guard_customers(queue) as customers:
            projects = dict.fromkeys((*customers.days.registry.projects(customer_id), *counted))
            return limits_in_force(control, customer_id, projects, pipeline.guard_terms(customers), now)
    except BillingError as error:
        click.echo(f"note: the plan's limits are not shown: {error}", err=True)
        return limits_in_force(control, customer_id, counted, None, now)
