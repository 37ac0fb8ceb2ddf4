"""Customers: their balances, and of one all that the guard knows."""

from urllib.parse import urlencode

from billing_pipeline.control.clock import now_us
from billing_pipeline.gateway.console.html import Html, tag
from billing_pipeline.gateway.console.layout import (
    ROOT,
    amount,
    customer_path,
    field,
    page,
    table,
    tiles,
    time,
)
from billing_pipeline.gateway.console.limit_parts import limit_form, limit_row
from billing_pipeline.gateway.console.plan_parts import plan_card
from billing_pipeline.gateway.console.review_pages import breaker_tag
from billing_pipeline.gateway.console.stop_pages import stop_form, stops_table
from billing_pipeline.gateway.console.visit import Visit
from billing_pipeline.gateway.console.words import left_words
from billing_pipeline.guardrails.review.accounts import Balance, balances, balances_of, credit_of
from billing_pipeline.guardrails.review.activity import denials, sessions_of
from billing_pipeline.guardrails.review.queue import open_count
from billing_pipeline.guardrails.review.stops import stops_in_force
from billing_pipeline.guardrails.scope import customer_scope

HERE = f"{ROOT}/customers"
_ROWS = 20


def all_customers(visit: Visit) -> Html:
    """Balances, searched by how the customer's id begins."""
    control, customers = visit.desk.control, visit.customers
    search = visit.query.get("search", "").strip()
    found = balances(control, prefix=search, customers=customers, after=visit.query.get("after"))
    more = urlencode({"search": search, "after": found.after or ""})
    return page(
        "Customers",
        tag("h1", "Customers"),
        tag(
            "form",
            tag(
                "div",
                field("Customer id begins with", "search", value=search, required=False, type_="search"),
                tag("button", "Search", class_="main"),
                class_="fields",
            ),
            method="get",
            action=HERE,
            class_="card",
        ),
        table(
            ("customer", "available", "held", "spent", "overdraft"),
            (
                (
                    tag("a", each.customer_id, href=customer_path(each.customer_id)),
                    amount(each.available, each.currency),
                    amount(each.held, each.currency),
                    amount(each.spent, each.currency),
                    amount(each.overdraft, each.currency),
                )
                for each in found.rows
            ),
            numbers=frozenset({1, 2, 3, 4}),
        ),
        None
        if not search or "/" in search or any(each.customer_id == search for each in found.rows)
        else tag(
            "p",
            "Nothing was moved of a customer of this id yet. ",
            tag("a", f"Limits and stops of {search}", href=customer_path(search)),
        ),
        None if found.after is None else tag("a", "More", class_="more", href=f"{HERE}?{more}"),
        session=visit.session,
        here=HERE,
        waiting=open_count(control, customers),
    )


def one_customer(visit: Visit) -> Html:
    """Balances, limits, stops, sessions, credit and denials of one customer."""
    control, customer_id = visit.desk.control, visit.path["customer_id"]
    visit.check_customer(customer_id)
    only, back, now = (customer_id,), customer_path(customer_id), now_us()
    found = balances_of(control, customer_id)
    limits = visit.desk.limits_of(customer_id)
    return page(
        customer_id,
        tag("h1", customer_id),
        [_balance(each) for each in found]
        or tag("p", "The guard has not moved anything of this customer yet.", class_="card quiet"),
        plan_card(visit.desk.terms_of(customer_id)),
        tag("h2", "Limits"),
        table(
            ("scope", "window", "limit", "used", "left", "", "from"),
            (limit_row(each, now) for each in limits),
            numbers=frozenset({2, 3, 4}),
        ),
        tag("div", limit_form(visit, customer_id, found, back), class_="card"),
        tag("h2", "Stops"),
        stops_table(visit, stops_in_force(control, customers=only).rows, back=back),
        tag("div", stop_form(visit, scope=customer_scope(customer_id), back=back), class_="card"),
        tag("h2", "Sessions"),
        table(
            ("session", "project", "spent and held", "steps", "last seen", "breaker"),
            (
                (
                    tag("code", each.scope.partition("/")[2]),
                    each.project_id,
                    amount(each.total, each.currency),
                    each.steps,
                    time(each.last_at),
                    breaker_tag(each.breaker, each.opened_by),
                )
                for each in sessions_of(control, customer_id, rows=_ROWS)
            ),
            numbers=frozenset({2, 3}),
        ),
        tag("h2", "Credit"),
        table(
            ("grant", "amount", "left", "priority", "expires"),
            (
                (
                    tag("code", each.grant_id),
                    amount(each.amount, each.currency),
                    amount(each.remaining, each.currency),
                    each.priority,
                    "never" if each.expires_at is None else time(each.expires_at),
                )
                for each in credit_of(control, customer_id, rows=_ROWS)
            ),
            numbers=frozenset({1, 2, 3}),
        ),
        tag("h2", "Denials"),
        table(
            ("at", "rule", "scope", "asked", "left", "why"),
            (
                (
                    time(each.at),
                    each.rule,
                    tag("code", each.scope),
                    amount(each.asked, each.currency),
                    left_words(each),
                    each.reason,
                )
                for each in denials(control, customers=only, rows=_ROWS).rows
            ),
            numbers=frozenset({3, 4}),
        ),
        session=visit.session,
        here=HERE,
        waiting=open_count(control, visit.customers),
    )


def _balance(balance: Balance) -> Html:
    code = balance.currency
    return tiles(
        (
            ("available", amount(balance.available, code), balance.available < 0),
            ("held", amount(balance.held, code), False),
            ("spent", amount(balance.spent, code), False),
            ("overdraft", amount(balance.overdraft, code), balance.overdraft < 0),
        )
    )
