"""The credit grants of the registry as the guard's ledger gets them."""

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.errors import GrantsRefusedError, GuardUnavailableError
from billing_pipeline.gateway.guard_chores import registry_chores
from billing_pipeline.guardrails.commands import AddGrant, VoidGrant
from billing_pipeline.guardrails.customers.grant_sync import (
    GrantSync,
    SyncedGrants,
    known_grants,
    sync_grants,
)
from billing_pipeline.guardrails.customers.registry_grants import grant_commands
from billing_pipeline.guardrails.nano import NANO
from billing_pipeline_tests.guardrails.made_customers import MadeCustomers, acme, at, made_books
from billing_pipeline_tests.guardrails.made_ledger import Clock, MadeLedger

NOW = at("2026-10-20T12:00:00Z")


def grant(grant_id: str, start: date = date(2026, 10, 1), **details: object) -> RegistryChange:
    terms = {"amount": "250.00", "currency": "usd", **details}
    return RegistryChange("credit_grant", f"acme/{grant_id}", "grant", start, terms)


def void(grant_id: str, day: date) -> RegistryChange:
    return RegistryChange("credit_grant", f"acme/{grant_id}", "void", day)


def registry(*changes: RegistryChange) -> Registry:
    return Registry([*acme(), *changes])


def test_a_grant_in_force_is_added_with_its_terms() -> None:
    """The day on which it is worth nothing any more is an instant: 00:00 UTC of it."""
    found = registry(grant("pilot", priority=3, expires="2027-01-01"))
    assert list(grant_commands(found, NOW, {})) == [
        AddGrant(
            customer_id="acme",
            currency="usd",
            grant_id="pilot",
            amount=250 * NANO,
            priority=3,
            expires_at=at("2027-01-01T00:00:00Z"),
        )
    ]


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (grant("g", date(2026, 10, 20)), True),
        (grant("g", date(2026, 10, 21)), False),
        (grant("g", expires="2026-10-21"), True),
        (grant("g", expires="2026-10-20"), False),
        (grant("g", charges=["tool_calls"]), False),
        (grant("g", charges=[]), True),
        (grant("g", amount="0"), False),
        (grant("g", currency="eur"), True),
    ],
)
def test_only_what_may_be_spent_on_anything_now_is_added(change: RegistryChange, counts: bool) -> None:
    """A grant for some charges pays at the invoice only; another currency is an account of its own."""
    assert len(list(grant_commands(registry(change), NOW, {}))) == counts


def test_what_the_ledger_has_is_not_added_again() -> None:
    """Whatever has become of it there; another currency or customer is another grant."""
    found = registry(grant("g"))
    assert not list(grant_commands(found, NOW, {("acme", "usd", "g"): False}))
    assert not list(grant_commands(found, NOW, {("acme", "usd", "g"): True}))
    assert list(grant_commands(found, NOW, {("acme", "eur", "g"): False, ("bolt", "usd", "g"): False}))


def test_a_voided_grant_is_taken_back_from_its_day_on() -> None:
    """Once, and only where the ledger has it."""
    found = registry(grant("g"), void("g", date(2026, 10, 21)))
    known = {("acme", "usd", "g"): False}
    assert not list(grant_commands(found, NOW, known))
    tomorrow = NOW + 86_400_000_000
    taken = [VoidGrant(customer_id="acme", currency="usd", grant_id="g")]
    assert list(grant_commands(found, tomorrow, known)) == taken
    assert not list(grant_commands(found, tomorrow, {("acme", "usd", "g"): True}))
    assert not list(grant_commands(found, tomorrow, {}))


def test_a_closed_customer_gets_none() -> None:
    """From the instant on at which it is closed."""
    closing = RegistryChange("customer", "acme", "close", datetime(2026, 10, 20, 12, tzinfo=UTC))
    found = registry(grant("g"), closing)
    assert list(grant_commands(found, NOW - 1, {}))
    assert not list(grant_commands(found, NOW, {}))


