"""`billing stripe status`: the outbox as tables or JSON."""

import json

from rich.console import Console
from rich.table import Table
from rich.text import Text

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.invoicing.push.outbox_status import OutboxStatus, Unfinished, outbox_status
from billing_pipeline.pipeline import Pipeline

UNFINISHED_SHOWN = 50


def show_stripe_status(pipeline: Pipeline, *, as_json: bool) -> bool:
    """Print it; whether nobody is needed."""
    found = outbox_status(pipeline.control)
    if as_json:
        print(json.dumps(_document(found), ensure_ascii=False, indent=2))  # noqa: T201 - the command's output
    else:
        _print(Console(), found)
    return not any(each.needs_somebody for each in found.unfinished)


def _document(found: OutboxStatus) -> dict[str, object]:
    return {
        "counts": [
            {"account": account, "what": what, "state": state, "count": count}
            for (account, what, state), count in found.counts.items()
        ],
        "unfinished": [
            {**each._asdict(), "since": instant_text(each.since), "needs_somebody": each.needs_somebody}
            for each in found.unfinished
        ],
    }


def _print(console: Console, found: OutboxStatus) -> None:
    if not found.counts:
        console.print("Nothing has been planned for Stripe yet: close a period (`billing period close`).")
        return
    table = Table(title="On the way to Stripe", title_justify="left")
    for name in ("account", "what", "state"):
        table.add_column(name)
    table.add_column("count", justify="right")
    for (account, what, state), count in found.counts.items():
        table.add_row(account, what, state, f"{count:,}")
    console.print(table)
    for each in found.unfinished[:UNFINISHED_SHOWN]:
        console.print(Text(_told(each), "red" if each.needs_somebody else "yellow"))
    if len(found.unfinished) > UNFINISHED_SHOWN:
        console.print(f"and {len(found.unfinished) - UNFINISHED_SHOWN:,} more (--json has all)")


def _told(each: Unfinished) -> str:
    met = f", {each.last_request} met {each.failure_kind}: {each.failure}" if each.failure else ""
    what = "needs somebody" if each.needs_somebody else "goes on with the next period close"
    return f"{each.what} {each.subject}: {each.state} since {instant_text(each.since)}{met}; {what}"
