"""`billing registry show`: what a customer has agreed to, what of it holds on a day, and the changes that said so."""

import json
from collections.abc import Sequence
from datetime import date

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from billing_pipeline.contract.registry import SEED_OFFSET
from billing_pipeline.ingest.registry_changes import today
from billing_pipeline.ingest.registry_log import registry_now
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.periods import period_name
from billing_pipeline.terminal.registry_document import Document, as_document
from billing_pipeline.terminal.registry_text import override_text


def show_customer(pipeline: Pipeline, customer_id: str, day: date | None, *, as_json: bool) -> None:
    """Print what holds for a customer on a day, as the log says it now, landed or not.

    Raises:
        UnknownCustomerError: it is not registered.
    """
    with pipeline.queue() as queue:
        registry = registry_now(pipeline.workshop, pipeline.lander(queue))
        day = day or today(queue)
    document = as_document(registry, pipeline.books, customer_id, day)
    if as_json:
        print(json.dumps(document, ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
    else:
        _print(document)


def _print(document: Document) -> None:
    console = Console()
    closed = f", closed from {document['closed_from']}" if document["closed_from"] else ""
    table = Table(
        title=f"{document['customer_id']} on {document['day']}", title_justify="left", show_header=False
    )
    table.add_column("what", no_wrap=True)
    table.add_column("value", ratio=1)
    table.add_row(
        "customer",
        escape(f"{document['name']}, registered from {document['registered_from']}, ")
        + f"periods start on day {document['anchor_day']}{closed}",
    )
    table.add_row("projects", escape(", ".join(document["projects"])) or "none")
    table.add_row("plan", _plan_text(document["plan"]))
    for name, rows in (
        (
            "add-on",
            [f"{each['add_on']}, quantity {each['quantity']}{_span(each)}" for each in document["add_ons"]],
        ),
        ("override", [_override_text(each) for each in document["overrides"]]),
        ("coupon", [f"{each['coupon']}{_span(each)}" for each in document["coupons"]]),
        ("credit grant", [_grant_text(each) for each in document["credit_grants"]]),
        ("re-rating", [_rerating_text(each) for each in document["reratings"]]),
    ):
        for row in rows:
            table.add_row(name, escape(row))
    console.print(table)
    _print_history(console, document["history"])


def _print_history(console: Console, history: Sequence[Document]) -> None:
    table = Table(title="Changes, in the order of the log", title_justify="left")
    table.add_column("offset", justify="right", no_wrap=True)
    table.add_column("since", no_wrap=True)
    table.add_column("change", ratio=1)
    for each in history:
        offset = "seed" if each["queue_offset"] == SEED_OFFSET else f"{each['queue_offset']:,}"
        table.add_row(offset, each["effective_from"][:10], escape(each["text"]))
    console.print(table)


def _plan_text(plan: Document | None) -> str:
    if plan is None:
        return "none"
    trial = ""
    if plan["trial_until"]:
        trial = f", free trial {'until' if plan['in_trial'] else 'ended on'} {plan['trial_until']}"
    return f"{plan['plan']}{_span(plan)}{trial}"


def _override_text(override: Document) -> str:
    of = "for all on" if override["of"] == "plan" else "of"
    return f"{override['name']} {of} {override['plan']}{_span(override)}: {override_text(override['terms'])}"


def _grant_text(grant: Document) -> str:
    end = f", expires {grant['expires']}" if grant["expires"] else ""
    end += f", voided from {grant['voided_from']}" if grant["voided_from"] else ""
    return f"{grant['id']}: {grant['amount']} {grant['currency']} since {grant['since']}{end}"


def _rerating_text(rerating: Document) -> str:
    rules = f" by the prices of {rerating['rules']}" if rerating["rules"] else ""
    period = period_name(date.fromisoformat(rerating["usage_period"]))
    return f"{period}{rules}, {rerating['who']}: {rerating['why']}"


def _span(held: Document) -> str:
    until = f" until {held['until']}" if held.get("until") else ""
    return f" since {held['since']}{until}"
