"""What does not matter: the order of distinct events within a receipt day, and in which runs days are worked through.

The company has what could tell the difference: a version that starts within a day, meters that look at a day as a
whole, split events, late ones, some that are sent again, corrections, rejected ones. Whatever order they come in within
their receipt day (an identity's own events stay in theirs, and a correction behind what it corrects), the
rollups, charges and lines have the same content hashes; so they have when the days are made one by one, or backwards.
"""

import random
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import pytest

from billing_pipeline_tests.scenarios.company import Company, Event, corrected, used

COMPARED = ("usage_rollups", "restated_rollups", "unmetered_usage", "rated_charges", "invoice_lines")
DAYS = ("2025-02-01", "2025-02-02", "2025-02-03")
"""The last one ends a period."""
RULES = """
version: {version}
effective_from: {start}
units: [gb]
meters:
  stored: {{unit: gb, aggregation: sum, group_by: [region]}}
  peak: {{unit: gb, aggregation: max, group_by: [region]}}
  level: {{unit: gb, aggregation: latest}}
  regions: {{unit: gb, aggregation: unique_count, distinct: dimensions.region}}
  held: {{unit: gb, aggregation: time_weighted_sum}}
  events: {{unit: gb, aggregation: count, filter: {{region: [eu]}}}}
plans:
  basic:
    currency: usd
    charges:
      - name: stored
        meter: stored
        price: {{model: graduated, tiers: [{{up_to: 300, unit_price: {price}}}, {{unit_price: 0.0137}}]}}
      - {{name: peak, meter: peak, price: {{model: per_unit, unit_price: 0.333}}}}
      - {{name: level, meter: level, price: {{model: per_unit, unit_price: 0.01}}}}
      - {{name: regions, meter: regions, price: {{model: per_unit, unit_price: 0.5}}}}
      - {{name: held, meter: held, price: {{model: per_unit, unit_price: 0.01, per: 1000}}}}
      - {{name: events, meter: events, price: {{model: per_unit, unit_price: 0.005}}}}
"""


def log() -> list[Event]:
    """Three receipt days in the order of receipt, ids and quantities from a generator."""
    chance = random.Random(11)
    events: list[Event] = []
    for day in (1, 2, 3):
        for number in range(24):
            shares = {"customer_id": "acme", "project_id": "p", "share": "0.6"}
            others = {"customer_id": "globex", "project_id": "p", "share": "0.4"}
            of_day = day if number % 6 else max(1, day - 1)
            events.append(
                used(
                    f"{day}-{number}",
                    f"2025-02-{of_day:02}T{chance.randrange(1, 21):02}:30:00Z",
                    f"{chance.randrange(1, 90)}.{number}",
                    received_at=f"2025-02-{day:02}T21:{number:02}:00Z",
                    unit="gb" if number != 7 else "page",
                    dimensions={"region": chance.choice(("eu", "us", "asia"))},
                    customer_id=chance.choice(("acme", "globex")),
                    **({"allocations": [shares, others]} if number % 5 == 0 else {}),
                )
            )
            if number % 8 == 3:
                events.append(events[-1] | {"received_at": f"2025-02-{day:02}T22:{number:02}:00Z"})
                fields: tuple[Event, ...] = (
                    {},
                    {"quantity_delta": "-0.5"},
                    {"replacement": {"dimensions": {"region": "us"}}},
                )
                events.append(
                    corrected(
                        f"fix-{day}-{number}",
                        f"{max(1, day - 1)}-{number}",
                        f"2025-02-{day:02}T23:{number:02}:00Z",
                        occurred_at=f"2025-02-{day:02}T21:00:00Z",
                        **fields[number // 8],
                    )
                )
    return sorted(events, key=itemgetter("received_at"))


@pytest.fixture(scope="module")
def new_order(new_company: Callable[[], Company]) -> Callable[[Sequence[Event]], Company]:
    """A fresh company that has received some events."""

    def make(events: Sequence[Event]) -> Company:
        company = new_company()
        company.write_rules(
            morning=RULES.format(version="morning", start="2025-01-01T00:00:00Z", price="0.0211"),
            noon=RULES.format(version="noon", start="2025-02-02T12:00:00Z", price="0.0177"),
        )
        company.write_customers(
            *({"id": name, "plan": "basic", "anchor_day": 4} for name in ("acme", "globex"))
        )
        company.receive(*events)
        return company

    return make


class Made(NamedTuple):
    """A company and the hashes of what is compared, as made in one go."""

    company: Company
    hashes: dict[str, str]


@pytest.fixture(scope="module")
def at_once(new_order: Callable[[Sequence[Event]], Company]) -> Made:
    """All days in one go, as received."""
    company = new_order(log())
    return Made(company, compared(company.make(*DAYS)))


def compared(hashes: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in hashes.items() if name.startswith(COMPARED)}


def test_the_log_holds_what_could_tell_the_difference(at_once: Made) -> None:
    """Rejected and repeated events, each kind of correction, and every kind of rollup under both versions."""
    found = (
        "SELECT (SELECT count(*) FROM rejected_usage_events), (SELECT count(*) FROM duplicate_usage_events), "
        "(SELECT count(DISTINCT outcome || action) FROM usage_corrections), "
        "(SELECT count(DISTINCT kind || rule_version) FROM usage_rollups)"
    )
    assert at_once.company.sql(found) == [(3, 9, 3, 6)]


def test_received_in_another_order_within_the_receipt_day_it_is_the_same(
    new_order: Callable[[Sequence[Event]], Company], at_once: Made
) -> None:
    """Distinct events change places, and with them their receipt times."""
    assert compared(new_order(reordered(log(), random.Random(1))).make(*DAYS)) == at_once.hashes


def test_made_day_by_day_in_yet_another_order_it_is_the_same(
    new_order: Callable[[Sequence[Event]], Company], at_once: Made
) -> None:
    company = new_order(reordered(log(), random.Random(2)))
    assert made_one_by_one(company, DAYS) == at_once.hashes


def test_made_again_backwards_it_is_the_same(at_once: Made) -> None:
    """As a backfill may, when all that came later is there."""
    assert made_one_by_one(at_once.company, DAYS[::-1]) == at_once.hashes


def made_one_by_one(company: Company, days: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for day in days:
        found |= compared(company.make(day))
    return found


def reordered(events: Sequence[Event], chance: random.Random) -> list[Event]:
    """The events of each day at the same receipt times, by other events; each identity's own keep their order."""
    found: list[Event] = []
    for _, group in groupby(events, lambda event: str(event["received_at"])[:10]):
        of_day = list(group)
        waiting: dict[str, list[Event]] = {}
        for event in of_day:
            about = event.get("corrects")
            name = str(about["id"] if isinstance(about, dict) else event["id"])
            waiting.setdefault(name, []).append(event)
        places = [name for name, own in waiting.items() for _ in own]
        chance.shuffle(places)
        found += [
            waiting[name].pop(0) | {"received_at": place["received_at"]}
            for name, place in zip(places, of_day, strict=True)
        ]
    assert [event["id"] for event in found] != [event["id"] for event in events]
    return found
