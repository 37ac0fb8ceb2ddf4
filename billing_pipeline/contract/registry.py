"""Customers, projects and plan assignments, as the changes in the log tell them at one point of the log.

A registry is a value. Every change has an offset (the seed's is -1, before the first), and `as_of` gives the
registry that an event at some offset saw.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from functools import cached_property
from hashlib import sha256
from typing import Literal

import msgspec

from billing_pipeline.contract.instants import datetime_of, instant_text, microseconds_of
from billing_pipeline.contract.log import LogRecord

SEED_OFFSET = -1
DEFAULT_ANCHOR_DAY = 1

Entity = Literal[
    "customer",
    "project",
    "plan_assignment",
    "add_on_assignment",
    "contract_override",
    "plan_override",
    "coupon",
    "credit_grant",
    "rerating",
]
Change = Literal["register", "close", "assign", "end", "override", "redeem", "grant", "void", "rerate"]


class RegistryChange(msgspec.Struct, frozen=True):
    """One change of the registry.

    `entity_id` is the customer's id; `<customer_id>/<id>` for a project, an add-on and a credit grant; the plan's name
    for a plan override. What each change carries in `details` is said in `docs/contracts.md`.
    """

    entity: Entity
    entity_id: str
    change: Change
    effective_from: date | datetime
    """A date means 00:00 UTC of it."""
    details: Mapping[str, object] = {}
    queue_offset: int = SEED_OFFSET

    @property
    def effective_at(self) -> datetime:
        """The aware UTC instant from which the change holds."""
        if isinstance(self.effective_from, datetime):
            return self.effective_from.astimezone(UTC)
        return datetime.combine(self.effective_from, time(), tzinfo=UTC)

    @property
    def slot(self) -> tuple[object, ...]:
        """What this change is about. A later one of the same slot replaces it: the log says the last word last."""
        own = (self.entity, self.entity_id)
        match self.entity:
            case "plan_assignment" | "add_on_assignment":
                return (*own, self.effective_at)
            case "contract_override" | "plan_override":
                return (*own, self.effective_at, self.details.get("name"))
            case "coupon":
                return (*own, self.effective_at, self.details.get("coupon"))
            case "rerating":
                return (*own, *(self.details.get(name) for name in ("usage_period", "rules", "who", "why")))
            case "customer" | "project" | "credit_grant":
                return (*own, self.change)

    def says_the_same(self, other: "RegistryChange") -> bool:
        """Whether two changes have the same content, wherever in the log they stand."""
        return self.content == other.content

    @property
    def content(self) -> tuple[object, ...]:
        """All but the place in the log."""
        return (self.entity, self.entity_id, self.change, self.effective_at, dict(self.details))


class Customer(msgspec.Struct, frozen=True):
    """A customer as last registered."""

    customer_id: str
    name: str
    email: str | None
    anchor_day: int
    registered_at: datetime
    closed_at: datetime | None


class Registry:
    """Answers what is registered, after the given changes in the order of their offsets."""

    def __init__(self, changes: Iterable[RegistryChange]) -> None:
        self._changes = sorted(changes, key=lambda change: change.queue_offset)
        self._registered: dict[tuple[Entity, str], RegistryChange] = {}
        self._closed: dict[tuple[Entity, str], datetime] = {}
        self._projects: dict[str, set[str]] = {}
        self._contracts: dict[tuple[Entity, str], dict[tuple[object, ...], RegistryChange]] = {}
        for change in self._changes:
            self._apply(change)

    def after(self, changes: Iterable[RegistryChange]) -> "Registry":
        """The registry after more changes, all of larger offsets, without going through the earlier ones again."""
        later = sorted(changes, key=lambda change: change.queue_offset)
        assert not (later and self._changes) or self._changes[-1].queue_offset < later[0].queue_offset  # noqa: S101 - a fault of the caller
        found = Registry(())
        found._changes = [*self._changes, *later]
        found._registered = dict(self._registered)
        found._closed = dict(self._closed)
        found._projects = dict(self._projects)
        found._contracts = dict(self._contracts)
        for change in later:
            # What is shared with this registry must not change: just what is touched is copied.
            owner = change.entity_id.partition("/")[0]
            found._projects[owner] = set(found._projects.get(owner, ()))
            found._contracts[change.entity, owner] = dict(found._contracts.get((change.entity, owner), {}))
        for change in later:
            found._apply(change)
        return found

    def _apply(self, change: RegistryChange) -> None:
        key = (change.entity, change.entity_id)
        if change.entity not in {"customer", "project"}:
            self._agree(change)
        if change.change == "close":
            self._closed[key] = change.effective_at
        elif change.change == "register":
            self._registered[key] = change
            if change.entity == "project":
                customer_id, _, project_id = change.entity_id.partition("/")
                self._projects.setdefault(customer_id, set()).add(project_id)

    def _agree(self, change: RegistryChange) -> None:
        said = self._contracts.setdefault((change.entity, change.entity_id.partition("/")[0]), {})
        slot = change.slot
        if change.change == "grant" and slot in said:
            return  # The first word counts: its id is never used again, and invoices may have used it.
        if change.change == "rerate":
            slot = (*slot, change.queue_offset)  # Each is a deed of its own.
        said.pop(slot, None)
        said[slot] = change

    def contract_changes(self, entity: Entity, owner: str) -> tuple[RegistryChange, ...]:
        """What was agreed with a customer (or, for plan overrides, for a plan), in the order of the offsets.

        What a later change has replaced is left out.
        """
        return tuple(self._contracts.get((entity, owner), {}).values())

    def known_as(self, change: RegistryChange) -> RegistryChange | None:
        """The last word about what a change is about, where that says the same; None where it is news."""
        said = self._last_words.get(change.slot)
        return said if said is not None and said.says_the_same(change) else None

    @cached_property
    def _last_words(self) -> dict[tuple[object, ...], RegistryChange]:
        return {change.slot: change for change in self._changes}

    @property
    def changes(self) -> tuple[RegistryChange, ...]:
        """All changes, in the order of their offsets."""
        return tuple(self._changes)

    def as_of(self, max_offset: int) -> "Registry":
        """The registry after the changes up to and including an offset."""
        return Registry(change for change in self._changes if change.queue_offset <= max_offset)

    def known_customers(self) -> tuple[str, ...]:
        """The ids of all customers ever registered, sorted."""
        return tuple(sorted(entity_id for entity, entity_id in self._registered if entity == "customer"))

    def customer(self, customer_id: str) -> Customer | None:
        """The customer, or None where there is no such id."""
        change = self._registered.get(("customer", customer_id))
        if change is None:
            return None
        email = change.details.get("email")
        return Customer(
            customer_id=customer_id,
            name=str(change.details.get("name") or customer_id),
            email=None if email is None else str(email),
            anchor_day=self.anchor_day(customer_id),
            registered_at=change.effective_at,
            closed_at=self.closed_at(customer_id),
        )

    def projects(self, customer_id: str) -> tuple[str, ...]:
        """The ids of the customer's projects ever registered, sorted."""
        return tuple(sorted(self._projects.get(customer_id, ())))

    def has_project(self, customer_id: str, project_id: str) -> bool:
        """Whether the customer has, or had, this project."""
        return project_id in self._projects.get(customer_id, ())

    def closed_at(self, customer_id: str, project_id: str | None = None) -> datetime | None:
        """From when on the customer (or its project) takes no usage; None while it is open."""
        if project_id is None:
            return self._closed.get(("customer", customer_id))
        return self._closed.get(("project", f"{customer_id}/{project_id}"))

    def anchor_day(self, customer_id: str) -> int:
        """The day of the month on which the customer's invoice periods start; 1 by default."""
        change = self._registered.get(("customer", customer_id))
        anchor = change.details.get("anchor_day") if change else None
        return anchor if isinstance(anchor, int) else DEFAULT_ANCHOR_DAY


