"""The review queue: open items as cards to decide on, one item with all its evidence, and what was decided."""

from billing_pipeline.control.clock import now_us
from billing_pipeline.gateway.console.html import Html, tag, together
from billing_pipeline.gateway.console.layout import (
    ROOT,
    amount,
    csrf_field,
    field,
    page,
    scope_link,
    table,
    tiles,
    time,
)
from billing_pipeline.gateway.console.plot import spend_plot
from billing_pipeline.gateway.console.visit import Visit
from billing_pipeline.gateway.console.words import KINDS, evidence_words, money, sentence, stretch
from billing_pipeline.guardrails.review.queue import Review, can_raise_limit, open_count, review, reviews
from billing_pipeline.guardrails.review.spend import Action, Surroundings, minutes_around, surroundings
from billing_pipeline.guardrails.review.stops import stops_in_force

CARDS = 10
_REASONS = (
    "known and expected",
    "a launch or a load test",
    "runaway, being fixed",
    "abuse",
    "asked the customer",
)
_SOFT = "soft_limit"
_MINUTE_RULES = "minutes"


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
        _reasons(),
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
                    tag("a", KINDS.get(item.kind, item.kind), href=_path(item)),
                    scope_link(item.scope),
                    [tag("div", _decision(item, place)) for place in range(len(item.decisions))],
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
        _reasons(),
        tag(
            "section",
            _top(item),
            tag("p", sentence(item)),
            _plot(item, around),
            _facts(item),
            _decide_form(visit, item) if item.is_open else _decisions(item),
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
        _top(item),
        tag("p", sentence(item)),
        _plot(item, around),
        tag("p", tag("a", "All evidence", href=_path(item))),
        _decide_form(visit, item),
        class_="card",
    )


def _top(item: Review) -> Html:
    kind = "tag warn" if item.kind == _SOFT else "tag bad"
    ends = item.resumes_at
    return tag(
        "div",
        tag("span", KINDS.get(item.kind, item.kind), class_=kind),
        tag("h3", scope_link(item.scope)),
        None
        if ends is None or not item.is_open
        else tag("span", f"ends by itself in {stretch(ends - now_us())}", class_="tag"),
        tag("span", time(item.opened_at), f" · {stretch(now_us() - item.opened_at)} ago", class_="quiet"),
        class_="top",
    )


def _plot(item: Review, around: Surroundings) -> Html:
    threshold = None
    text = str(item.evidence.get("threshold", ""))
    if item.evidence.get(_MINUTE_RULES) == 1 and text.isascii() and text.isdecimal():
        threshold = int(text)
    return spend_plot(
        around.minutes,
        first_at=around.first_at,
        last_at=around.last_at,
        opened_at=item.opened_at,
        currency=item.currency,
        threshold=threshold,
    )


def _facts(item: Review) -> Html:
    facts = [("rule", str(item.evidence.get("rule", item.kind))), *evidence_words(item)]
    return tag("dl", [together(tag("dt", name), tag("dd", value)) for name, value in facts])


def _decisions(item: Review) -> Html:
    return together(
        *(
            tag("p", time(each.at), " ", tag("b", _decision(item, place)), f" by {each.who}: {each.why}")
            for place, each in enumerate(item.decisions)
        )
    )


def _decision(item: Review, place: int) -> str:
    decision = item.decisions[place]
    words = {"resume": "resumed", "keep": "kept as it is", "raise_limit": "limit raised"}
    said = words.get(decision.decision, decision.decision)
    return said if decision.amount is None else f"{said} to {money(decision.amount, item.currency)}"


def _decide_form(visit: Visit, item: Review) -> Html:
    """`keep` stands first: the Enter key must not let anything go on."""
    is_soft = item.kind == _SOFT
    buttons = [tag("button", "Leave as it is" if is_soft else "Keep stopped", name="decision", value="keep")]
    if item.kind not in {_SOFT, "kill"}:
        buttons.append(tag("button", "Resume", name="decision", value="resume", class_="main"))
    fields = [field("Reason", "why", placeholder="why you decide so", long=True, list_="reasons")]
    if can_raise_limit(item):
        words = f"New limit, {item.currency.upper()}"
        fields.append(field(words, "amount", required=False, placeholder="only to raise it"))
        buttons.append(
            tag(
                "button",
                "Raise limit" if is_soft else "Raise limit and resume",
                name="decision",
                value="raise_limit",
            )
        )
    return tag(
        "form",
        csrf_field(visit.session),
        tag("div", fields, class_="fields"),
        tag("div", buttons, class_="actions"),
        method="post",
        action=_path(item),
    )


def _reasons() -> Html:
    return tag("datalist", [tag("option", value=reason) for reason in _REASONS], id="reasons")


def _usage(action: Action) -> list[Html]:
    shown = []
    for each in action.usage:
        dimensions = each.get("dimensions")
        names = ", ".join(map(str, dimensions.values())) if isinstance(dimensions, dict) else ""
        shown.append(tag("div", f"{each.get('quantity', '')} {each.get('unit', '')} {names}".strip()))
    return shown


def _path(item: Review) -> str:
    return f"{ROOT}/reviews/{item.review_id}"
