"""The sync makes each Stripe object once and keeps it as we have it, whatever happens; on both control databases."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.contract.registry import Customer, Registry, RegistryChange
from billing_pipeline.control.database import open_control
from billing_pipeline.errors import StripeLinkError, StripeUnreachableError
from billing_pipeline.invoicing.meter_events.event_name import MeteredCharge
from billing_pipeline.invoicing.policies.policy import InvoicingPolicies, InvoicingPolicy
from billing_pipeline.invoicing.push.outbox import Outbox
from billing_pipeline.invoicing.push.plan import stripe_plan
from billing_pipeline.invoicing.push.planned import PlannedInvoice
from billing_pipeline.invoicing.push.sending import Sender
from billing_pipeline.invoicing.push.steps import CREATE_CUSTOMER
from billing_pipeline.invoicing.sync.linking import link_customer
from billing_pipeline.invoicing.sync.mapping import Kind, customer_object, meter_object, projects_text
from billing_pipeline.invoicing.sync.objects import sync_objects
from billing_pipeline.invoicing.sync.port import StripeThing
from billing_pipeline.invoicing.sync.sync import StripeSync
from billing_pipeline.pipeline import rule_books_in
from billing_pipeline.settings import PROJECT_ROOT

ACCOUNT = "acct_fake/test"
NOW_US = 1_790_000_000_000_000
BOOKS = rule_books_in(PROJECT_ROOT / "data" / "rule_books")
ADA = Customer("acme", "Ada GmbH", "ada@acme.example", 1, datetime(2026, 1, 1, tzinfo=UTC), None)


class Killed(BaseException):
    """Stands for kill -9: nothing of ours may swallow it."""


class FakeDirectory:
    """A `SyncPort` in memory, with idempotency keys. `fault` may raise before and after each change."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[Kind, dict[str, Any]]] = {}
        self.keys: dict[str, str] = {}
        self.changes = 0
        self.fault: Callable[[str], None] = lambda _when: None

    def account(self) -> str:
        return ACCOUNT

    def create(self, kind: Kind, parameters: Any, idempotency_key: str) -> str:
        self.fault("before")
        if idempotency_key not in self.keys:
            self.keys[idempotency_key] = f"{kind}_{len(self.made) + 1}"
            self.made[self.keys[idempotency_key]] = (kind, dict(parameters))
            self.changes += 1
        self.fault("after")
        return self.keys[idempotency_key]

    def update(self, kind: Kind, stripe_id: str, parameters: Any, idempotency_key: str) -> None:
        self.fault("before")
        if idempotency_key not in self.keys:
            self.keys[idempotency_key] = stripe_id
            known = self.made[stripe_id][1]
            merged = {**known.get("metadata", {}), **parameters.get("metadata", {})}
            self.made[stripe_id] = (kind, {**known, **parameters, "metadata": merged})
            self.changes += 1
        self.fault("after")

    def find(self, kind: Kind, our_key: str) -> StripeThing | None:
        return next((each for each in self.things(kind) if each.our_key == our_key), None)

    def retrieve_customer(self, stripe_id: str) -> StripeThing | None:
        return next((each for each in self.things("customer") if each.stripe_id == stripe_id), None)

    def things(self, kind: Kind) -> list[StripeThing]:
        found = []
        for stripe_id, (made, values) in self.made.items():
            metadata = values.get("metadata", {})
            key = (
                values.get("event_name")
                or metadata.get("billing_customer_id")
                or metadata.get("billing_plan")
            )
            shown: dict[str, str] = {
                str(name): values[name]
                for name in ("name", "email", "description", "display_name")
                if name in values
            }
            if made == kind:
                found.append(StripeThing(stripe_id=stripe_id, our_key=key or "", shown=shown))
        return found


@pytest.fixture
def sync(migrated_url: str) -> Iterator[StripeSync]:
    engine = open_control(migrated_url)
    yield StripeSync(engine, FakeDirectory(), ACCOUNT, lambda: NOW_US, lambda _seconds: None)
    engine.dispose()


