"""What the pages of the review queue are put together from: head, plot, evidence, and the form to decide by."""

from billing_pipeline.control.clock import now_us
from billing_pipeline.gateway.console.html import Html, tag, together
from billing_pipeline.gateway.console.layout import ROOT, csrf_field, field, scope_link, time
from billing_pipeline.gateway.console.plot import spend_plot
from billing_pipeline.gateway.console.visit import Visit
from billing_pipeline.gateway.console.words import KINDS, evidence_words, limit_words, money, stretch
from billing_pipeline.guardrails.review.queue import Review, can_raise_limit
from billing_pipeline.guardrails.review.surroundings import Surroundings

_REASONS = (
    "known and expected",
    "a launch or a load test",
    "runaway, being fixed",
    "abuse",
    "asked the customer",
)
_SOFT = "soft_limit"
_MINUTE_RULES = "minutes"


def top(item: Review) -> Html:
    """What it is, of whom, and when."""
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


def plot_of(item: Review, around: Surroundings) -> Html:
    """Spend per minute around it."""
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


def facts(item: Review) -> Html:
    """The evidence by name."""
    facts = [("rule", str(item.evidence.get("rule", item.kind))), *evidence_words(item)]
    return tag("dl", [together(tag("dt", name), tag("dd", value)) for name, value in facts])


def decisions(item: Review) -> Html:
    """What was decided, by whom and why."""
    return together(
        *(
            tag("p", time(each.at), " ", tag("b", decision_words(item, place)), f" by {each.who}: {each.why}")
            for place, each in enumerate(item.decisions)
        )
    )


def decision_words(item: Review, place: int) -> str:
    """One decision, in words."""
    decision = item.decisions[place]
    words = {"resume": "resumed", "keep": "kept as it is", "raise_limit": "limit raised"}
    said = words.get(decision.decision, decision.decision)
    return said if decision.amount is None else f"{said} to {money(decision.amount, item.currency)}"


def decide_form(visit: Visit, item: Review) -> Html:
    """`keep` stands first: the Enter key must not let anything go on."""
    is_soft = item.kind == _SOFT
    buttons = [tag("button", "Leave as it is" if is_soft else "Keep stopped", name="decision", value="keep")]
    if item.kind not in {_SOFT, "kill"}:
        buttons.append(tag("button", "Resume", name="decision", value="resume", class_="main"))
    fields = [field("Reason", "why", placeholder="why you decide so", long=True, list_="reasons")]
    if can_raise_limit(item):
        fields.append(field(limit_words(item), "amount", required=False, placeholder="only to raise it"))
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
        action=review_path(item),
    )


def reasons() -> Html:
    """Common reasons, offered while one is typed."""
    return tag("datalist", [tag("option", value=reason) for reason in _REASONS], id="reasons")


def review_path(item: Review) -> str:
    """Where it is shown."""
    return f"{ROOT}/reviews/{item.review_id}"
