"""The sync: makes what Stripe lacks, brings up to date what has changed, leaves and names what is gone.

Requests stand in the outbox before they are sent, and what was sent last is kept by its hash. So a run that is repeated
or was killed makes nothing twice, and sends nothing where nothing has changed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from sqlalchemy import Engine, func, insert, select

from billing_pipeline.control.database import writing
from billing_pipeline.control.invoice_tables import STRIPE_SYNCED
from billing_pipeline.control.tables import STRIPE_OBJECTS
from billing_pipeline.errors import StripeError
from billing_pipeline.invoicing.push.outbox import Outbox, SentRequest
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.invoicing.stripe.port import Parameters
from billing_pipeline.invoicing.sync.mapping import Kind, SyncObject
from billing_pipeline.invoicing.sync.port import StripeThing, SyncPort

Action = Literal["created", "updated", "unchanged", "gone", "differs", "failed"]
KINDS: tuple[Kind, ...] = ("customer", "product", "meter")


@dataclass(frozen=True, kw_only=True)
class SyncResult:
    """What became, or in a dry run would become, of one object.

    `gone`: Stripe has it and we do not any more; it is left. `differs`: somebody has changed it in Stripe; it is left.
    """

    kind: Kind
    our_key: str
    action: Action
    stripe_id: str = ""
    message: str = ""


@dataclass(frozen=True)
class StripeSync:
    """One Stripe account and what is on record of it.

    Attributes:
        account: from `SyncPort.account`.
        clock: UTC µs.
        sleep: waits so many seconds before a request is tried again.
    """

    engine: Engine
    port: SyncPort
    account: str
    clock: Callable[[], int]
    sleep: Callable[[float], None]

    def run(
        self, objects: Sequence[SyncObject], *, dry_run: bool = False, compare: bool = False
    ) -> list[SyncResult]:
        """One result per object, then those that are gone, then (with `compare`) those that differ in Stripe."""
        known = self._known()
        results = []
        for each in objects:
            stripe_id = known.get((each.kind, each.our_key), "")
            try:
                results.append(self._would(each, stripe_id) if dry_run else self._bring(each, stripe_id))
            except StripeError as error:
                results.append(
                    SyncResult(
                        kind=each.kind,
                        our_key=each.our_key,
                        action="failed",
                        stripe_id=stripe_id,
                        message=f"{error}; run the sync again",
                    )
                )
        results += self._gone(objects, known)
        return [*results, *(self._differing(objects) if compare else ())]

    def _would(self, each: SyncObject, stripe_id: str) -> SyncResult:
        action: Action = "created"
        if stripe_id:
            action = "unchanged" if self._last_hash(each)[1] == each.content_hash else "updated"
        return SyncResult(kind=each.kind, our_key=each.our_key, action=action, stripe_id=stripe_id)

    def _bring(self, each: SyncObject, stripe_id: str) -> SyncResult:
        result = self._would(each, stripe_id)
        if result.action == "unchanged":
            return result
        outbox = Outbox(self.engine, self.account, self.clock)
        sender = Sender(outbox, self.clock, self.sleep)
        if not stripe_id:
            stripe_id = self._create(each, outbox, sender)
        if not (result.action == "created" and each.create == each.update):
            self._update(each, stripe_id, sender)
        with writing(self.engine) as connection:
            connection.execute(
                insert(STRIPE_SYNCED).values(
                    account=self.account,
                    kind=each.kind,
                    our_key=each.our_key,
                    content_hash=each.content_hash,
                    recorded_at=self.clock(),
                )
            )
        return SyncResult(kind=each.kind, our_key=each.our_key, action=result.action, stripe_id=stripe_id)

    def _create(self, each: SyncObject, outbox: Outbox, sender: Sender) -> str:
        def call(sent: Parameters, key: str) -> str:
            return self.port.create(each.kind, sent, key)

        def look_up(_request: SentRequest) -> str | None:
            found = self.port.find(each.kind, each.our_key)
            return None if found is None else found.stripe_id

        # A meter of an event name may stand there already, made by hand: two active ones cannot be.
        there = sender.read(lambda: self.port.find("meter", each.our_key)) if each.kind == "meter" else None
        made = (
            there.stripe_id
            if there
            else sender.send(f"create_{each.kind}", each.our_key, each.create, call, look_up)
        )
        outbox.remember(each.kind, each.our_key, made)
        return outbox.stripe_id(each.kind, each.our_key) or made

    def _update(self, each: SyncObject, stripe_id: str, sender: Sender) -> None:
        def call(sent: Parameters, key: str) -> bool:
            self.port.update(each.kind, stripe_id, sent, key)
            return True

        times, _ = self._last_hash(each)
        # What goes back to an earlier content is a request of its own: its key is that of the how-manieth change it is.
        subject = f"{each.our_key}@{each.content_hash[:16]}"
        sender.send(f"update_{each.kind}", subject, each.update, call, lambda _request: None, batch=times)

    def _last_hash(self, each: SyncObject) -> tuple[int, str]:
        table = STRIPE_SYNCED
        of_it = (
            table.c.account == self.account,
            table.c.kind == each.kind,
            table.c.our_key == each.our_key,
        )
        with self.engine.connect() as connection:
            times = connection.execute(select(func.count()).where(*of_it)).scalar_one()
            newest = select(table.c.content_hash).where(*of_it).order_by(table.c.id.desc()).limit(1)
            return int(times), connection.execute(newest).scalar() or ""

    def _known(self) -> dict[tuple[str, str], str]:
        table = STRIPE_OBJECTS
        query = select(table.c.kind, table.c.our_key, table.c.stripe_id).where(
            table.c.account == self.account, table.c.kind.in_(KINDS)
        )
        with self.engine.connect() as connection:
            return {(kind, our_key): stripe_id for kind, our_key, stripe_id in connection.execute(query)}

    def _gone(self, objects: Sequence[SyncObject], known: dict[tuple[str, str], str]) -> Iterator[SyncResult]:
        ours = {(each.kind, each.our_key) for each in objects}
        for kind in KINDS:
            for key, stripe_id in sorted(known.items()):
                if key[0] == kind and key not in ours:
                    message = "no longer ours; it is left in Stripe as it is"
                    yield SyncResult(
                        kind=kind, our_key=key[1], action="gone", stripe_id=stripe_id, message=message
                    )

    def _differing(self, objects: Sequence[SyncObject]) -> Iterator[SyncResult]:
        sender, known = (
            Sender(Outbox(self.engine, self.account, self.clock), self.clock, self.sleep),
            self._known(),
        )
        for kind in KINDS:
            wanted = {
                known[kind, each.our_key]: each
                for each in objects
                if each.kind == kind and (kind, each.our_key) in known
            }
            listed = sender.read(partial(self.port.things, kind)) if wanted else []
            there = {thing.stripe_id: thing for thing in listed}
            for stripe_id, each in sorted(wanted.items()):
                message = _difference(each, there.get(stripe_id))
                if message:
                    yield SyncResult(
                        kind=kind,
                        our_key=each.our_key,
                        action="differs",
                        stripe_id=stripe_id,
                        message=message,
                    )


def _difference(each: SyncObject, thing: StripeThing | None) -> str:
    if thing is None or not thing.is_active:
        return "deleted or switched off in Stripe"
    parts = [
        f"{name} is {thing.shown.get(name, '')!r} in Stripe and {value!r} here"
        for name, value in each.shown.items()
        if thing.shown.get(name, "") != value
    ]
    return "; ".join(parts)
