"""The outbox of meter events in the control database: written before anything is sent, moved on by transitions.

planned -> sent -> delivered | refused, or planned -> expired; refused -> planned again once it is mended, and
delivered -> cancelled. `sent` stands before the first request goes out: where it is the last one, the outcome is open.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import ColumnElement, Engine, Row, Select, func, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from billing_pipeline.control.database import writing
from billing_pipeline.control.invoice_tables import STRIPE_METER_EVENT_TRANSITIONS, STRIPE_METER_EVENTS
from billing_pipeline.errors import MeterEventChangedError, MeterEventsBusyError
from billing_pipeline.invoicing.meter_events.planned_events import PlannedMeterEvent

LOCK_TIMEOUT_SECONDS = 60
_ADVISORY_LOCK_KEY = 0x6D657465  # "mete": any number that every process of this project agrees on
_ROWS_PER_STATEMENT = 200


class MeterEventState(StrEnum):
    """Of one meter event."""

    PLANNED = "planned"
    SENT = "sent"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    REFUSED = "refused"
    CANCELLED = "cancelled"


OPEN = (MeterEventState.PLANNED, MeterEventState.SENT)


@dataclass(frozen=True, kw_only=True)
class MeterEvent:
    """A meter event with the last of its transitions. Instants are UTC µs."""

    id: int
    identifier: str
    event_name: str
    customer_id: str
    plan: str
    charge: str
    meter: str
    dimensions: str
    billing_period: date
    usage_day: date
    posting_day: date
    value: int
    occurred_at: int
    step: int
    state: MeterEventState
    detail: str
    moved_at: int


class MeterOutbox:
    """The meter events of one Stripe account.

    Args:
        engine: the control database.
        account: the account and mode, from `StripePort.account`.
        clock: UTC µs.
    """

    def __init__(self, engine: Engine, account: str, clock: Callable[[], int]) -> None:
        self.engine = engine
        self.account = account
        self._clock = clock

    def plan(self, events: Sequence[PlannedMeterEvent]) -> int:
        """Write events down that are new; how many were. All or none.

        Raises:
            MeterEventChangedError: an event of this identifier is there with another value: what was told to Stripe
                of a posting day cannot change.
        """
        if not events:
            return 0
        table, made = STRIPE_METER_EVENTS, 0
        with writing(self.engine) as connection:
            for start in range(0, len(events), _ROWS_PER_STATEMENT):
                part = events[start : start + _ROWS_PER_STATEMENT]
                known = select(table.c.identifier, table.c.value).where(
                    table.c.account == self.account,
                    table.c.identifier.in_([each.identifier for each in part]),
                )
                values = {row.identifier: row.value for row in connection.execute(known)}
                for event in part:
                    there = values.get(event.identifier, event.value)
                    if there != event.value:
                        raise MeterEventChangedError(event.identifier, there, event.value)
                new = [event for event in part if event.identifier not in values]
                if not new:
                    continue
                connection.execute(insert(table), [self._row(event) for event in new])
                ids = select(table.c.id).where(
                    table.c.account == self.account, table.c.identifier.in_([each.identifier for each in new])
                )
                connection.execute(
                    insert(STRIPE_METER_EVENT_TRANSITIONS),
                    [self._step(row.id, 0, MeterEventState.PLANNED, "") for row in connection.execute(ids)],
                )
                made += len(new)
        return made

    def open_events(self) -> list[MeterEvent]:
        """The events whose outcome is open, in the order of their ids."""
        return self._read(_last_state().in_(OPEN))

    def in_state(self, state: MeterEventState) -> list[MeterEvent]:
        """The events in a state, in the order of their ids."""
        return self._read(_last_state() == state)

    def event(self, identifier: str) -> MeterEvent | None:
        """The event of an identifier, or None."""
        return next(iter(self._read(STRIPE_METER_EVENTS.c.identifier == identifier)), None)

    def of_day(self, customer_id: str, event_name: str, usage_day: date) -> list[MeterEvent]:
        """All events of a customer's meter and usage day, in the order of their ids."""
        table = STRIPE_METER_EVENTS
        return self._read(
            table.c.customer_id == customer_id,
            table.c.event_name == event_name,
            table.c.usage_day == usage_day.isoformat(),
        )

    def of_period(self, billing_period: date | None = None) -> list[MeterEvent]:
        """All events of a billing period, or of all."""
        if billing_period is None:
            return self._read()
        return self._read(STRIPE_METER_EVENTS.c.billing_period == billing_period.isoformat())

    def counts(self) -> dict[MeterEventState, int]:
        """How many events are in each state."""
        table = STRIPE_METER_EVENTS
        state = _last_state().label("state")
        query = select(state, func.count()).where(table.c.account == self.account).group_by(state)
        with self.engine.connect() as connection:
            return {MeterEventState(name): int(count) for name, count in connection.execute(query)}

    def move(self, event: MeterEvent, state: MeterEventState, detail: str = "") -> MeterEvent:
        """Add the transition that follows the event's; where another process has moved on, what that one wrote."""
        try:
            with writing(self.engine) as connection:
                connection.execute(
                    insert(STRIPE_METER_EVENT_TRANSITIONS).values(
                        self._step(event.id, event.step + 1, state, detail)
                    )
                )
        except IntegrityError:
            pass
        found = self.event(event.identifier)
        assert found is not None  # noqa: S101 - facts stay
        return found

    @contextmanager
    def one_sender(self) -> Iterator[None]:
        """Hold the sending of all meter events; it is given back when the process ends, however.

        Raises:
            MeterEventsBusyError: another process sends now, and has not ended within a minute.
        """
        if self.engine.dialect.name == "sqlite":
            try:
                with FileLock(f"{self.engine.url.database}.meter-events.lock", timeout=LOCK_TIMEOUT_SECONDS):
                    yield
            except Timeout as error:
                raise MeterEventsBusyError(LOCK_TIMEOUT_SECONDS) from error
            return
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # The session's lock is given back with the connection, so also when this process dies.
            wait = text("SELECT set_config('lock_timeout', :wait, false)")
            connection.execute(wait, {"wait": f"{LOCK_TIMEOUT_SECONDS}s"})
            try:
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK_KEY})
            except OperationalError as error:
                raise MeterEventsBusyError(LOCK_TIMEOUT_SECONDS) from error
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK_KEY})
                connection.execute(wait, {"wait": "0"})

    def _row(self, event: PlannedMeterEvent) -> dict[str, object]:
        metered = event.metered._asdict()
        days = {name: getattr(event, name).isoformat() for name in _DAYS}
        rest = {
            name: getattr(event, name)
            for name in ("identifier", "event_name", "customer_id", "value", "occurred_at")
        }
        return {"account": self.account, **metered, **days, **rest, "planned_at": self._clock()}

    def _step(self, event_id: int, step: int, state: MeterEventState, detail: str) -> dict[str, object]:
        return {
            "meter_event_id": event_id,
            "step": step,
            "state": state,
            "detail": detail,
            "recorded_at": self._clock(),
        }

    def _read(self, *conditions: ColumnElement[bool]) -> list[MeterEvent]:
        with self.engine.connect() as connection:
            return [_event(row) for row in connection.execute(_with_last_step(self.account, conditions))]


