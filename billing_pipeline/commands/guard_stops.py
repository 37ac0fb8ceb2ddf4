"""`billing guard kill|unkill|pause|unpause|stops`: deny everything in a scope from the next reserve on, or no more."""

from typing import TYPE_CHECKING

import click

from billing_pipeline.commands import guard_shown as shown
from billing_pipeline.errors import GuardRequestError

if TYPE_CHECKING:
    from billing_pipeline.guardrails.commands import StopKind

_MINUTE_US = 60_000_000


@click.command()
@click.argument("scope")
@shown.signed
def kill(scope: str, who: str, why: str) -> None:
    """Turn the kill switch of SCOPE on: customer:ID, project:CUSTOMER/ID or session:CUSTOMER/ID."""
    _stop(scope, "kill", who, why, None)


@click.command()
@click.argument("scope")
@shown.signed
def unkill(scope: str, who: str, why: str) -> None:
    """Turn the kill switch of SCOPE off."""
    _lift(scope, "kill", who, why)


@click.command()
@click.argument("scope")
@click.option("--minutes", type=click.IntRange(1, 525_600), help="It ends by itself after so long.")
@click.option("--until", metavar="INSTANT", help="It ends by itself then, such as 2027-01-01T00:00:00Z.")
@shown.signed
def pause(scope: str, minutes: int | None, until: str | None, who: str, why: str) -> None:
    """Pause SCOPE; without an end it lasts until somebody says otherwise."""
    from billing_pipeline.contract.instants import instant_us
    from billing_pipeline.control.clock import now_us

    if minutes is not None and until is not None:
        raise click.UsageError("give --minutes or --until, not both")
    resumes_at = now_us() + minutes * _MINUTE_US if minutes is not None else None
    if until is not None:
        resumes_at = instant_us(until)
        if resumes_at is None or resumes_at <= now_us():
            raise GuardRequestError("until", until, "give an instant to come, like 2027-01-01T00:00:00Z")
    _stop(scope, "pause", who, why, resumes_at)


@click.command()
@click.argument("scope")
@shown.signed
def unpause(scope: str, who: str, why: str) -> None:
    """End the pause of SCOPE."""
    _lift(scope, "pause", who, why)


@click.command()
@click.option("--history", is_flag=True, help="Every change there was, the newest first.")
@click.option("--customer", "customers", multiple=True, metavar="ID", help="Only of this one; repeatable.")
@click.option("--rows", type=click.IntRange(1, 500), default=50, show_default=True)
@shown.as_json
def stops(history: bool, customers: tuple[str, ...], rows: int, as_json: bool) -> None:
    """Show the kill switches and pauses in force."""
    from billing_pipeline.guardrails.review.stops import stop_changes, stops_in_force

    control = shown.pipeline().control
    if history:
        changes = stop_changes(control, customers=customers or None, rows=rows)
        if as_json:
            shown.print_json(changes)
            return
        shown.print_table(
            "kill switches and pauses, set and lifted",
            ("at", "what", "scope", "who", "why"),
            (
                (
                    shown.instant(each.at),
                    f"{each.kind} {'set' if each.active else 'lifted'}",
                    each.scope,
                    each.who,
                    each.why,
                )
                for each in changes.rows
            ),
        )
        return
    found = stops_in_force(control, customers=customers or None, rows=rows)
    if as_json:
        shown.print_json(found)
        return
    shown.print_table(
        "kill switches and pauses in force",
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
            for each in found.rows
        ),
    )


def _stop(scope: str, kind: "StopKind", who: str, why: str, resumes_at: int | None) -> None:
    from billing_pipeline.guardrails.checking import check
    from billing_pipeline.guardrails.commands import Stop

    command = Stop(scope=scope, kind=kind, who=who, why=why, resumes_at=resumes_at)
    check(command)
    pipeline = shown.pipeline()
    shown.warn_unknown(pipeline.control, scope)
    shown.say_changed(shown.submit(pipeline, command), f"{kind} of {scope} is in force")


def _lift(scope: str, kind: "StopKind", who: str, why: str) -> None:
    from billing_pipeline.guardrails.commands import Lift

    done = shown.submit(shown.pipeline(), Lift(scope=scope, kind=kind, who=who, why=why))
    if not done.changed:
        raise GuardRequestError(
            "scope", scope, f"there is no {kind} of it; `billing guard stops` shows those in force"
        )
    click.echo(f"{kind} of {scope} is lifted")