def _stripe(sync: StripeSync) -> FakeDirectory:
    assert isinstance(sync.port, FakeDirectory)
    return sync.port


def _registry(*changes: RegistryChange) -> Registry:
    first = datetime(2026, 1, 1, tzinfo=UTC)
    named = {"name": "Ada GmbH", "email": "ada@acme.example"}
    return Registry(
        [
            RegistryChange("customer", "acme", "register", first, named, 0),
            RegistryChange("project", "acme/support-bot", "register", first, {}, 1),
            RegistryChange("project", "acme/search", "register", first, {}, 2),
            *changes,
        ]
    )


def test_everything_is_made_once_and_a_second_run_sends_nothing(sync: StripeSync) -> None:
    """A customer with email and projects, the newest rule book's plans as products, the meters of a metered plan."""
    policies = InvoicingPolicies(by_plan={"standard": InvoicingPolicy(delivery="meter_events")})
    used = MeteredCharge("standard", "tool_calls", "tool_calls", '{"tool":"own_tool"}')
    objects = sync_objects(_registry(), BOOKS, policies, [used])
    results = sync.run(objects)
    assert {each.action for each in results} == {"created"}
    kinds = [kind for kind, _ in _stripe(sync).made.values()]
    assert (kinds.count("customer"), kinds.count("product"), kinds.count("meter")) == (
        1,
        4,
        30 + 3 + 1,
    )
    (_, customer) = _stripe(sync).made["customer_1"]
    assert customer == {
        "name": "Ada GmbH",
        "email": "ada@acme.example",
        "metadata": {"billing_customer_id": "acme", "projects": "search, support-bot"},
    }
    before = _stripe(sync).changes
    assert {each.action for each in sync.run(objects)} == {"unchanged"}
    assert _stripe(sync).changes == before


def test_a_dry_run_changes_nothing_anywhere(sync: StripeSync) -> None:
    """It says what would be done, twice the same."""
    objects = sync_objects(_registry(), BOOKS, InvoicingPolicies(), [])
    for _ in range(2):
        assert [each.action for each in sync.run(objects, dry_run=True)] == ["created"] * 5
    assert _stripe(sync).changes == 0


def test_what_changes_is_sent_also_when_it_goes_back(sync: StripeSync) -> None:
    """A, B and A again: three contents in turn, though the first and the third are the same."""
    for name in ("Ada GmbH", "Ada AG", "Ada GmbH"):
        (result,) = sync.run([customer_object(replace_name(name), [])])
        assert _stripe(sync).made[result.stripe_id][1]["name"] == name
    assert result.action == "updated"


def replace_name(name: str) -> Customer:
    return Customer("acme", name, ADA.email, 1, ADA.registered_at, None)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sync_that_is_killed_makes_nothing_twice(sync: StripeSync, when: str) -> None:
    """Killed at each of its requests in turn, then run to the end."""
    wanted = [customer_object(ADA, ["p"]), meter_object(MeteredCharge("a", "b", "c"))]
    for stop in range(1, 4):
        left = [stop]

        def kill(moment: str, left: list[int] = left) -> None:
            left[0] -= moment == when
            if left[0] == 0:
                raise Killed

        _stripe(sync).fault = kill
        with suppress(Killed):  # what is done already needs no further request
            sync.run(wanted)
    _stripe(sync).fault = lambda _when: None
    sync.run(wanted)
    assert sorted(kind for kind, _ in _stripe(sync).made.values()) == ["customer", "meter"]
    assert {each.action for each in sync.run(wanted)} == {"unchanged"}


def test_one_that_fails_does_not_stop_the_others(sync: StripeSync) -> None:
    """It is named, and the next run does it."""
    objects = [customer_object(ADA, []), meter_object(MeteredCharge("a", "b", "c"))]

    def drop(_when: str) -> None:
        raise StripeUnreachableError("create", "connection dropped")

    _stripe(sync).fault = drop
    assert [(each.action, "run the sync again" in each.message) for each in sync.run(objects)] == [
        ("failed", True),
        ("failed", True),
    ]
    _stripe(sync).fault = lambda _when: None
    assert {each.action for each in sync.run(objects)} == {"created"}


