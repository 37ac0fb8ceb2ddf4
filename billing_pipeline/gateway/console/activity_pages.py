"""What the guard did of late: soft limits that were reached, actions that were denied, holds that are open."""

from billing_pipeline.control.clock import now_us
from billing_pipeline.gateway.console.html import Html, tag
from billing_pipeline.gateway.console.layout import ROOT, amount, page, scope_link, table, time
from billing_pipeline.gateway.console.visit import Visit
from billing_pipeline.gateway.console.words import left_words, stretch
from billing_pipeline.guardrails.review.activity import alerts, denials, open_holds
from billing_pipeline.guardrails.review.queue import open_count

HERE = f"{ROOT}/activity"
_ROWS = 25


def activity(visit: Visit) -> Html:
    """Alerts, denials and open holds."""
    control, customers = visit.desk.control, visit.customers
    denied = denials(control, customers=customers, after=visit.query.get("after"), rows=_ROWS)
    now = now_us()
    return page(
        "Activity",
        tag("h1", "Activity"),
        tag("h2", "Soft limits reached"),
        table(
            ("at", "scope", "window", "limit", "used"),
            (
                (
                    time(each.at),
                    scope_link(each.scope),
                    each.window,
                    amount(each.amount, each.currency),
                    amount(each.used, each.currency),
                )
                for each in alerts(control, customers=customers, rows=_ROWS).rows
            ),
            numbers=frozenset({3, 4}),
        ),
        tag("h2", "Denials"),
        table(
            ("at", "rule", "scope", "project", "asked", "left", "why"),
            (
                (
                    time(each.at),
                    tag("span", each.rule, class_="tag"),
                    scope_link(each.scope),
                    each.project_id,
                    amount(each.asked, each.currency),
                    left_words(each),
                    each.reason,
                )
                for each in denied.rows
            ),
            numbers=frozenset({4, 5}),
        ),
        None
        if denied.after is None
        else tag("a", "Older denials", class_="more", href=f"{HERE}?after={denied.after}"),
        tag("h2", "Open holds"),
        table(
            ("customer", "project", "session", "amount", "age", "ends in"),
            (
                (
                    scope_link(f"customer:{each.customer_id}"),
                    each.action.project_id,
                    tag("code", each.action.session_id or "-"),
                    amount(each.action.amount, each.action.currency),
                    stretch(now - each.action.granted_at),
                    stretch(each.action.expires_at - now),
                )
                for each in open_holds(control, customers=customers, rows=_ROWS).rows
            ),
            numbers=frozenset({3, 4, 5}),
        ),
        session=visit.session,
        here=HERE,
        waiting=open_count(control, customers),
    )
