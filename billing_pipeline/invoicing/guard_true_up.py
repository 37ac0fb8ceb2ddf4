"""The true-up when invoice periods close: the guard's ledger is brought to what was invoiced, once per period.

It counts from the first invoice period that the guard took part in, so that whatever came after an earlier true-up (a
hold that was settled late, an adjustment, an invoice that had been held back) is in the next one.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, text

from billing_pipeline.contract.instants import datetime_of
from billing_pipeline.contract.registry import Registry
from billing_pipeline.guardrails.commands import TrueUp
from billing_pipeline.guardrails.nano import NANO
from billing_pipeline.guardrails.ports import Ledger
from billing_pipeline.guardrails.reconciliation.true_up import AccountFigures
from billing_pipeline.invoicing.lines.invoice_periods import customers_ending
from billing_pipeline.lake.engine import Session
from billing_pipeline.metering.calendar import start_of
from billing_pipeline.metering.registry_relations import registry_until
from billing_pipeline.metering.stage import Workshop, scan
from billing_pipeline.rating.money import minor_exponent
from billing_pipeline.rating.periods import period_start
from billing_pipeline.schemas.tables import BLOCKED_INVOICES, INVOICE_LINES

WAIT_SECONDS = 60
_ACCOUNTS = text(
    """
SELECT a.customer_id, a.currency, a.spent, (
    SELECT min(j.recorded_at) FROM guard_journal AS j
    WHERE j.customer_id = a.customer_id AND j.currency = a.currency
) AS first_at
FROM guard_accounts AS a ORDER BY a.customer_id, a.currency
"""
)
_SETTLED = text(
    """
SELECT coalesce(sum(coalesce(l.booked, h.booked, 0)), 0)
FROM guard_holds AS h LEFT JOIN guard_late_settlements AS l ON l.hold_id = h.hold_id
WHERE h.customer_id = :customer_id AND h.currency = :currency
    AND h.period_starts_at >= :first AND h.period_starts_at <= :last
"""
)
_BOOKED = text(
    "SELECT reference, amount FROM guard_true_ups WHERE customer_id = :customer_id AND currency = :currency"
)


class TruedUp(NamedTuple):
    """What became of one account: `booked` is the amount on record, `changed` whether it is new."""

    figures: AccountFigures
    booked: int
    changed: bool


def true_up_days(workshop: Workshop, control: Engine, ledger: Ledger, days: Sequence[date]) -> list[TruedUp]:
    """Book the true-ups of all invoice periods that end on some days, each before the next.

    Whose invoice is held back is left out; the next true-up answers for that period too.

    Raises:
        GuardUnavailableError: the ledger cannot be reached; what is booked stays booked.
    """
    found: list[TruedUp] = []
    for day in sorted(days):
        figures = period_figures(workshop, control, day)
        commands = [
            TrueUp(
                customer_id=each.customer_id,
                currency=each.currency,
                reference=each.reference,
                amount=each.amount,
            )
            for each in figures
        ]
        answers = [future.result(WAIT_SECONDS) for future in map(ledger.submit, commands)]
        with control.connect() as connection:
            found += [
                TruedUp(each, _booked(connection, each).get(each.reference, 0), bool(answer.changed))
                for each, answer in zip(figures, answers, strict=True)
            ]
    return found


def missing_true_ups(workshop: Workshop, control: Engine, days: Sequence[date]) -> list[str]:
    """Where by now the ledger is not what was invoiced for the periods that ended on some days; sentences."""
    told: list[str] = []
    for day in sorted(days):
        figures = period_figures(workshop, control, day)
        with control.connect() as connection:
            for each in figures:
                booked = _booked(connection, each)
                rest = each.invoiced - each.settled - each.booked - booked.get(each.reference, 0)
                if each.reference not in booked:
                    told.append(
                        f"{each.customer_id} {each.currency}: no true-up of {each.reference} is booked, {each.amount} "
                        f"nano-units are due; book it with `billing reconcile ledger --book-true-up {each.reference}`"
                    )
                elif rest:
                    told.append(
                        f"{each.customer_id} {each.currency}: {rest} nano-units came to {each.reference} after its "
                        "true-up (holds settled late, or lines made again); the next true-up books them"
                    )
    return told


def period_figures(workshop: Workshop, control: Engine, day: date) -> list[AccountFigures]:
    """All accounts whose invoice period ends on a day, without those whose invoice is held back."""
    with control.connect() as connection:
        accounts = connection.execute(_ACCOUNTS).all()
    if not accounts:
        return []
    with workshop.engine.session() as session:
        registry = registry_until(workshop, session, day)
        ending = set(customers_ending(registry, day)) - _held_back(workshop, session, day)
        wanted = [row for row in accounts if row.customer_id in ending and row.first_at is not None]
        if not wanted:
            return []
        invoiced = _invoiced(workshop, session, day)
    with control.connect() as connection:
        return list(_figures(connection, registry, day, wanted, invoiced))


def _figures(
    connection: Connection,
    registry: Registry,
    day: date,
    accounts: Sequence[Any],
    invoiced: dict[tuple[str, str], list[tuple[date, int]]],
) -> Iterator[AccountFigures]:
    for customer_id, currency, spent, first_at in accounts:
        anchor_day = registry.anchor_day(customer_id)
        first = period_start(datetime_of(first_at).date(), anchor_day)
        period = period_start(day, anchor_day)
        if first > period:
            continue
        account = AccountFigures(customer_id, currency, first, period)
        bounds = {"first": start_of(first), "last": start_of(period)}
        of_account = {"customer_id": customer_id, "currency": currency}
        yield account._replace(
            invoiced=sum(
                amount * (NANO // 10 ** minor_exponent(currency))
                for billing_period, amount in invoiced.get((customer_id, currency), ())
                if first <= billing_period <= period
            ),
            settled=int(connection.execute(_SETTLED, of_account | bounds).scalar_one()),
            booked=sum(
                amount
                for reference, amount in _booked(connection, account).items()
                if first.isoformat() <= reference < period.isoformat()
            ),
            spent=spent,
        )


def _booked(connection: Connection, account: AccountFigures) -> dict[str, int]:
    rows = connection.execute(_BOOKED, {"customer_id": account.customer_id, "currency": account.currency})
    return {str(reference): int(amount) for reference, amount in rows}


def _held_back(workshop: Workshop, session: Session, day: date) -> set[str]:
    scan(workshop, session, "blocked", BLOCKED_INVOICES, [day])
    return {str(customer_id) for (customer_id,) in session.rows("SELECT DISTINCT customer_id FROM blocked")}


def _invoiced(
    workshop: Workshop, session: Session, day: date
) -> dict[tuple[str, str], list[tuple[date, int]]]:
    """By customer and currency what the invoices up to a day come to before credits: period, minor units."""
    paths = [file.path for file in workshop.lake.files(INVOICE_LINES) if file.key.day <= day]
    session.scan("lines", INVOICE_LINES, paths)
    rows: list[tuple[Any, ...]] = session.rows(
        "SELECT customer_id, currency, billing_period, CAST(sum(amount_minor) AS BIGINT) FROM lines "
        "WHERE component <> 'credit' GROUP BY customer_id, currency, billing_period"
    )
    found: dict[tuple[str, str], list[tuple[date, int]]] = {}
    for customer_id, currency, period, amount in rows:
        found.setdefault((customer_id, currency), []).append((period, int(amount)))
    return found
