"""`billing guard holds|alerts|denials|notices`: what the guard did and tells."""

import click

from billing_pipeline.commands import guard_shown as shown

_CUSTOMERS = click.option(
    "--customer", "customers", multiple=True, metavar="ID", help="Only of this one; repeatable."
)
_ROWS = click.option("--rows", type=click.IntRange(1, 500), default=50, show_default=True)


@click.command()
@_CUSTOMERS
@_ROWS
@shown.as_json
def holds(customers: tuple[str, ...], rows: int, as_json: bool) -> None:
    """Show the open holds, those that end soonest first."""
    from billing_pipeline.control.clock import now_us
    from billing_pipeline.guardrails.review.activity import open_holds

    found = open_holds(shown.pipeline().control, customers=customers or None, rows=rows)
    if as_json:
        shown.print_json(found)
        return
    now = now_us()
    shown.print_table(
        "open holds",
        ("hold", "customer", "project", "session", "amount", "age", "ends in", "step"),
        (
            (
                each.action.hold_id,
                each.customer_id,
                each.action.project_id,
                each.action.session_id,
                shown.money(each.action.amount, each.action.currency),
                shown.age(now - each.action.granted_at),
                shown.age(each.action.expires_at - now),
                each.action.step,
            )
            for each in found.rows
        ),
    )


@click.command()
@_CUSTOMERS
@_ROWS
@shown.as_json
def alerts(customers: tuple[str, ...], rows: int, as_json: bool) -> None:
    """Show the soft limits that were crossed, the newest first."""
    from billing_pipeline.guardrails.review.activity import alerts as find

    found = find(shown.pipeline().control, customers=customers or None, rows=rows)
    if as_json:
        shown.print_json(found)
        return
    shown.print_table(
        "soft limits that were crossed",
        ("at", "scope", "window", "limit", "used"),
        (
            (
                shown.instant(each.at),
                each.scope,
                f"{each.window} from {shown.instant(each.starts_at)}",
                shown.money(each.amount, each.currency),
                shown.money(each.used, each.currency),
            )
            for each in found.rows
        ),
    )


@click.command()
@_CUSTOMERS
@click.option("--after", help="Go on where the page before ended.")
@_ROWS
@shown.as_json
def denials(customers: tuple[str, ...], after: str | None, rows: int, as_json: bool) -> None:
    """Show what was denied, the newest first."""
    from billing_pipeline.guardrails.review.activity import denials as find

    found = find(shown.pipeline().control, customers=customers or None, after=after, rows=rows)
    if as_json:
        shown.print_json(found)
        return
    shown.print_table(
        "denials",
        ("at", "rule", "scope", "project", "session", "asked", "why"),
        (
            (
                shown.instant(each.at),
                each.rule,
                each.scope,
                each.project_id,
                each.session_id,
                shown.money(each.asked, each.currency),
                each.reason,
            )
            for each in found.rows
        ),
    )
    if found.after:
        click.echo(f"more: --after {found.after}")


@click.command()
@click.option("--undelivered", is_flag=True, help="Only those that wait or were given up.")
@click.option("--after", help="Go on where the page before ended.")
@_ROWS
@shown.as_json
def notices(undelivered: bool, after: str | None, rows: int, as_json: bool) -> None:
    """Show what was or is to be told to the webhook, the newest first."""
    from billing_pipeline.guardrails.notices.book import notices as find

    found = find(shown.pipeline().control, after=after, rows=rows, undelivered=undelivered)
    if as_json:
        shown.print_json(found)
        return
    shown.print_table(
        "notices",
        ("id", "kind", "written", "state", "attempts", "next", "last failure"),
        (
            (
                each.id,
                each.kind,
                shown.instant(each.created_at),
                each.state,
                each.attempts,
                shown.instant(each.next_attempt_at),
                each.last_failure,
            )
            for each in found.rows
        ),
    )
    if found.after:
        click.echo(f"more: --after {found.after}")
