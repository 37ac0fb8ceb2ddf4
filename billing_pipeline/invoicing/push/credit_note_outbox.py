"""The credit notes of the outbox: what is to be credited, with what parameters, and how far each is. Append-only."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from billing_pipeline.control.database import writing
from billing_pipeline.control.invoice_tables import STRIPE_CREDIT_NOTE_TRANSITIONS, STRIPE_CREDIT_NOTES
from billing_pipeline.invoicing.push.credit_note_plan import note_subject
from billing_pipeline.invoicing.push.delivery import PlannedCreditNote
from billing_pipeline.invoicing.push.plan import canonical_json


class NoteState(StrEnum):
    """Of one revision: planned -> sending -> issued -> reconciled; refused may be tried again, superseded ends it."""

    PLANNED = "planned"
    SENDING = "sending"
    ISSUED = "issued"
    RECONCILED = "reconciled"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, kw_only=True)
class CreditNotePush:
    """One revision of a credit note, as planned; `parameters` are what is sent."""

    id: int
    revision: int
    subject: str
    parameters: Mapping[str, Any]
    lines_hash: str


@dataclass(frozen=True)
class NoteProgress:
    """How far a revision is: the last of its transitions."""

    step: int
    state: NoteState
    stripe_credit_note_id: str | None
    detail: str


class CreditNoteOutbox:
    """The credit notes of one Stripe account.

    Args:
        engine: the control database.
        account: from `StripePort.account`.
        clock: UTC µs.
    """

    def __init__(self, engine: Engine, account: str, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._account = account
        self._clock = clock

    def latest(self, note: PlannedCreditNote) -> CreditNotePush | None:
        """The newest revision of the credit note, whatever its state."""
        table = STRIPE_CREDIT_NOTES
        query = (
            select(table)
            .where(*(table.c[name] == value for name, value in self._identity(note).items()))
            .order_by(table.c.revision.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return CreditNotePush(
            id=row.id,
            revision=row.revision,
            subject=note_subject(note, row.revision),
            parameters=json.loads(row.plan),
            lines_hash=row.lines_hash,
        )

    def plan(self, note: PlannedCreditNote, revision: int, parameters: Mapping[str, Any]) -> None:
        """Write down the revision and that it is planned; nothing happens where another process just did."""
        now = self._clock()
        values = {
            **self._identity(note),
            "revision": revision,
            "stripe_invoice_id": note.stripe_invoice_id,
            "plan": canonical_json(dict(parameters)),
            "total_minor": note.total_minor,
            "lines_hash": note.lines_hash(),
            "planned_at": now,
        }
        try:
            with writing(self._engine) as connection:
                made = connection.execute(
                    insert(STRIPE_CREDIT_NOTES).values(values).returning(STRIPE_CREDIT_NOTES.c.id)
                ).scalar_one()
                connection.execute(
                    insert(STRIPE_CREDIT_NOTE_TRANSITIONS).values(
                        credit_note_id=made, step=0, state=NoteState.PLANNED, detail="", recorded_at=now
                    )
                )
        except IntegrityError:
            return

    def progress(self, push: CreditNotePush) -> NoteProgress:
        """The last transition of the revision."""
        table = STRIPE_CREDIT_NOTE_TRANSITIONS
        query = select(table).where(table.c.credit_note_id == push.id).order_by(table.c.step.desc()).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(query).one()
        return NoteProgress(row.step, NoteState(row.state), row.stripe_credit_note_id, row.detail)

    def move(
        self,
        push: CreditNotePush,
        after: NoteProgress,
        state: NoteState,
        credit_note_id: str | None = None,
        detail: str = "",
    ) -> None:
        """Add the transition that follows `after`, unless another process has moved on already: read it again."""
        values = {
            "credit_note_id": push.id,
            "step": after.step + 1,
            "state": state,
            "stripe_credit_note_id": credit_note_id,
            "detail": detail,
            "recorded_at": self._clock(),
        }
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(STRIPE_CREDIT_NOTE_TRANSITIONS).values(values))
        except IntegrityError:
            return

    def _identity(self, note: PlannedCreditNote) -> dict[str, str]:
        return {
            "account": self._account,
            "customer_id": note.customer_id,
            "billing_period": note.billing_period.isoformat(),
            "corrects": note.corrects.isoformat(),
            "currency": note.currency,
        }