def test_what_is_gone_and_what_somebody_has_changed_is_left_and_named(sync: StripeSync) -> None:
    """A plan that no rule book has any more; a customer renamed in Stripe."""
    objects = sync_objects(_registry(), BOOKS, InvoicingPolicies(), [])
    sync.run(objects)
    _stripe(sync).made["customer_1"][1]["name"] = "Renamed"
    before = _stripe(sync).changes
    rest = [each for each in objects if each.our_key != "growth"]
    told = [
        (each.action, each.our_key) for each in sync.run(rest, compare=True) if each.action != "unchanged"
    ]
    assert told == [("gone", "growth"), ("differs", "acme")]
    message = sync.run(rest, compare=True)[-1].message
    assert message == "name is 'Renamed' in Stripe and 'Ada GmbH' here"
    assert _stripe(sync).changes == before


def test_push_and_sync_agree_about_customers(sync: StripeSync) -> None:
    """Whoever is first makes the customer; it is one and the same request, and the sync brings the rest."""
    invoice = PlannedInvoice(
        customer_id="acme",
        customer_name="Ada GmbH",
        billing_period=datetime(2026, 10, 1, tzinfo=UTC).date(),
        currency="usd",
        lines=(),
    )
    made_by_push = stripe_plan(invoice, 1).customer
    assert made_by_push == customer_object(ADA, ["p"]).create
    outbox = Outbox(sync.engine, ACCOUNT, lambda: NOW_US)

    def create(parameters: Any, key: str) -> str:
        return _stripe(sync).create("customer", parameters, key)

    Sender(outbox, lambda: NOW_US).send(CREATE_CUSTOMER, "acme", made_by_push, create, lambda _: None)
    (result,) = sync.run([customer_object(ADA, ["p"])])
    assert len(_stripe(sync).made) == 1
    assert _stripe(sync).made[result.stripe_id][1]["email"] == "ada@acme.example"


def test_a_customer_of_stripe_is_linked_once(sync: StripeSync) -> None:
    """It gets our id; neither side can be given away again."""
    stripe = _stripe(sync)
    first = stripe.create("customer", {"name": "By hand"}, "hand-1")
    second = stripe.create("customer", {"name": "By hand, too"}, "hand-2")
    foreign = stripe.create("customer", {"metadata": {"billing_customer_id": "other"}}, "hand-3")

    def link(customer_id: str, stripe_id: str) -> bool:
        return link_customer(
            sync.engine, stripe, customer_id, stripe_id, clock=lambda: NOW_US, sleep=lambda _seconds: None
        )

    assert link("acme", first)
    assert not link("acme", first)
    for customer_id, stripe_id, reason in (
        ("acme", second, "acme is customer_1 in Stripe already"),
        ("beta", first, "it stands for acme already"),
        ("beta", "cus_none", "has no such customer"),
        ("beta", foreign, "its metadata say that it is other"),
    ):
        with pytest.raises(StripeLinkError, match=reason):
            link(customer_id, stripe_id)
    (result,) = sync.run([customer_object(ADA, [])])
    assert (result.action, result.stripe_id, len(stripe.made)) == ("updated", first, 3)


@given(st.lists(st.text("abcdefgh-", min_size=1, max_size=60), max_size=60))
def test_projects_fit_into_metadata(projects: list[str]) -> None:
    """All of them, or as many as fit and the number of the others."""
    text = projects_text(projects)
    assert len(text) <= 500
    shown, _, rest = text.rpartition("and ")
    if text != ", ".join(projects):
        kept = [each for each in shown.split(", ") if each]
        assert projects[: len(kept)] == kept
        assert int(rest.split()[0]) == len(projects) - len(kept)


def test_an_email_that_stripe_would_not_take_is_left_out() -> None:
    """It is longer than 512 characters."""
    long = replace_name("Ada")
    wanted = customer_object(Customer("acme", "Ada", "a" * 513, 1, long.registered_at, None), [])
    assert "email" not in wanted.update
