"""The review queue: open items as cards to decide on, one item with all its evidence, and what was decided."""

from billing_pipeline.control.clock import now_us
from billing_pipeline.gateway.console.html import Html, tag
from billing_pipeline.gateway.console.layout import (
    ROOT,
    amount,
    page,
    scope_link,
    table,
    tiles,
    time,
)
from billing_pipeline.gateway.console.review_parts import (
    decide_form,
    decision_words,
    decisions,
    facts,
    plot_of,
    reasons,
    review_path,
    top,
)
from billing_pipeline.gateway.console.stop_pages import stop_form
from billing_pipeline.gateway.console.visit import Visit
from billing_pipeline.gateway.console.words import KINDS, sentence
from billing_pipeline.guardrails.review.queue import Review, open_count, review, reviews
from billing_pipeline.guardrails.review.spend import Action
from billing_pipeline.guardrails.review.stops import stops_in_force
from billing_pipeline.guardrails.review.surroundings import minutes_around, surroundings

CARDS = 10


def open_reviews(visit: Visit) -> Html:
    """The items that wait, with their plots and buttons."""
    control, customers = visit.desk.control, visit.customers
    found = reviews(control, "open", customers=customers, after=visit.query.get("after"), rows=CARDS)
    waiting = open_count(control, customers)
    stops = stops_in_force(control, customers=customers, rows=100).rows
    kills = sum(each.kind == "kill" for each in stops)
    return page(
        "Reviews",
        tag("h1", "Open reviews"),
        tiles(
            (
                ("waiting for a decision", str(waiting), waiting > 0),
                ("kill switches on", str(kills), kills > 0),
                ("paused", str(len(stops) - kills), len(stops) > kills),
            ),
            counts=True,
        ),
        reasons(),
        [_card(visit, item) for item in found.rows]
        or tag("p", "Nothing waits for a decision.", class_="card quiet"),
        None
        if found.after is None
        else tag("p", tag("a", "Older ones", class_="more", href=f"{ROOT}?after={found.after}")),
        tag("p", tag("a", "What was decided", class_="more", href=f"{ROOT}/decided")),
        session=visit.session,
        here=ROOT,
        waiting=waiting,
    )


def decided_reviews(visit: Visit) -> Html:
    """What was decided, the newest first."""
    control = visit.desk.control
    found = reviews(control, "decided", customers=visit.customers, after=visit.query.get("after"))
    return page(
        "Decided",
        tag("h1", "Decided reviews"),
        table(
            ("opened", "what", "scope", "decision", "who", "why"),
            (
                (
                    time(item.opened_at),
                    tag("a", KINDS.get(item.kind, item.kind), href=review_path(item)),
                    scope_link(item.scope),
                    [tag("div", decision_words(item, place)) for place in range(len(item.decisions))],
                    [tag("div", each.who) for each in item.decisions],
                    [tag("div", each.why) for each in item.decisions],
                )
                for item in found.rows
            ),
        ),
        None
        if found.after is None
        else tag("a", "Older ones", class_="more", href=f"{ROOT}/decided?after={found.after}"),
        session=visit.session,
        here=ROOT,
        waiting=open_count(control, visit.customers),
    )


def one_review(visit: Visit) -> Html:
    """An item with all its evidence.

    Raises:
        ReviewNotFoundError: there is none that may be seen.
    """
    control = visit.desk.control
    item = review(control, visit.path["review_id"], visit.customers)
    around = surroundings(control, item, now_us())
    return page(
        KINDS.get(item.kind, item.kind),
        tag("h1", KINDS.get(item.kind, item.kind)),
        reasons(),
        tag(
            "section",
            top(item),
            tag("p", sentence(item)),
            plot_of(item, around),
            facts(item),
            decide_form(visit, item) if item.is_open else decisions(item),
            class_="card",
        ),
        tag("h2", "Sessions by spend"),
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
                for each in around.sessions
            ),
            numbers=frozenset({2, 3}),
        ),
        tag("h2", "Dearest actions"),
        table(
            ("granted", "step", "call", "cost", "held", "usage", "session"),
            (
                (
                    time(each.granted_at),
                    each.step or "-",
                    tag("code", each.call or "-"),
                    amount(each.booked, each.currency)
                    if each.booked is not None
                    else tag("span", each.state, class_="tag"),
                    amount(each.amount, each.currency),
                    _usage(each),
                    tag("code", each.session_id or "-"),
                )
                for each in around.actions
            ),
            numbers=frozenset({3, 4}),
        ),
        tag("h2", "Stop more"),
        tag("div", stop_form(visit, scope=item.scope, back=review_path(item)), class_="card"),
        session=visit.session,
        here=ROOT,
        waiting=open_count(control, visit.customers),
    )


def breaker_tag(breaker: str, opened_by: str | None) -> Html:
    """How a session's breaker stands."""
    kind = {"open": "tag bad", "half_open": "tag warn"}.get(breaker, "tag good")
    words = breaker.replace("_", " ")
    return tag("span", f"{words}: {opened_by}" if opened_by and breaker != "closed" else words, class_=kind)


def _card(visit: Visit, item: Review) -> Html:
    around = minutes_around(visit.desk.control, item, now_us())
    return tag(
        "article",
        top(item),
        tag("p", sentence(item)),
        plot_of(item, around),
        tag("p", tag("a", "All evidence", href=review_path(item))),
        decide_form(visit, item),
        class_="card",
    )


def _usage(action: Action) -> list[Html]:
    shown = []
    for each in action.usage:
        dimensions = each.get("dimensions")
        names = ", ".join(map(str, dimensions.values())) if isinstance(dimensions, dict) else ""
        shown.append(tag("div", f"{each.get('quantity', '')} {each.get('unit', '')} {names}".strip()))
    return shown
