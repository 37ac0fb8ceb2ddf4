"""Usage of one month that arrives in the next: an adjustment there, and not a byte changed here."""

import json
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

Run = Callable[..., str]
Event = tuple[str, str, str, int]
"""Id, occurred_at, received_at, calls."""

ON_TIME: list[Event] = [
    ("e-1", "2025-01-31T08:00:00Z", "2025-01-31T08:00:01Z", 700),
    ("e-2", "2025-01-31T09:00:00Z", "2025-01-31T09:00:01Z", 155),
]
LATE: list[Event] = [("e-3", "2025-01-31T10:00:00Z", "2025-02-01T02:00:00Z", 400)]
FEBRUARY: list[Event] = [("e-4", "2025-02-01T03:00:00Z", "2025-02-01T03:00:01Z", 1)]
IMPORT = ("import", "--format", "ndjson", "--received-at", "received_at", "--register", "--plan", "growth")
# The plan's first tiers of tool calls, in force in January and February 2025.
FIRST_TIER, FIRST_PRICE, SECOND_PRICE = 1000, Decimal("0.01"), Decimal("0.007")


def test_usage_that_arrives_after_its_month_is_an_adjustment_of_the_next_invoice(
    home: Path,
    tmp_path: Path,
    billing: Run,
    refused: Run,
    hashes: Callable[..., dict[str, str]],
    stripe_invoices: Callable[[Path], list[dict[str, Any]]],
) -> None:
    """January's invoice stays; February's books what January would have cost more, at January's tiers."""
    billing(home, *IMPORT, written(tmp_path / "january.ndjson", ON_TIME))
    billing(home, "queue", "advance", "--to", "2025-02-01T01:00:00Z")
    billing(home, "close", "--through", "2025-01-31")
    january, january_hashes = billing(home, "invoice", "show", "acme", "2025-01", "--json"), hashes(home)
    january_in_stripe = stripe_invoices(home)

    late = written(tmp_path / "february.ndjson", [*LATE, *FEBRUARY])
    assert "1 events would be late" in refused(home, *IMPORT, late)
    billing(home, *IMPORT, "--allow-late", late)
    billing(home, "queue", "advance", "--to", "2025-03-01T01:00:00Z")
    billing(home, "close", "--through", "2025-02-28")

    assert billing(home, "invoice", "show", "acme", "2025-01", "--json") == january
    assert january_hashes.items() <= hashes(home).items()
    assert [each for each in stripe_invoices(home) if each in january_in_stripe] == january_in_stripe

    february = json.loads(billing(home, "invoice", "show", "acme", "2025-02", "--json"))
    adjustments = [line for line in february["lines"] if line["kind"] == "adjustment"]
    own = [line for line in february["lines"] if line["kind"] != "adjustment"]
    assert [line["usage_period"] for line in adjustments] == ["2025-01-01"]
    assert adjustments[0]["booked_before_minor"] == cents(855) == json.loads(january)["total_minor"]
    assert adjustments[0]["amount_minor"] == cents(1255) - cents(855)
    assert sum(line["amount_minor"] for line in own) == cents(1)
    assert {each["total"] for each in stripe_invoices(home)} == {cents(855), february["total_minor"]}
    assert "adjustment for 2025-01" in billing(home, "invoice", "show", "acme", "2025-02")


def test_both_invoices_add_up_to_what_it_had_been_on_time(home: Path, tmp_path: Path, billing: Run) -> None:
    """The same usage, all of it in time: January costs what the two invoices' parts of January add up to."""
    in_time = [(name, at, at, calls) for name, at, _, calls in [*ON_TIME, *LATE]]
    billing(home, *IMPORT, written(tmp_path / "january.ndjson", in_time))
    billing(home, "queue", "advance", "--to", "2025-02-01T01:00:00Z")
    billing(home, "close", "--through", "2025-01-31")
    january = json.loads(billing(home, "invoice", "show", "acme", "2025-01", "--json"))
    assert january["total_minor"] == cents(1255)
    assert [line["kind"] for line in january["lines"]] == ["usage"]


def cents(calls: int) -> int:
    """What so many calls cost under the plan, independently of the rating."""
    first = min(calls, FIRST_TIER) * FIRST_PRICE
    dollars = first + max(calls - FIRST_TIER, 0) * SECOND_PRICE
    return int((dollars * 100).quantize(Decimal(1), ROUND_HALF_UP))


def written(path: Path, events: Sequence[Event]) -> Path:
    """The events as NDJSON; they say when they were received."""
    lines = [
        {
            "type": "usage",
            "schema_version": 2,
            "source": "app",
            "id": name,
            "customer_id": "acme",
            "project_id": "p",
            "occurred_at": occurred_at,
            "received_at": received_at,
            "unit": "call",
            "quantity": calls,
            "dimensions": {"tool": "web_search"},
            "correlation_id": name,
        }
        for name, occurred_at, received_at, calls in events
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path
