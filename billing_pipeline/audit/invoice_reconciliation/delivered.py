"""What the outbox says of invoice periods: pushes, credit notes, deliveries. Reads the control database only."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import Engine, Select, and_, func, select, true

from billing_pipeline.control.invoice_tables import (
    STRIPE_CREDIT_NOTE_TRANSITIONS,
    STRIPE_CREDIT_NOTES,
    STRIPE_DELIVERIES,
)
from billing_pipeline.control.tables import (
    STRIPE_OBJECTS,
    STRIPE_PUSH_TRANSITIONS,
    STRIPE_PUSHES,
    STRIPE_REQUEST_FAILURES,
    STRIPE_REQUESTS,
)
from billing_pipeline.invoicing.push.plan import StripePlan

InvoiceKey = tuple[str, str, str]
"""Customer, billing period (its start as text), currency."""
FINAL = frozenset({"finalized", "reconciled", "issued"})
"""States after which Stripe holds what was planned."""


@dataclass(frozen=True)
class Pushed:
    """The newest revision of an invoice, and how far it is.

    Attributes:
        failure: of its last request that failed: kind and message; empty texts where none did.
    """

    plan: StripePlan
    total_minor: int
    state: str
    invoice_id: str | None
    detail: str
    failure: tuple[str, str] = ("", "")

    @cached_property
    def amounts(self) -> Mapping[str, int]:
        """Stripe amount by line id, as planned."""
        return self.plan.amounts()


class Credited(NamedTuple):
    """A credit note of ours. `line_ids` are those of the adjustment lines it stands for."""

    corrects: str
    state: str
    credit_note_id: str | None
    invoice_id: str
    total_minor: int
    line_ids: frozenset[str]
    detail: str = ""


@dataclass(frozen=True)
class Delivered:
    """What the outbox of one account knows of some billing periods.

    Attributes:
        customers: Stripe's customer by ours.
        invoice_ids: every invoice that was ever made here.
        metered: (customer, plan, billing period) that are delivered as meter events.
    """

    customers: Mapping[str, str] = field(default_factory=dict)
    pushes: Mapping[InvoiceKey, Pushed] = field(default_factory=dict)
    credit_notes: Mapping[InvoiceKey, tuple[Credited, ...]] = field(default_factory=dict)
    invoice_ids: Collection[str] = frozenset()
    credit_note_ids: Collection[str] = frozenset()
    metered: Collection[tuple[str, str, str]] = frozenset()


def delivered(control: Engine, account: str | None, periods: Collection[date]) -> Delivered:
    """Read what is known of the invoices of some billing periods (their starts).

    Args:
        control: the control database.
        account: of which Stripe account; None takes the newest of each, whichever it is in.
        periods: the starts.
    """
    names = sorted({each.isoformat() for each in periods})
    objects, deliveries = STRIPE_OBJECTS, STRIPE_DELIVERIES
    with control.connect() as connection:
        customers = {
            row.our_key: row.stripe_id
            for row in connection.execute(
                select(objects)
                .where(_of(objects, account), objects.c.kind == "customer")
                .order_by(objects.c.recorded_at)
            )
        }
        failures = {
            row.subject: (row.recorded_at, row.failure, row.message)
            for row in connection.execute(_failures(account))
            if row.recorded_at >= row.last_request_at
        }
        pushes = {
            (row.customer_id, row.billing_period, row.currency): _pushed(row, failures)
            for row in connection.execute(_newest(STRIPE_PUSHES, STRIPE_PUSH_TRANSITIONS, account, names))
        }
        notes: dict[InvoiceKey, list[Credited]] = {}
        for row in connection.execute(
            _newest(STRIPE_CREDIT_NOTES, STRIPE_CREDIT_NOTE_TRANSITIONS, account, names)
        ):
            if row.state != "superseded":
                key = (row.customer_id, row.billing_period, row.currency)
                notes.setdefault(key, []).append(_credited(row))
        made = set(connection.execute(select(STRIPE_PUSH_TRANSITIONS.c.stripe_invoice_id)).scalars())
        noted = set(
            connection.execute(select(STRIPE_CREDIT_NOTE_TRANSITIONS.c.stripe_credit_note_id)).scalars()
        )
        metered = {
            (row.customer_id, row.plan, row.billing_period)
            for row in connection.execute(
                select(deliveries).where(_of(deliveries, account), deliveries.c.delivery == "meter_events")
            )
        }
    return Delivered(
        customers,
        pushes,
        {key: tuple(sorted(found, key=lambda note: note.corrects)) for key, found in notes.items()},
        frozenset(each for each in made if each),
        frozenset(each for each in noted if each),
        metered,
    )


def _of(table: Any, account: str | None) -> Any:
    return true() if account is None else table.c.account == account


def _newest(table: Any, transitions: Any, account: str | None, periods: Collection[str]) -> Select[Any]:
    """The newest revision of each, with the last of its transitions."""
    (reference,) = [column for column in transitions.c if column.foreign_keys]
    same = ["customer_id", "billing_period", "currency"]
    if "corrects" in table.c:
        same.append("corrects")
    newest = select(func.max(table.c.id)).where(_of(table, account)).group_by(*(table.c[n] for n in same))
    last = (
        select(reference.label("of"), func.max(transitions.c.step).label("step"))
        .group_by(reference)
        .subquery()
    )
    return (
        select(table, *transitions.c)
        .join(last, last.c.of == table.c.id)
        .join(transitions, and_(reference == table.c.id, transitions.c.step == last.c.step))
        .where(table.c.id.in_(newest), table.c.billing_period.in_(periods))
        .order_by(table.c.id)
    )


def _failures(account: str | None) -> Select[Any]:
    """Failures of requests in their order, each with when the last request about its subject was written."""
    requests, failures = STRIPE_REQUESTS, STRIPE_REQUEST_FAILURES
    last = (
        select(requests.c.subject, func.max(requests.c.recorded_at).label("last_request_at"))
        .where(_of(requests, account))
        .group_by(requests.c.subject)
        .subquery()
    )
    return (
        select(
            requests.c.subject,
            failures.c.failure,
            failures.c.message,
            failures.c.recorded_at,
            last.c.last_request_at,
        )
        .join(failures, failures.c.idempotency_key == requests.c.idempotency_key)
        .join(last, last.c.subject == requests.c.subject)
        .where(_of(requests, account))
        .order_by(failures.c.id)
    )


def _pushed(row: Any, failures: Mapping[str, tuple[int, str, str]]) -> Pushed:
    """A failure counts until something has been done since: then the request was answered after all."""
    plan = StripePlan.from_json(row.plan)
    failed_at, *failure = failures.get(plan.push, failures.get(row.customer_id, (0, "", "")))
    kind, message = failure if failed_at >= row.recorded_at else ("", "")
    return Pushed(plan, row.total_minor, row.state, row.stripe_invoice_id, row.detail, (kind, message))


def _credited(row: Any) -> Credited:
    return Credited(
        row.corrects,
        row.state,
        row.stripe_credit_note_id,
        row.stripe_invoice_id,
        row.total_minor,
        frozenset(_line_ids(json.loads(row.plan))),
        row.detail,
    )


def _line_ids(plan: Any) -> Iterator[str]:
    """Every `line_id` anywhere in a plan."""
    if isinstance(plan, Mapping):
        for name, value in plan.items():
            if name == "line_id" and isinstance(value, str):
                yield value
            else:
                yield from _line_ids(value)
    elif isinstance(plan, list):
        for value in plan:
            yield from _line_ids(value)
