"""Corrections: what an event counts for changes with a reason, in the open, and nothing that was billed is rewritten.

A void takes it away, an adjustment adds to it, a replacement sets some of its fields. Before the close it counts in the
same day; after it the difference is a line of the next invoice, which may be negative, however often and however
late: whatever was booked in however many invoices adds up to what is right. An event moved to another customer is what
one loses and the other gains. No late window binds a correction, and no closed account. One that cannot be applied is
listed with its outcome, books nothing, and works when it is sent again after its cause is mended. Voided, an event
counts for none; adjusted or replaced, for one again. A maximum, a latest value and a number of distinct values are
found anew among the events as they are now. Who corrected, why, and what the event was and is, stands beside it.
"""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline_tests.scenarios.company import Company, corrected, lines, rule_book, used

FIRST, NEXT, AFTER = "2025-01-02", "2025-02-02", "2025-03-02"
"""Periods that end with the first of a month."""
SEARCH = {"dimensions": {"tool": "web_search"}}
OUTCOMES = "SELECT DISTINCT CAST(receipt_day AS VARCHAR), id, outcome FROM usage_corrections ORDER BY ALL"


@pytest.fixture(scope="module")
def closed(new_company: Callable[[], Company]) -> tuple[Company, str]:
    """The first of February, and what was corrected of it in the same day and after its close; a search costs a cent.

    Also the first invoice of acme, as it was when it was made.
    """
    company = new_company()
    rules = Path(__file__).parents[2] / "data" / "rule_books"
    company.write_rules(**{book.stem: book.read_text("utf-8") for book in rules.glob("*.yaml")})
    company.write_customers(
        *({"id": name, "plan": "standard", "anchor_day": 2} for name in ("acme", "globex", "initech")),
        {"id": "hooli", "plan": "standard", "anchor_day": 2} | {"closed_from": date(2025, 2, 2)},
    )
    first, same_day = "2025-02-01T10:00:00Z", "2025-02-01T20:00:00Z"
    company.receive(
        used("void-before", first, 1000, **SEARCH),
        used("adjusted-before", first, 100, **SEARCH),
        used("replaced-before", first, 100, **SEARCH),
        used("void-after", first, 500, **SEARCH),
        used("adjusted-after", first, 300, **SEARCH),
        used("replaced-after", first, 200, **SEARCH),
        used("hers", first, 50, **SEARCH, customer_id="globex"),
        used("not-hers", first, 400, **SEARCH, customer_id="globex"),
        used("of-a-closed-account", first, 700, **SEARCH, customer_id="hooli"),
        corrected("c-1", "void-before", same_day),
        corrected("c-2", "adjusted-before", same_day, quantity_delta="-40"),
        corrected("c-3", "replaced-before", same_day, replacement={"quantity": "5"}),
        corrected("c-4", "comes-later", same_day, quantity_delta="1"),
        corrected("c-5", "adjusted-after", same_day, quantity_delta="-301"),
    )
    company.billing("queue", "advance", "--to", "2025-02-02T01:00:00Z")
    company.billing("close", "--through", "2025-02-01")
    as_made = company.billing("invoice", "show", "acme", FIRST, "--json")
    third, fourth = "2025-02-03T10:00:00Z", "2025-02-04T10:00:00Z"
    moved = {"customer_id": "newcomer", "project_id": "q"}
    company.receive(
        corrected("c-6", "void-after", third, reason_code="dispute", note="found right"),
        corrected("c-7", "adjusted-after", third, quantity_delta="-100"),
        corrected("c-8", "replaced-after", third, replacement={"quantity": "250"}),
        corrected("c-9", "not-hers", third, replacement={"customer_id": "initech", "project_id": "p"}),
        corrected("c-10", "of-a-closed-account", third),
        corrected("c-11", "c-6", third, corrects={"source": "support", "id": "c-6"}),
        corrected("c-12", "hers", third, replacement=moved),
        used("comes-later", first, 9, **SEARCH, received_at=third),
    )
    company.receive(
        used("welcome", first, 1, **SEARCH, received_at=fourth, customer_id="newcomer", project_id="q"),
        register_on="standard",
    )
    company.receive(
        corrected("c-4", "comes-later", same_day, quantity_delta="1") | {"received_at": fourth},
        corrected("c-12", "hers", third, replacement=moved) | {"received_at": fourth},
    )
    company.make("2025-02-03", "2025-02-04", "2025-02-28", "2025-03-01")
    company.push("2025-02-28", "2025-03-01")
    return company, as_made


