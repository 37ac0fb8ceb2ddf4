"""Reads from the control database what the outbox knows of the invoices that some lines are about.

A few queries in all, however many customers there are.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, func, select

from billing_pipeline.control.invoice_tables import STRIPE_CREDIT_NOTE_TRANSITIONS, STRIPE_CREDIT_NOTES
from billing_pipeline.control.tables import STRIPE_PUSH_TRANSITIONS, STRIPE_PUSHES
from billing_pipeline.invoicing.push.billed import BilledLine
from billing_pipeline.invoicing.push.delivery_records import recorded_deliveries
from billing_pipeline.invoicing.push.known import InvoiceKey, KnownCreditNote, KnownInvoice, KnownInvoices
from billing_pipeline.invoicing.stripe.port import LINE_ID

_FINAL = ("finalized", "reconciled")
_IDS_PER_QUERY = 500


def read_known(engine: Engine, account: str, lines: Collection[BilledLine]) -> KnownInvoices:
    """What the outbox of an account knows of the invoices of some lines, and of those that they correct.

    Args:
        engine: the control database.
        account: from `StripePort.account`.
        lines: every line of the invoice periods that are to be delivered.
    """
    own = {line.billing_period for line in lines}
    adjustments = [line for line in lines if line.kind == "adjustment"]
    corrected = {line.usage_period for line in adjustments}
    decreased = {
        (line.customer_id, line.billing_period, line.currency)
        for line in adjustments
        if line.amount_minor < 0
    }
    with engine.connect() as connection:
        pushes = dict(_pushes(connection, account, corrected | {period for _, period, _ in decreased}))
        final = {key: push for key in decreased if (push := pushes.get(key)) and push.state in _FINAL}
        line_ids = _invoice_line_ids(connection, [push.id for push in final.values()])
        invoices = {key: _invoice(push) for key, push in pushes.items()}
        for key, push in final.items():
            invoices[key] = replace(invoices[key], line_ids=line_ids[push.id])
        return KnownInvoices(
            invoices=invoices,
            credit_notes=tuple(_credit_notes(connection, account, own, corrected)),
            deliveries=recorded_deliveries(connection, account, own),
        )


def _pushes(
    connection: Connection, account: str, periods: Iterable[date]
) -> Iterator[tuple[InvoiceKey, Row[Any]]]:
    """The newest revision of every invoice of some periods, with its last transition."""
    table, steps = STRIPE_PUSHES, STRIPE_PUSH_TRANSITIONS
    of_periods = table.c.billing_period.in_(_texts(periods))
    columns = (
        *_key_columns(table),
        table.c.id,
        table.c.total_minor,
        steps.c.state,
        steps.c.stripe_invoice_id,
    )
    query = (
        select(*columns)
        .join(steps, steps.c.push_id == table.c.id)
        .where(table.c.account == account, of_periods)
        .order_by(table.c.revision, steps.c.step)
    )
    # Ordered, so the last one of a key is the newest.
    for row in connection.execute(query):
        yield _key(row), row


def _invoice(push: Row[Any]) -> KnownInvoice:
    return KnownInvoice(
        stripe_invoice_id=push.stripe_invoice_id,
        total_minor=push.total_minor,
        finalized=push.state in _FINAL,
    )


def _invoice_line_ids(connection: Connection, ids: Sequence[int]) -> dict[int, frozenset[str]]:
    found: dict[int, frozenset[str]] = {}
    for start in range(0, len(ids), _IDS_PER_QUERY):
        some = ids[start : start + _IDS_PER_QUERY]
        query = select(STRIPE_PUSHES.c.id, STRIPE_PUSHES.c.plan).where(STRIPE_PUSHES.c.id.in_(some))
        for push_id, plan in connection.execute(query):
            batches = json.loads(plan)["batches"]
            found[push_id] = frozenset(
                line["metadata"][LINE_ID] for each in batches for line in each["lines"]
            )
    return found


def _credit_notes(
    connection: Connection, account: str, own: Iterable[date], corrected: Iterable[date]
) -> Iterator[KnownCreditNote]:
    """The newest revisions with lines of some periods, or credited on those of others."""
    table, steps = STRIPE_CREDIT_NOTES, STRIPE_CREDIT_NOTE_TRANSITIONS
    wanted = table.c.billing_period.in_(_texts(own)) | table.c.corrects.in_(_texts(corrected))
    last = (
        select(steps.c.credit_note_id, func.max(steps.c.step).label("step"))
        .group_by(steps.c.credit_note_id)
        .subquery()
    )
    query = (
        select(table, steps.c.state)
        .join(last, last.c.credit_note_id == table.c.id)
        .join(steps, (steps.c.credit_note_id == table.c.id) & (steps.c.step == last.c.step))
        .where(table.c.account == account, wanted)
        .order_by(table.c.revision)
    )
    newest = {(*_key(row), row.corrects): row for row in connection.execute(query)}
    for row in newest.values():
        if row.state != "superseded":
            yield KnownCreditNote(
                customer_id=row.customer_id,
                billing_period=date.fromisoformat(row.billing_period),
                corrects=date.fromisoformat(row.corrects),
                currency=row.currency,
                stripe_invoice_id=row.stripe_invoice_id,
                total_minor=row.total_minor,
                line_ids=frozenset(line["metadata"][LINE_ID] for line in json.loads(row.plan)["lines"]),
                sent=row.state != "planned",
            )


def _key_columns(table: Table) -> tuple[ColumnElement[str], ...]:
    return table.c.customer_id, table.c.billing_period, table.c.currency


def _key(row: Row[Any]) -> InvoiceKey:
    return cast("str", row.customer_id), date.fromisoformat(row.billing_period), cast("str", row.currency)


def _texts(days: Iterable[date]) -> list[str]:
    return [day.isoformat() for day in sorted(days)]