_DAYS = ("billing_period", "usage_day", "posting_day")


def _last_step() -> Any:
    steps, event = STRIPE_METER_EVENT_TRANSITIONS.alias(), STRIPE_METER_EVENTS
    return select(func.max(steps.c.step)).where(steps.c.meter_event_id == event.c.id).scalar_subquery()


def _last_state() -> Any:
    steps, event = STRIPE_METER_EVENT_TRANSITIONS.alias(), STRIPE_METER_EVENTS
    return (
        select(steps.c.state)
        .where(steps.c.meter_event_id == event.c.id)
        .order_by(steps.c.step.desc())
        .limit(1)
        .scalar_subquery()
    )


def _with_last_step(account: str, conditions: Iterable[ColumnElement[bool]]) -> Select[Any]:
    events, steps = STRIPE_METER_EVENTS, STRIPE_METER_EVENT_TRANSITIONS
    return (
        select(events, steps.c.step, steps.c.state, steps.c.detail, steps.c.recorded_at.label("moved_at"))
        .join(steps, steps.c.meter_event_id == events.c.id)
        .where(events.c.account == account, steps.c.step == _last_step(), *conditions)
        .order_by(events.c.id)
    )


def _event(row: Row[Any]) -> MeterEvent:
    values = {name: value for name, value in row._mapping.items() if name not in ("account", "planned_at")}  # noqa: SLF001 - SQLAlchemy's own name for it
    days = {name: date.fromisoformat(values[name]) for name in _DAYS}
    return MeterEvent(**{**values, **days, "state": MeterEventState(values["state"])})
