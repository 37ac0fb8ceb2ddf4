"""What the commands of the guard share: handing a command to the ledger, and printing what was found."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from billing_pipeline.guardrails.commands import Command, Done
    from billing_pipeline.pipeline import Pipeline

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_WAIT_SECONDS = 60


def signed(command: Decorated) -> Decorated:
    """Adds `--who` and `--why`."""
    who = click.option("--who", default=_user, help="Who wants it; default: the user of this machine.")
    why = click.option("--why", required=True, help="The reason, for the records.")
    return who(why(command))


def as_json(command: Decorated) -> Decorated:
    """Adds `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")(command)


def pipeline() -> "Pipeline":
    """The pipeline of the settings."""
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    return Pipeline(load_settings())


def submit(found: "Pipeline", command: "Command") -> "Done":
    """Have the ledger carry out a command; it is durable once this returns.

    Raises:
        GuardError: it is not possible, or the ledger cannot be reached.
    """
    from billing_pipeline.guardrails.operators import OperatorPrices, OperatorTerms

    with found.guard_ledger(OperatorTerms(), OperatorPrices()) as ledger:
        done: Done = ledger.submit(command).result(_WAIT_SECONDS)
        return done


def say_changed(done: "Done", what: str) -> None:
    """Say what was done, or that it was so before."""
    click.echo(what if done.changed else f"{what}: it was so before, nothing has changed")


def warn_unknown(control: "Engine", scope: str) -> None:
    """Say on the standard error where the guard has never met the customer: it may be a slip of the pen."""
    from billing_pipeline.guardrails.review.accounts import is_known
    from billing_pipeline.guardrails.scope import customer_of

    customer_id = customer_of(scope)
    if not is_known(control, customer_id):
        click.echo(f"note: the guard has had nothing to do with customer {customer_id!r} yet", err=True)


def print_json(found: Any) -> None:
    """Structs as documents: amounts are text of nano-units, instants RFC 3339."""
    import json

    click.echo(json.dumps(_documents(found), indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; ids and texts of others are shown as they are, never as markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
    console = Console()
    if table.row_count:
        console.print(table)
    else:
        console.print(f"{title}: none")


def money(nano: int | None, currency: str) -> str | None:
    """An amount for people; None stays None."""
    from billing_pipeline.guardrails.nano import nano_words

    return None if nano is None else nano_words(nano, currency)


def instant(at_us: int | None) -> str | None:
    """An instant to the second, in UTC; None stays None."""
    from billing_pipeline.contract.instants import datetime_of

    return None if at_us is None else f"{datetime_of(at_us):%Y-%m-%d %H:%M:%S}Z"


def age(us: int) -> str:
    """A stretch of time, roughly: `12 s`, `7 min`, `3 h`, `2 d`."""
    seconds = max(us, 0) // 1_000_000
    for most, length, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < most:
            return f"{seconds // length} {unit}"
    return f"{seconds // 86_400} d"


def _documents(found: Any) -> Any:
    import msgspec

    from billing_pipeline.guardrails.review.shown import document

    if isinstance(found, msgspec.Struct):
        return document(found)
    if isinstance(found, dict):
        return {name: _documents(value) for name, value in found.items()}
    return [_documents(each) for each in found] if isinstance(found, list | tuple) else found


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
