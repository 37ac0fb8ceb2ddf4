"""The registry answers as the log stood at an offset."""

from datetime import UTC, date, datetime

import pytest

from billing_pipeline.contract.registry import Registry, RegistryChange, change_id, change_of, control_record
from billing_pipeline.rating.registered_agreement import agreement_of

CHANGES = [
    RegistryChange("customer", "acme", "register", date(2026, 1, 1), {"name": "Acme", "anchor_day": 15}),
    RegistryChange("plan_assignment", "acme", "assign", date(2026, 1, 1), {"plan": "standard"}),
    RegistryChange("project", "acme/bot", "register", date(2026, 1, 1)),
    RegistryChange("customer", "globex", "register", date(2026, 2, 1), {}, 10),
    RegistryChange("plan_assignment", "acme", "assign", date(2026, 3, 1), {"plan": "scale"}, 20),
    RegistryChange("plan_assignment", "acme", "assign", date(2026, 3, 1), {"plan": "enterprise"}, 30),
    RegistryChange("customer", "globex", "close", datetime(2026, 4, 1, 12, tzinfo=UTC), {}, 40),
    RegistryChange("project", "acme/bot", "close", date(2026, 5, 1), {}, 50),
]
REGISTRY = Registry(CHANGES)


def test_customers_and_projects_are_known_with_their_details() -> None:
    """A name falls back to the id, the anchor day to 1."""
    assert REGISTRY.known_customers() == ("acme", "globex")
    assert REGISTRY.projects("acme") == ("bot",)
    assert REGISTRY.projects("nobody") == ()
    assert REGISTRY.has_project("acme", "bot")
    acme, globex = REGISTRY.customer("acme"), REGISTRY.customer("globex")
    assert acme is not None
    assert globex is not None
    assert (acme.name, acme.anchor_day) == ("Acme", 15)
    assert (globex.name, globex.anchor_day) == ("globex", 1)
    assert REGISTRY.customer("nobody") is None


@pytest.mark.parametrize(
    ("day", "plan"),
    [
        (date(2025, 12, 31), None),
        (date(2026, 1, 1), "standard"),
        (date(2026, 2, 28), "standard"),
        (date(2026, 3, 1), "enterprise"),
    ],
)
def test_the_plan_in_force_is_the_latest_effective_one(day: date, plan: str | None) -> None:
    """A plan holds from 00:00 UTC of its day; of two for one day the later in the log holds."""
    assert agreement_of(REGISTRY, "acme").plan_on(day) == plan


def test_an_earlier_offset_sees_fewer_changes() -> None:
    """Replay is exact: the registry at an offset knows nothing of later changes."""
    assert REGISTRY.as_of(-1).known_customers() == ("acme",)
    assert agreement_of(REGISTRY.as_of(20), "acme").plan_on(date(2026, 3, 1)) == "scale"
    assert REGISTRY.as_of(39).closed_at("globex") is None


def test_closure_has_an_instant() -> None:
    """Of a customer and of a project, in UTC."""
    assert REGISTRY.closed_at("globex") == datetime(2026, 4, 1, 12, tzinfo=UTC)
    assert REGISTRY.closed_at("acme", "bot") == datetime(2026, 5, 1, tzinfo=UTC)
    assert REGISTRY.closed_at("acme") is None


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_survives_the_log(change: RegistryChange) -> None:
    """Written as a control record and read again it is the same change."""
    record = control_record(change, "id-1")
    assert (record.kind, record.source, record.id) == ("control", "registry", "id-1")
    back = change_of(record, change.queue_offset)
    assert (back.entity, back.entity_id, back.change) == (change.entity, change.entity_id, change.change)
    assert (back.effective_at, back.details) == (change.effective_at, change.details)


def test_the_last_word_about_a_matter_is_known() -> None:
    """What was said before it is news again; the same of another day is another matter."""
    march = RegistryChange("plan_assignment", "acme", "assign", date(2026, 3, 1), {"plan": "enterprise"})
    known = REGISTRY.known_as(march)
    assert known is not None
    assert known.queue_offset == 30
    assert REGISTRY.known_as(CHANGES[4]) is None
    assert REGISTRY.as_of(20).known_as(CHANGES[4]) is CHANGES[4]
    april = RegistryChange("plan_assignment", "acme", "assign", date(2026, 4, 1), {"plan": "enterprise"})
    assert REGISTRY.known_as(april) is None


def test_a_date_and_its_midnight_are_one_matter() -> None:
    """A change that went through the log says the same as the one that was entered."""
    change = RegistryChange("coupon", "acme", "redeem", date(2026, 3, 1), {"coupon": "welcome"})
    logged = change_of(control_record(change, "id"), 7)
    assert logged.slot == change.slot
    assert logged.says_the_same(change)


def test_an_id_follows_from_the_content_and_from_how_often_it_was_said() -> None:
    """Whatever the offset, and the order in which details are given."""
    one = RegistryChange("coupon", "acme", "redeem", date(2026, 3, 1), {"coupon": "a", "note": "b"})
    other = RegistryChange("coupon", "acme", "redeem", date(2026, 3, 1), {"note": "b", "coupon": "a"}, 9)
    assert change_id(one) == change_id(other)
    assert len({change_id(one, earlier) for earlier in range(3)}) == 3


def _told(registry: Registry) -> list[object]:
    """All that a registry answers of the customers above."""
    found: list[object] = [registry.changes, registry.known_customers()]
    for customer_id in ("acme", "globex", "initech"):
        found += [registry.customer(customer_id), registry.projects(customer_id)]
        found += [registry.closed_at(customer_id), registry.closed_at(customer_id, "bot")]
        found.append(agreement_of(registry, customer_id))
    return found


@pytest.mark.parametrize("cut", range(3, 9))
def test_later_changes_come_on_top_and_leave_the_earlier_registry_as_it_was(cut: int) -> None:
    """What is known after some and then the others is what is known after all at once."""
    later = [
        RegistryChange("project", "acme/search", "register", date(2026, 5, 1), {}, 60),
        RegistryChange("plan_assignment", "acme", "assign", date(2026, 3, 1), {"plan": "growth"}, 70),
        RegistryChange("plan_override", "growth", "override", date(2026, 3, 1), {"name": "n"}, 80),
        RegistryChange("customer", "initech", "register", date(2026, 6, 1), {}, 90),
    ]
    first = Registry(CHANGES[:cut])
    before = _told(first)
    grown = first.after(reversed([*CHANGES[cut:], *later]))
    assert _told(grown) == _told(Registry([*CHANGES, *later]))
    assert _told(first) == before
    assert _told(grown.after([])) == _told(grown)
