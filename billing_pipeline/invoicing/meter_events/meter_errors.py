"""What Stripe reports of events that it had taken and could not count, kept in the control database."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from billing_pipeline.control.database import writing
from billing_pipeline.control.invoice_tables import STRIPE_METER_ERRORS
from billing_pipeline.invoicing.meter_events.meter_outbox import MeterOutbox
from billing_pipeline.invoicing.meter_events.port import MeterErrorReport, MeterPort
from billing_pipeline.invoicing.push.sending import Sender

READ_BACK_US = 29 * 24 * 3_600_000_000
"""Stripe lists its events of 30 days."""
OVERLAP_US = 24 * 3_600_000_000
"""Read again each time: reports come late."""
_IDENTIFIER = re.compile(r"\d{4}-\d\d-\d\d-\d{4}-\d\d-\d\d-[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class MeterError:
    """An error as kept; `identifier` is that of our event where Stripe names it. `reported_at` is UTC µs."""

    error_id: str
    meter_id: str
    identifier: str | None
    code: str
    message: str
    reported_at: int


def read_back_errors(outbox: MeterOutbox, port: MeterPort, sender: Sender, now_us: int) -> int:
    """Keep what Stripe has reported since the last time; how many reports are new.

    Raises:
        StripeError: they cannot be read.
    """
    table = STRIPE_METER_ERRORS
    with outbox.engine.connect() as connection:
        newest = connection.execute(
            select(func.max(table.c.reported_at)).where(table.c.account == outbox.account)
        ).scalar()
    since = max(now_us - READ_BACK_US, (newest or 0) - OVERLAP_US)
    reports = sender.read(lambda: port.error_reports(since))
    before = len(meter_errors(outbox))
    _keep(outbox, reports, now_us)
    return len(meter_errors(outbox)) - before


def meter_errors(outbox: MeterOutbox) -> list[MeterError]:
    """All reports of the account, oldest first."""
    table = STRIPE_METER_ERRORS
    query = (
        select(table).where(table.c.account == outbox.account).order_by(table.c.reported_at, table.c.error_id)
    )
    names = MeterError.__dataclass_fields__
    with outbox.engine.connect() as connection:
        return [
            MeterError(**{name: row._mapping[name] for name in names})  # noqa: SLF001 - SQLAlchemy's own name for it
            for row in connection.execute(query)
        ]


def _keep(outbox: MeterOutbox, reports: Sequence[MeterErrorReport], now_us: int) -> None:
    rows = [
        {
            "account": outbox.account,
            **vars(report),
            "identifier": _own_identifier(report.identifier),
            "code": report.code[:64],
            "recorded_at": now_us,
        }
        for report in reports
    ]
    if not rows:
        return
    with writing(outbox.engine) as connection:
        make_insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(make_insert(STRIPE_METER_ERRORS).on_conflict_do_nothing(), rows)


def _own_identifier(text: str | None) -> str | None:
    """Our identifier in what Stripe calls that of the request, which may be the key it was sent under."""
    found = _IDENTIFIER.match(text or "")
    return found.group() if found else (text[:100] if text else None)
