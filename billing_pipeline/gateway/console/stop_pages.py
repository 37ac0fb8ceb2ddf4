"""Kill switches and pauses: those in force, what changed, and a form to set one."""

from billing_pipeline.control.clock import now_us
from billing_pipeline.gateway.console.html import Html, tag
from billing_pipeline.gateway.console.layout import (
    ROOT,
    choice,
    csrf_field,
    field,
    page,
    scope_link,
    table,
    time,
)
from billing_pipeline.gateway.console.visit import Visit
from billing_pipeline.gateway.console.words import stretch
from billing_pipeline.guardrails.review.queue import open_count
from billing_pipeline.guardrails.review.stops import StopInForce, stop_changes, stops_in_force

KINDS = ("pause", "kill")
_CHANGES = 30


def all_stops(visit: Visit) -> Html:
    """Everything that is stopped."""
    control, customers = visit.desk.control, visit.customers
    return page(
        "Stops",
        tag("h1", "Kill switches and pauses"),
        stops_table(visit, stops_in_force(control, customers=customers, rows=200).rows, back=f"{ROOT}/stops"),
        tag("h2", "Stop something"),
        tag("div", stop_form(visit, scope="", back=f"{ROOT}/stops"), class_="card"),
        tag("h2", "Changes"),
        table(
            ("at", "what", "scope", "who", "why"),
            (
                (
                    time(each.at),
                    f"{each.kind} {'set' if each.active else 'lifted'}",
                    scope_link(each.scope),
                    each.who,
                    each.why,
                )
                for each in stop_changes(control, customers=customers, rows=_CHANGES).rows
            ),
        ),
        session=visit.session,
        here=f"{ROOT}/stops",
        waiting=open_count(control, customers),
    )


def stops_table(visit: Visit, stops: tuple[StopInForce, ...], *, back: str) -> Html:
    """Stops in force, each with a form that lifts it."""
    return table(
        ("scope", "", "since", "ends", "who and why", ""),
        (
            (
                scope_link(each.scope),
                tag("span", each.kind, class_="tag bad" if each.kind == "kill" else "tag warn"),
                time(each.since),
                "by hand" if each.resumes_at is None else f"in {stretch(each.resumes_at - now_us())}",
                [tag("div", each.why), tag("div", each.who, class_="quiet")],
                _lift_form(visit, each, back),
            )
            for each in stops
        ),
    )


def stop_form(visit: Visit, *, scope: str, back: str) -> Html:
    """A form that stops a scope; the scope is written where it is not given."""
    return tag(
        "form",
        csrf_field(visit.session),
        tag("input", type="hidden", name="back", value=back),
        tag(
            "div",
            field("Scope", "scope", value=scope, placeholder="customer:acme, project:acme/search", long=True),
            choice("Kind", "kind", KINDS),
            field("Minutes, for a pause", "minutes", required=False, placeholder="until lifted"),
            field("Reason", "why", long=True),
            class_="fields",
        ),
        tag("div", tag("button", "Stop", class_="danger"), class_="actions"),
        method="post",
        action=f"{ROOT}/stops",
    )


def _lift_form(visit: Visit, stop: StopInForce, back: str) -> Html:
    return tag(
        "form",
        csrf_field(visit.session),
        tag("input", type="hidden", name="back", value=back),
        tag("input", type="hidden", name="scope", value=stop.scope),
        tag("input", type="hidden", name="kind", value=stop.kind),
        tag(
            "div",
            field("Reason", "why"),
            tag("button", "Lift", class_="main"),
            class_="fields",
        ),
        method="post",
        action=f"{ROOT}/stops/lift",
    )
