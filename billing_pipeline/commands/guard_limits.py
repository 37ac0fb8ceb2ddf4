"""`billing guard limit`: limits for one scope instead of its plan's."""

from typing import TYPE_CHECKING, get_args

import click

from billing_pipeline.commands import guard_shown as shown
from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.terms import Severity
from billing_pipeline.guardrails.window import Window

if TYPE_CHECKING:
    from sqlalchemy import Engine

_WINDOW = click.option("--window", required=True, type=click.Choice(get_args(Window)))
_SEVERITY = click.option(
    "--severity",
    type=click.Choice(get_args(Severity)),
    default="hard",
    show_default=True,
    help="hard denies, soft tells.",
)
_CURRENCY = click.option("--currency", help="Such as usd; default: the customer's, where it has one only.")


@click.group()
def limit() -> None:
    """Limits on spend for one customer, project or session instead of its plan's."""


@limit.command("set")
@click.argument("scope")
@_WINDOW
@_SEVERITY
@click.option("--amount", help="The limit in major units, such as 250 or 0.50.")
@click.option("--none", "unlimited", is_flag=True, help="No limit at all.")
@_CURRENCY
@shown.signed
def set_one(
    *,
    scope: str,
    window: Window,
    severity: Severity,
    amount: str | None,
    unlimited: bool,
    currency: str | None,
    who: str,
    why: str,
) -> None:
    """Limit SCOPE, in force at the next reserve; less than what is used already denies until the window is over."""
    from billing_pipeline.guardrails.review.amounts import nano_of

    if (amount is None) != unlimited:
        raise click.UsageError("give either --amount or --none")
    nano = None if amount is None else nano_of(amount)
    _submit(scope, window, severity, currency, who=who, why=why, amount=nano, inherit=False)


@limit.command("unset")
@click.argument("scope")
@_WINDOW
@_SEVERITY
@_CURRENCY
@shown.signed
def unset_one(
    *, scope: str, window: Window, severity: Severity, currency: str | None, who: str, why: str
) -> None:
    """Let the plan's limit hold for SCOPE again."""
    _submit(scope, window, severity, currency, who=who, why=why, amount=None, inherit=True)


@limit.command("list")
@click.option("--history", is_flag=True, help="Every change there was, the newest first.")
@click.option("--customer", "customers", multiple=True, metavar="ID", help="Only of this one; repeatable.")
@click.option("--rows", type=click.IntRange(1, 500), default=50, show_default=True)
@shown.as_json
def list_limits(history: bool, customers: tuple[str, ...], rows: int, as_json: bool) -> None:
    """Show what was set; `billing guard status CUSTOMER` shows the plan's limits too."""
    from billing_pipeline.guardrails.review.limits_set import limit_changes, set_limits

    control = shown.pipeline().control
    if history:
        changes = limit_changes(control, customers=customers or None, rows=rows)
        if as_json:
            shown.print_json(changes)
            return
        shown.print_table(
            "limits that were set",
            ("at", "scope", "window", "severity", "amount", "who", "why"),
            (
                (
                    shown.instant(each.at),
                    each.scope,
                    each.window,
                    each.severity,
                    "the plan's" if each.inherits else shown.money(each.amount, each.currency) or "none",
                    each.who,
                    each.why,
                )
                for each in changes.rows
            ),
        )
        return
    found = set_limits(control, customers=customers or None, rows=rows)
    if as_json:
        shown.print_json(found)
        return
    shown.print_table(
        "limits set for one scope",
        ("scope", "window", "severity", "amount"),
        (
            (each.scope, each.window, each.severity, shown.money(each.amount, each.currency) or "none")
            for each in found.rows
        ),
    )


def _submit(
    scope: str,
    window: Window,
    severity: Severity,
    currency: str | None,
    *,
    who: str,
    why: str,
    amount: int | None,
    inherit: bool,
) -> None:
    from billing_pipeline.guardrails.checking import check
    from billing_pipeline.guardrails.commands import SetLimit

    pipeline = shown.pipeline()
    command = SetLimit(
        scope=scope,
        currency=currency or _currency(pipeline.control, scope),
        window=window,
        severity=severity,
        amount=amount,
        inherit=inherit,
        who=who,
        why=why,
    )
    check(command)
    shown.warn_unknown(pipeline.control, scope)
    told = "the plan's" if inherit else shown.money(amount, command.currency) or "none"
    shown.say_changed(
        shown.submit(pipeline, command), f"{severity} limit of {scope} by the {window} is {told}"
    )


def _currency(control: "Engine", scope: str) -> str:
    from billing_pipeline.guardrails.review.accounts import balances_of
    from billing_pipeline.guardrails.scope import customer_of

    found = {each.currency for each in balances_of(control, customer_of(scope))}
    if len(found) != 1:
        raise GuardRequestError(
            "currency",
            ", ".join(sorted(found)),
            "say which with --currency: the customer has not exactly one",
        )
    return found.pop()
