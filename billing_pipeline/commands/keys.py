"""`billing keys`: API keys of producers."""

from typing import TYPE_CHECKING

import click

from billing_pipeline.access.scope import Right
from billing_pipeline.errors import ApiKeyError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from billing_pipeline.access.api_key import ApiKey

_HOUR_US = 3_600_000_000


@click.group()
def keys() -> None:
    """API keys, one per producer: what it may do through the gateway."""


@keys.command("create")
@click.option("--name", required=True, help="The producer; its events are kept under this name.")
@click.option(
    "--customer", "customers", multiple=True, metavar="ID", help="Only for this customer; repeatable."
)
@click.option(
    "--right",
    "rights",
    multiple=True,
    type=click.Choice([right.value for right in Right]),
    help="What it may do; repeatable; default: events:write.",
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="PATTERN",
    help="Only from this source, or from all that begin so: eu/*; repeatable.",
)
@click.option("--events-per-second", type=click.IntRange(min=1), help="Rate limit; default: none.")
@click.option(
    "--expires", metavar="INSTANT", help="When it ends, such as 2027-01-01T00:00:00Z; default: never."
)
def create_key(
    *,
    name: str,
    customers: tuple[str, ...],
    rights: tuple[str, ...],
    sources: tuple[str, ...],
    events_per_second: int | None,
    expires: str | None,
) -> None:
    """Issue a key, and print it once: it is not kept."""
    from billing_pipeline.access.scope import ANY, Scope
    from billing_pipeline.contract.limits import ID_CHARACTERS
    from billing_pipeline.control.api_keys import issue_key
    from billing_pipeline.control.clock import now_us

    if not name.isprintable() or not 0 < len(name) <= ID_CHARACTERS:
        raise ApiKeyError(f"--name must have 1 to {ID_CHARACTERS} printable characters")
    if misplaced := next((pattern for pattern in sources if ANY in pattern[:-1]), None):
        raise ApiKeyError(f"--source {misplaced!r}: the * may only stand at the end")
    granted = frozenset(map(Right, rights)) or frozenset({Right.EVENTS_WRITE})
    scope = Scope(granted, frozenset(customers) or None, sources or None)
    text = issue_key(
        _control(),
        name,
        scope,
        events_per_second=events_per_second,
        expires_at=None if expires is None else _instant(expires),
        now_us=now_us(),
    )
    click.echo(text)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def list_keys(as_json: bool) -> None:
    """Show all keys there have been; never their secrets."""
    from billing_pipeline.control.api_keys import api_keys
    from billing_pipeline.control.clock import now_us

    found, now = api_keys(_control()), now_us()
    if as_json:
        import json

        click.echo(json.dumps([_row(key, now) for key in found], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="API keys", title_justify="left")
    table.add_column("id", no_wrap=True)
    for column in ("name", "state", "rights", "customers", "sources", "events/s", "expires", "secrets"):
        table.add_column(column)
    for key in found:
        row = _row(key, now)
        table.add_row(*map(_cell, row.values()))
    Console().print(table)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """End the key ID now; a running gateway refuses it within seconds."""
    from billing_pipeline.control.api_keys import revoke_key
    from billing_pipeline.control.clock import now_us

    revoke_key(_control(), key_id, now_us=now_us())
    click.echo(f"revoked {key_id}")


@keys.command("rotate")
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap-hours",
    type=click.FloatRange(min=0),
    default=24,
    show_default=True,
    help="How long the secret until now stays good.",
)
def rotate(key_id: str, overlap_hours: float) -> None:
    """Give the key ID a new secret and print the key once."""
    from billing_pipeline.control.api_keys import rotate_key
    from billing_pipeline.control.clock import now_us

    overlap_us = int(overlap_hours * _HOUR_US)
    click.echo(rotate_key(_control(), key_id, overlap_us=overlap_us, now_us=now_us()))


def _control() -> "Engine":
    from billing_pipeline.pipeline import Pipeline
    from billing_pipeline.settings import load_settings

    return Pipeline(load_settings()).control


def _instant(text: str) -> int:
    from billing_pipeline.contract.instants import instant_us

    instant = instant_us(text)
    if instant is None:
        raise ApiKeyError(f"--expires {text!r} is no instant with an offset; write 2027-01-01T00:00:00Z")
    return instant


def _row(key: "ApiKey", now_us: int) -> dict[str, object]:
    from billing_pipeline.contract.instants import instant_text

    state = "good" if key.is_good(now_us) else "revoked" if key.revoked_at is not None else "expired"
    scope = key.scope
    return {
        "id": key.key_id,
        "name": key.name,
        "state": state,
        "rights": sorted(scope.rights),
        "customers": None if scope.customers is None else sorted(scope.customers),
        "sources": None if scope.sources is None else list(scope.sources),
        "events_per_second": key.events_per_second,
        "expires": None if key.expires_at is None else instant_text(key.expires_at),
        "good_secrets": sum(secret.is_good(now_us) for secret in key.secrets),
    }


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
