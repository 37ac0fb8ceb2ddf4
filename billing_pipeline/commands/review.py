"""`billing review`: what the guard has stopped or warned of, and what people say to it."""

from typing import TYPE_CHECKING, Literal

import click

from billing_pipeline.commands import guard_shown as shown

if TYPE_CHECKING:
    from billing_pipeline.guardrails.review.queue import Review
    from billing_pipeline.guardrails.review.surroundings import Surroundings


@click.group()
def review() -> None:
    """The review queue of the guard: see why something was stopped, and decide (docs/review.md)."""


@review.command("list")
@click.option("--state", type=click.Choice(["open", "decided", "all"]), default="open", show_default=True)
@click.option("--customer", "customers", multiple=True, metavar="ID", help="Only of this one; repeatable.")
@click.option("--after", help="Go on where the page before ended.")
@click.option("--rows", type=click.IntRange(1, 500), default=50, show_default=True)
@shown.as_json
def list_reviews(
    state: Literal["open", "decided", "all"],
    customers: tuple[str, ...],
    after: str | None,
    rows: int,
    as_json: bool,
) -> None:
    """Show the items, the newest first."""
    from billing_pipeline.control.clock import now_us
    from billing_pipeline.guardrails.review.queue import reviews

    now = now_us()
    page = reviews(shown.pipeline().control, state, customers=customers or None, after=after, rows=rows)
    if as_json:
        shown.print_json(page)
        return
    shown.print_table(
        f"{state} review items",
        ("id", "age", "what"),
        ((item.review_id, shown.age(now - item.opened_at), _what(item)) for item in page.rows),
    )
    if page.after:
        click.echo(f"more: --after {page.after}")


@review.command("show")
@click.argument("review_id", metavar="ID")
@shown.as_json
def show_review(review_id: str, as_json: bool) -> None:
    """Show the item ID with what was going on around it."""
    from billing_pipeline.control.clock import now_us
    from billing_pipeline.guardrails.review.queue import review as find
    from billing_pipeline.guardrails.review.surroundings import surroundings

    control = shown.pipeline().control
    item = find(control, review_id)
    around = surroundings(control, item, now_us())
    if as_json:
        shown.print_json({"review": item, "surroundings": around})
        return
    click.echo(f"{item.kind} of {item.scope}, opened {shown.instant(item.opened_at)}")
    if item.resumes_at and item.is_open:
        click.echo(f"ends by itself {shown.instant(item.resumes_at)}")
    for name, value in item.evidence.items():
        click.echo(f"  {name}: {value}")
    _print_surroundings(item.currency, around)
    for decision in item.decisions:
        amount = shown.money(decision.amount, item.currency)
        told = f"{decision.decision}{f' to {amount}' if amount else ''}"
        click.echo(f"{shown.instant(decision.at)} {told} by {decision.who}: {decision.why}")


@review.command("resume")
@click.argument("review_id", metavar="ID")
@shown.signed
def resume(review_id: str, who: str, why: str) -> None:
    """Let it go on: lifts the pause; an open breaker lets one hold through at a time until one is settled."""
    _decide(review_id, "resume", who, why, None)


@review.command("keep")
@click.argument("review_id", metavar="ID")
@shown.signed
def keep(review_id: str, who: str, why: str) -> None:
    """Leave it as it is: what is stopped stays stopped."""
    _decide(review_id, "keep", who, why, None)


@review.command("raise-limit")
@click.argument("review_id", metavar="ID")
@click.option("--amount", required=True, help="The new limit in major units, such as 250 or 0.50.")
@shown.signed
def raise_limit(review_id: str, amount: str, who: str, why: str) -> None:
    """Set the limit that was crossed to an amount, and let it go on."""
    from billing_pipeline.guardrails.review.amounts import nano_of

    _decide(review_id, "raise_limit", who, why, nano_of(amount))


def _decide(
    review_id: str,
    decision: Literal["resume", "keep", "raise_limit"],
    who: str,
    why: str,
    amount: int | None,
) -> None:
    from billing_pipeline.guardrails.commands import DecideReview
    from billing_pipeline.guardrails.review.queue import review as find

    pipeline = shown.pipeline()
    item = find(pipeline.control, review_id)
    shown.submit(
        pipeline, DecideReview(review_id=review_id, decision=decision, who=who, why=why, amount=amount)
    )
    click.echo(f"{decision}: {item.kind} of {item.scope}")


def _what(item: "Review") -> str:
    """Kind, scope, why, and what was decided, a line each."""
    evidence = item.evidence
    why = str(evidence.get("why") or evidence.get("rule") or "")
    decided = [f"{each.decision} by {each.who}: {each.why}" for each in item.decisions]
    return "\n".join((f"{item.kind}: {item.scope}", why, *decided))


def _print_surroundings(currency: str, around: "Surroundings") -> None:
    shown.print_table(
        "spend per minute",
        ("minute", "settled", "held", "unguarded", "calls"),
        (
            (
                shown.instant(each.at),
                shown.money(each.settled, currency),
                shown.money(each.pending, currency),
                shown.money(each.unguarded, currency),
                each.calls,
            )
            for each in around.minutes
        ),
    )
    shown.print_table(
        "sessions by spend",
        ("session", "project", "spent and held", "steps", "last seen", "breaker"),
        (
            (
                each.scope,
                each.project_id,
                shown.money(each.total, each.currency),
                each.steps,
                shown.instant(each.last_at),
                each.breaker,
            )
            for each in around.sessions
        ),
    )
    shown.print_table(
        "dearest actions",
        ("hold", "step", "call", "state", "held", "booked", "granted"),
        (
            (
                each.hold_id,
                each.step,
                each.call,
                each.state,
                shown.money(each.amount, each.currency),
                shown.money(each.booked, each.currency),
                shown.instant(each.granted_at),
            )
            for each in around.actions
        ),
    )