def change_id(change: RegistryChange, earlier: int = 0) -> str:
    """An id that follows from the change's content: the same registration is the same record.

    Args:
        change: the change.
        earlier: how many of the same content the log has already.
    """
    content = msgspec.json.encode(change.content, order="sorted") + b"\0again" * earlier
    return sha256(content).hexdigest()[:32]


def control_record(change: RegistryChange, change_id: str, source: str = "registry") -> LogRecord:
    """The change as a control record of the log; its payload is the record's own JSON."""
    effective_from = microseconds_of(change.effective_at)
    details = msgspec.json.encode(change.details, order="sorted").decode()
    payload = {
        "change": change.change,
        "details": dict(change.details),
        "effective_from": instant_text(effective_from),
        "entity": change.entity,
        "entity_id": change.entity_id,
        "id": change_id,
        "source": source,
        "type": "control",
    }
    return LogRecord(
        kind="control",
        payload=msgspec.json.encode(payload, order="sorted").decode(),
        source=source,
        id=change_id,
        entity=change.entity,
        entity_id=change.entity_id,
        change=change.change,
        effective_from=effective_from,
        details=details,
    )


class _ControlFields(msgspec.Struct):
    entity: Entity
    entity_id: str
    change: Change
    effective_from: int
    details: str


def change_of(record: LogRecord, queue_offset: int) -> RegistryChange:
    """The change that a control record of the log stands for.

    Raises:
        msgspec.ValidationError: the record is no control record.
    """
    fields = msgspec.convert(record, _ControlFields, from_attributes=True)
    return RegistryChange(
        fields.entity,
        fields.entity_id,
        fields.change,
        datetime_of(fields.effective_from),
        msgspec.json.decode(fields.details, type=dict[str, object]),
        queue_offset,
    )