def test_before_the_close_a_correction_counts_in_the_same_day(closed: tuple[Company, str]) -> None:
    """Of 1000 nothing, of 100 sixty, and five instead of 100; the events yet to be corrected are 500, 300 and 200."""
    _, as_made = closed
    assert lines(json.loads(as_made), "kind", "quantity", "amount_minor") == [
        ("usage", str(60 + 5 + 500 + 300 + 200), 10_65)
    ]


def test_after_the_close_it_is_an_adjustment_on_the_next_invoice(closed: tuple[Company, str]) -> None:
    """A void of 500, 100 less, 50 more, and a late event of 9 that is corrected to 10: 540 searches less.

    The invoice that was made stays as it is, to the byte.
    """
    company, as_made = closed
    assert company.billing("invoice", "show", "acme", FIRST, "--json") == as_made
    assert lines(
        company.invoice("acme", NEXT),
        "kind",
        "usage_period",
        "quantity",
        "booked_before_minor",
        "amount_minor",
    ) == [("adjustment", FIRST, str(1065 - 540), 10_65, -5_40)]


def test_moved_to_another_customer_one_loses_what_the_other_gains(closed: tuple[Company, str]) -> None:
    """400 searches of globex were initech's, 50 the newcomer's, who was registered only after them."""
    company, _ = closed
    assert company.invoice("globex", FIRST)["total_minor"] == 4_50
    assert company.invoice("globex", NEXT)["total_minor"] == -4_50
    assert lines(company.invoice("initech", NEXT), "kind", "usage_period", "amount_minor") == [
        ("adjustment", FIRST, 4_00)
    ]
    moved = company.sql(
        "SELECT sign, customer_id, project_id, CAST(quantity AS INTEGER) FROM usage_corrections "
        "WHERE outcome = 'applied' AND id IN ('c-9', 'c-12') ORDER BY id DESC, sign"
    )
    assert moved == [
        (-1, "globex", "p", 400),
        (1, "initech", "p", 400),
        (-1, "globex", "p", 50),
        (1, "newcomer", "q", 50),
    ]


def test_a_closed_account_is_corrected_like_any_other(closed: tuple[Company, str]) -> None:
    company, _ = closed
    assert company.invoice("hooli", FIRST)["total_minor"] == 7_00
    assert company.invoice("hooli", NEXT)["total_minor"] == -7_00


def test_a_refused_correction_is_listed_and_works_when_it_is_sent_again(closed: tuple[Company, str]) -> None:
    """As it is, once what it corrects has come, or whom it names is registered."""
    company, _ = closed
    wanted = "('c-4', 'c-5', 'c-11', 'c-12')"
    assert [row for row in company.sql(OUTCOMES) if f"'{row[1]}'" in wanted] == [
        ("2025-02-01", "c-4", "original_not_found"),
        ("2025-02-01", "c-5", "effective_negative"),
        ("2025-02-03", "c-11", "not_correctable"),
        ("2025-02-03", "c-12", "unknown_customer"),
        ("2025-02-04", "c-12", "applied"),
        ("2025-02-04", "c-4", "applied"),
    ]
    assert company.sql("SELECT count(*) FROM duplicate_usage_events") == [(0,)]


def test_what_was_corrected_and_why_stands_beside_it(closed: tuple[Company, str]) -> None:
    company, _ = closed
    query = (
        "SELECT sign, source, corrects_id, CAST(quantity AS INTEGER), reason_code, note, "
        "CAST(usage_day AS VARCHAR), CAST(posting_day AS VARCHAR) FROM usage_corrections WHERE id = 'c-6' ORDER BY sign"
    )
    rest = ("dispute", "found right", "2025-02-01", "2025-02-03")
    assert company.sql(query) == [
        (-1, "support", "void-after", 500, *rest),
        (1, "support", "void-after", 0, *rest),
    ]


def test_stripe_holds_what_the_invoices_say_also_where_it_is_less_than_nothing(
    closed: tuple[Company, str], stripe_invoices: Callable[[Path], list[dict[str, Any]]]
) -> None:
    company, _ = closed
    totals = [(each["customer_id"], each["total"]) for each in stripe_invoices(company.home)]
    assert sorted(totals) == sorted(
        [
            *(("acme", 10_65), ("acme", -5_40), ("globex", 4_50), ("globex", -4_50)),
            *(("hooli", 7_00), ("hooli", -7_00), ("initech", 4_00), ("newcomer", 51)),
        ]
    )