def test_the_ledger_is_brought_to_the_registry_as_often_as_one_likes(control_url: str) -> None:
    """What it would not take is told, and keeps nothing else from it."""
    made = MadeLedger(control_url, clock=Clock(NOW))
    try:
        found = registry(grant("a"), grant("huge", amount="2000000000"), grant("b", amount="1.50"))
        first = sync_grants(made.writer, made.engine, found, NOW)
        assert (first.added, first.voided) == (2, 0)
        ((key, why),) = first.refused
        assert key == ("acme", "usd", "huge")
        assert why.startswith("amount")
        assert sync_grants(made.writer, made.engine, found, NOW)[:2] == (0, 0)
        gone = Registry([*found.changes, void("a", date(2026, 10, 20))])
        assert sync_grants(made.writer, made.engine, gone, NOW)[:2] == (0, 1)
        assert known_grants(made.engine) == {("acme", "usd", "a"): True, ("acme", "usd", "b"): False}
        assert sync_grants(made.writer, made.engine, registry(), NOW) == SyncedGrants(0, 0)
    finally:
        made.close()


def test_a_sync_is_run_where_something_may_have_changed(tmp_path: Path) -> None:
    """A grant that begins tomorrow is there tomorrow; a look at what is known already asks nobody."""
    made = MadeLedger(f"sqlite:///{tmp_path / 'control.sqlite'}?timeout=60", clock=Clock(NOW))
    try:
        sync = GrantSync(made.writer, made.engine, made.clock)
        found = registry(grant("a"), grant("b", date(2026, 10, 21)))
        assert sync.run(found) == SyncedGrants(1, 0)
        commits = made.writer.commits
        made.clock.pass_seconds(3600)
        assert sync.run(found) == SyncedGrants(0, 0)
        assert made.writer.commits == commits
        made.clock.pass_seconds(86_400)
        assert sync.run(found) == SyncedGrants(1, 0)
        assert sync.run(registry(*found.changes[3:], grant("c"))) == SyncedGrants(1, 0)
    finally:
        made.close()


def test_a_sync_that_failed_is_run_again(tmp_path: Path) -> None:
    """Nothing is taken for done before the ledger has answered."""
    made = MadeLedger(f"sqlite:///{tmp_path / 'control.sqlite'}?timeout=60", clock=Clock(NOW))
    sync = GrantSync(made.writer, made.engine, made.clock)
    made.writer.close()
    for _ in range(2):
        with pytest.raises(GuardUnavailableError):
            sync.run(registry(grant("a")))
    made.close()


def test_a_grant_that_is_refused_is_told_at_every_run(tmp_path: Path) -> None:
    """Until the registry has voided it; the others are there at once."""
    made = MadeLedger(f"sqlite:///{tmp_path / 'control.sqlite'}?timeout=60", clock=Clock(NOW))
    try:
        sync = GrantSync(made.writer, made.engine, made.clock)
        found = registry(grant("huge", amount="2000000000"), grant("b"))
        for _ in range(2):
            with pytest.raises(
                GrantsRefusedError, match="not taken by the guard's ledger, the first: huge of acme"
            ):
                sync.run(found)
        assert known_grants(made.engine) == {("acme", "usd", "b"): False}
        assert sync.run(Registry([*found.changes, void("huge", date(2026, 10, 20))])) == SyncedGrants(0, 0)
    finally:
        made.close()


def test_the_gateway_brings_grants_into_the_ledger_beside_requests(tmp_path: Path) -> None:
    """Those of the customers as it knows them at that moment."""
    text = "version: v1\neffective_from: 2026-01-01T00:00:00Z\nunits: [call]\nmeters: {}\nplans: {}"
    customers = MadeCustomers(made_books(tmp_path, text), registry().changes)
    made = MadeLedger(f"sqlite:///{tmp_path / 'control.sqlite'}?timeout=60")
    try:
        (chore,) = registry_chores(made.engine, made.writer, customers)
        asyncio.run(chore.run())  # type: ignore[arg-type]  # it is a coroutine
        customers.change(grant("a", date(2026, 1, 1)))
        assert customers.refresh()
        asyncio.run(chore.run())  # type: ignore[arg-type]  # as above
        assert list(known_grants(made.engine)) == [("acme", "usd", "a")]
    finally:
        made.close()
