"""The Stripe outbox in the control database: what is to be sent, what was sent, how far each invoice is.

Append-only: a push (one revision of one invoice, with its whole plan) is a row that never changes, its state
is the last of its transitions, and every request is written with its exact parameters before it is sent. So
the history that explains an invoice in a dispute is the state itself, and two processes cannot both make the
same step: the second one's row is refused by its primary key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Engine, Table, exists, func, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from billing_pipeline.control.database import writing
from billing_pipeline.control.tables import (
    STRIPE_OBJECTS,
    STRIPE_PUSH_TRANSITIONS,
    STRIPE_PUSHES,
    STRIPE_REQUEST_FAILURES,
    STRIPE_REQUESTS,
)
from billing_pipeline.invoicing.push.plan import StripePlan, idempotency_key, stripe_plan
from billing_pipeline.invoicing.push.planned import PlannedInvoice
from billing_pipeline.invoicing.push.retrying import ENDING

_PLANNED_AT_ONCE = 500
MENDED = "mended: "
"""How the detail of a transition begins where a draft was not what was planned."""


class State(StrEnum):
    """Of one push. `superseded` ends a revision whose draft was deleted, `reconciled` the last one."""

    PLANNED = "planned"
    DRAFT = "draft"
    LINES_ADDED = "lines_added"
    VERIFIED = "verified"
    FINALIZED = "finalized"
    RECONCILED = "reconciled"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, kw_only=True)
class Push:
    """One revision of one invoice, as planned."""

    id: int
    customer_id: str
    billing_period: str
    currency: str
    revision: int
    plan: StripePlan
    total_minor: int
    lines_hash: str

    @property
    def subject(self) -> str:
        """What its requests are about."""
        return self.plan.push


@dataclass(frozen=True)
class Progress:
    """How far a push is: the last of its transitions."""

    step: int
    state: State
    stripe_invoice_id: str | None
    detail: str


@dataclass(frozen=True, kw_only=True)
class SentRequest:
    """A request that was, or is about to be, sent. `failed` where its key can only replay a failure."""

    key: str
    epoch: int
    parameters: str
    recorded_at: int
    failed: bool


class Outbox:
    """The outbox of one Stripe account.

    Args:
        engine: the control database.
        account: the account and mode, from `StripePort.account`.
        clock: UTC µs.
    """

    def __init__(self, engine: Engine, account: str, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._account = account
        self._clock = clock

    def latest_push(self, invoice: PlannedInvoice) -> Push | None:
        """The newest revision of the invoice, whatever its state."""
        table = STRIPE_PUSHES
        query = (
            select(table)
            .where(
                table.c.account == self._account,
                table.c.customer_id == invoice.customer_id,
                table.c.billing_period == invoice.billing_period.isoformat(),
                table.c.currency == invoice.currency,
            )
            .order_by(table.c.revision.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return Push(
            id=row.id,
            customer_id=row.customer_id,
            billing_period=row.billing_period,
            currency=row.currency,
            revision=row.revision,
            plan=StripePlan.from_json(row.plan),
            total_minor=row.total_minor,
            lines_hash=row.lines_hash,
        )

    def plan(self, invoice: PlannedInvoice, revision: int) -> None:
        """Write down the revision and that it is planned; nothing happens where another process just did."""
        self._plan([self._push_values(invoice, revision)])

    def plan_all(self, invoices: Sequence[PlannedInvoice]) -> None:
        """Write down the first revision of every invoice that has none yet, in few transactions."""
        for start in range(0, len(invoices), _PLANNED_AT_ONCE):
            some = invoices[start : start + _PLANNED_AT_ONCE]
            self._plan([self._push_values(invoice, 1) for invoice in some])

    def _push_values(self, invoice: PlannedInvoice, revision: int) -> dict[str, object]:
        return {
            "account": self._account,
            "customer_id": invoice.customer_id,
            "billing_period": invoice.billing_period.isoformat(),
            "currency": invoice.currency,
            "revision": revision,
            "plan": stripe_plan(invoice, revision).to_json(),
            "line_count": len(invoice.lines),
            "total_minor": invoice.total_minor,
            "lines_hash": invoice.lines_hash(),
            "planned_at": self._clock(),
        }

    def _plan(self, pushes: Sequence[dict[str, object]]) -> None:
        table, moves = STRIPE_PUSHES, STRIPE_PUSH_TRANSITIONS
        # What has no transition yet was written just now: a push and its first one come in one transaction.
        new = select(
            table.c.id, literal(0), literal(State.PLANNED.value), literal(""), literal(self._clock())
        ).where(
            table.c.account == self._account,
            ~select(moves.c.push_id).where(moves.c.push_id == table.c.id).exists(),
        )
        with writing(self._engine) as connection:
            make_insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            connection.execute(make_insert(table).on_conflict_do_nothing(), list(pushes))
            names = ["push_id", "step", "state", "detail", "recorded_at"]
            connection.execute(insert(moves).from_select(names, new))

    def progress(self, push: Push) -> Progress:
        """The last transition of the push."""
        table = STRIPE_PUSH_TRANSITIONS
        query = select(table).where(table.c.push_id == push.id).order_by(table.c.step.desc()).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(query).one()
        return Progress(row.step, State(row.state), row.stripe_invoice_id, row.detail)

    def mended(self, push: Push) -> int:
        """How many drafts of the same lines were thrown away because they were not what was planned."""
        pushes, moves = STRIPE_PUSHES, STRIPE_PUSH_TRANSITIONS
        query = (
            select(func.count())
            .select_from(pushes.join(moves))
            .where(
                pushes.c.account == self._account,
                pushes.c.customer_id == push.customer_id,
                pushes.c.billing_period == push.billing_period,
                pushes.c.currency == push.currency,
                pushes.c.lines_hash == push.lines_hash,
                moves.c.state == State.SUPERSEDED,
                moves.c.detail.startswith(MENDED),
            )
        )
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def move(
        self, push: Push, after: Progress, state: State, invoice_id: str | None, detail: str = ""
    ) -> bool:
        """Add the transition that follows `after`; False where another process has moved on already."""
        values = {
            "push_id": push.id,
            "step": after.step + 1,
            "state": state,
            "stripe_invoice_id": invoice_id,
            "detail": detail,
            "recorded_at": self._clock(),
        }
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(STRIPE_PUSH_TRANSITIONS).values(values))
        except IntegrityError:
            return False
        return True

    def last_request(self, operation: str, subject: str, batch: int) -> SentRequest | None:
        """The request of the newest epoch, or None where none was written yet."""
        table, failures = STRIPE_REQUESTS, STRIPE_REQUEST_FAILURES
        ended = exists().where(
            failures.c.idempotency_key == table.c.idempotency_key, failures.c.failure.in_(ENDING)
        )
        query = (
            select(table, ended.label("ended"))
            .where(
                table.c.account == self._account,
                table.c.operation == operation,
                table.c.subject == subject,
                table.c.batch == batch,
            )
            .order_by(table.c.epoch.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return SentRequest(
            key=row.idempotency_key,
            epoch=row.epoch,
            parameters=row.parameters,
            recorded_at=row.recorded_at,
            failed=bool(row.ended),
        )

    def write_request(
        self, operation: str, subject: str, batch: int, epoch: int, parameters: str
    ) -> SentRequest:
        """Write a request down before it is sent; where another process did, what that one wrote."""
        values = {
            "idempotency_key": idempotency_key(self._account, operation, subject, batch, epoch),
            "account": self._account,
            "operation": operation,
            "subject": subject,
            "batch": batch,
            "epoch": epoch,
            "parameters": parameters,
            "recorded_at": self._clock(),
        }
        with writing(self._engine) as connection:
            _insert_new(connection, STRIPE_REQUESTS, values)
        written = self.last_request(operation, subject, batch)
        assert written is not None  # noqa: S101 - it was just written
        return written

    def write_failure(self, request: SentRequest, failure: str, message: str) -> None:
        """Note that the request's key can only replay this failure."""
        with writing(self._engine) as connection:
            connection.execute(
                insert(STRIPE_REQUEST_FAILURES).values(
                    idempotency_key=request.key,
                    failure=failure,
                    message=message,
                    recorded_at=self._clock(),
                )
            )

    def stripe_id(self, kind: str, our_key: str) -> str | None:
        """The Stripe object that stands for ours, or None."""
        table = STRIPE_OBJECTS
        query = select(table.c.stripe_id).where(
            table.c.account == self._account, table.c.kind == kind, table.c.our_key == our_key
        )
        with self._engine.connect() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else str(found)

    def remember(self, kind: str, our_key: str, stripe_id: str) -> None:
        """Map our key to a Stripe object; the first mapping stays."""
        values = {
            "account": self._account,
            "kind": kind,
            "our_key": our_key,
            "stripe_id": stripe_id,
            "recorded_at": self._clock(),
        }
        with writing(self._engine) as connection:
            _insert_new(connection, STRIPE_OBJECTS, values)


def _insert_new(connection: Connection, table: Table, values: dict[str, object]) -> int | None:
    """Insert unless a unique key is taken; the id of the new row where it has one."""
    make_insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = make_insert(table).values(values).on_conflict_do_nothing()
    if "id" not in table.c:
        connection.execute(statement)
        return None
    made = connection.execute(statement.returning(table.c.id)).scalar()
    return None if made is None else int(made)