@pytest.fixture(scope="module")
def telescoped(new_company: Callable[[], Company]) -> Company:
    """Ten calls at 50.4 cents, any more at half of it; one event, corrected in three of the next four periods."""
    company = new_company()
    price = "{model: graduated, tiers: [{up_to: 10, unit_price: 0.504}, {unit_price: 0.252}]}"
    company.write_rules(only=rule_book(price=price))
    company.write_customers({"id": "acme", "plan": "basic"})
    company.receive(
        used("e", "2025-01-15T10:00:00Z", 21),
        used("other", "2025-01-15T10:00:00Z", "0.5"),
        corrected("less", "e", "2025-02-10T10:00:00Z", quantity_delta="-17"),
        corrected("as-before", "e", "2025-03-10T10:00:00Z", replacement={"quantity": "11"}),
        corrected("gone", "e", "2025-05-10T10:00:00Z"),
    )
    days = ("01-15", "01-31", "02-10", "02-28", "03-10", "03-31", "04-30", "05-10", "05-31")
    company.make(*(f"2025-{day}" for day in days))
    return company


def test_many_corrections_over_many_invoices_add_up_to_what_is_right(telescoped: Company) -> None:
    """21.5, 4.5, 11.5 and 0.5 calls are 793.8, 226.8, 541.8 and 25.2 cents; the last two after the late window."""
    booked = {
        period: lines(
            telescoped.invoice("acme", period), "usage_period", "booked_before_minor", "amount_minor"
        )
        for period in ("2025-01", "2025-02", "2025-03", "2025-05")
    }
    january = "2025-01-01"
    assert booked == {
        "2025-01": [(january, 0, 794)],
        "2025-02": [(january, 794, 227 - 794)],
        "2025-03": [(january, 227, 542 - 227)],
        "2025-05": [(january, 542, 25 - 542)],
    }
    assert "there is no invoice" in telescoped.refused("invoice", "show", "acme", "2025-04")


WHOLE_DAY_RULES = """
version: only
effective_from: 2025-01-01T00:00:00Z
units: [seat]
meters:
  peak: {unit: seat, aggregation: max}
  level: {unit: seat, aggregation: latest}
  teams: {unit: seat, aggregation: unique_count, distinct: dimensions.team}
  reports: {unit: seat, aggregation: count}
plans:
  basic:
    currency: usd
    charges:
      - {name: peak, meter: peak, price: {model: per_unit, unit_price: 1.00}}
      - {name: level, meter: level, price: {model: per_unit, unit_price: 1.00}}
      - {name: teams, meter: teams, price: {model: per_unit, unit_price: 1.00}}
      - {name: reports, meter: reports, price: {model: per_unit, unit_price: 1.00}}
"""


@pytest.fixture(scope="module")
def seats(new_company: Callable[[], Company]) -> Company:
    """Seats of three teams on the first of February; the largest report and the last one are corrected afterwards."""
    company = new_company()
    company.write_rules(only=WHOLE_DAY_RULES)
    company.write_customers({"id": "acme", "plan": "basic", "anchor_day": 2})
    company.receive(
        used("a", "2025-02-01T08:00:00Z", 5, unit="seat", dimensions={"team": "red"}),
        used("b", "2025-02-01T09:00:00Z", 8, unit="seat", dimensions={"team": "blue"}),
        used("c", "2025-02-01T10:00:00Z", 3, unit="seat", dimensions={"team": "red"}),
        corrected("b-void", "b", "2025-02-03T10:00:00Z"),
        corrected("c-more", "c", "2025-02-03T10:00:00Z", quantity_delta="1"),
        corrected("b-back", "b", "2025-03-03T10:00:00Z", replacement={"quantity": "6"}),
        corrected("c-green", "c", "2025-03-03T10:00:00Z", replacement={"dimensions": {"team": "green"}}),
    )
    company.make("2025-02-01", "2025-02-03", "2025-03-01", "2025-03-03", "2025-04-01")
    return company


def test_what_is_not_additive_is_found_anew_among_the_events_as_they_are(seats: Company) -> None:
    """Peak 8, then 5, then 6; level 3, then 4 for good; red and blue, red alone, then all three; reports 3, 2, 3."""
    booked = [
        {
            charge: cents // 100
            for charge, cents in lines(seats.invoice("acme", period), "charge", "amount_minor")
        }
        for period in (FIRST, NEXT, AFTER)
    ]
    assert booked == [
        {"peak": 8, "level": 3, "teams": 2, "reports": 3},
        {"peak": 5 - 8, "level": 4 - 3, "teams": 1 - 2, "reports": 2 - 3},
        {"peak": 6 - 5, "teams": 3 - 1, "reports": 3 - 2},
    ]
