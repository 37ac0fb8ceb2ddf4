"""One agent session, several payers: the event says the shares, each payer's part is billed to it.

The parts add up to the whole: the quantity is split by largest remainder at its own scale, ties in the listed order.
The event itself is split too, so that a meter that counts events counts it once in all. A correction splits anew by
the same shares; one that names a customer ends the split. A payer who is unknown refuses the whole event.
"""

from collections.abc import Callable

import pytest

from billing_pipeline_tests.scenarios.company import Company, corrected, lines, used

RULES = """
version: only
effective_from: 2025-01-01T00:00:00Z
units: [step]
meters:
  steps: {unit: step, aggregation: sum}
  events: {unit: step, aggregation: count}
plans:
  basic:
    currency: usd
    charges:
      - {name: steps, meter: steps, price: {model: per_unit, unit_price: 1.00}}
      - {name: events, meter: events, price: {model: per_unit, unit_price: 100.00}}
"""
PAYERS = ("acme", "globex", "initech")
PERIODS = ("2025-01-02", "2025-02-02", "2025-03-02")
THIRDS = ("0.333333333333333333", "0.333333333333333333", "0.333333333333333334")


def shared(*payers: str) -> list[dict[str, str]]:
    return [
        {"customer_id": payer, "project_id": "p", "share": share}
        for payer, share in zip(payers, THIRDS, strict=True)
    ]


@pytest.fixture(scope="module")
def company(new_company: Callable[[], Company]) -> Company:
    """A session of two events on the first of February, corrected in February and in March; a period ends with each."""
    company = new_company()
    company.write_rules(only=RULES)
    company.write_customers(*({"id": payer, "plan": "basic", "anchor_day": 2} for payer in PAYERS))
    first = "2025-02-01T10:00:00Z"
    session = {"unit": "step", "session_id": "run-1", "allocations": shared(*PAYERS)}
    stranger = {**session, "allocations": shared("acme", "globex", "stranger")}
    company.receive(
        used("plan", first, 100, **session),
        used("search", first, "0.1", **session, parent_id="plan"),
        used("answer", first, 100, **stranger),
        corrected("one-more", "plan", "2025-02-03T10:00:00Z", quantity_delta="1"),
        corrected("void", "search", "2025-02-03T10:00:00Z"),
        corrected(
            "all-hers",
            "plan",
            "2025-03-03T10:00:00Z",
            replacement={"customer_id": "globex", "project_id": "p"},
        ),
    )
    company.make("2025-02-01", "2025-02-03", "2025-03-01", "2025-03-03", "2025-04-01")
    return company


def billed(company: Company, period: str) -> dict[str, dict[str, int]]:
    """Cents by charge of each payer's invoice."""
    return {payer: dict(lines(company.invoice(payer, period), "charge", "amount_minor")) for payer in PAYERS}


def test_each_payer_is_billed_its_part_and_the_parts_add_up(company: Company) -> None:
    """100 steps are 33, 33 and 34 for the largest share; a tenth of a step is nobody's half: the largest gets it."""
    found = billed(company, PERIODS[0])
    assert {payer: each["steps"] for payer, each in found.items()} == {
        "acme": 33_00,
        "globex": 33_00,
        "initech": 34_10,
    }
    assert sum(each["steps"] for each in found.values()) == 100_10
    assert {payer: each["events"] for payer, each in found.items()} == {
        "acme": 66_67,
        "globex": 66_67,
        "initech": 66_67,
    }


def test_a_correction_splits_anew_by_the_same_shares(company: Company) -> None:
    """101 steps leave two over: one for the largest share, one for the first listed. A void event counts for none."""
    found = billed(company, PERIODS[1])
    assert {payer: each.get("steps", 0) for payer, each in found.items()} == {
        "acme": 1_00,
        "globex": 0,
        "initech": -10,
    }
    assert {payer: each["events"] for payer, each in found.items()} == dict.fromkeys(PAYERS, -33_34)


def test_moving_it_to_one_customer_ends_the_split(company: Company) -> None:
    """What two of them lose the third gains, to the cent."""
    found = billed(company, PERIODS[2])
    assert {payer: each["steps"] for payer, each in found.items()} == {
        "acme": -34_00,
        "globex": 101_00 - 33_00,
        "initech": -34_00,
    }
    assert {payer: each["events"] for payer, each in found.items()} == {
        "acme": -33_33,
        "globex": 66_67,
        "initech": -33_33,
    }


def test_an_unknown_payer_refuses_the_whole_event_and_is_named(company: Company) -> None:
    assert company.sql("SELECT reason_code, field, value FROM rejected_usage_events") == [
        ("unknown_customer", "allocations[2].customer_id", "stranger")
    ]


def test_each_part_keeps_the_session_that_caused_it(company: Company) -> None:
    """A row for each payer, all of one session, their shares of the event adding up to one."""
    query = (
        "SELECT id, count(*), min(session_id), CAST(sum(event_share) AS VARCHAR), CAST(sum(quantity) AS VARCHAR) "
        "FROM unique_usage_events GROUP BY id ORDER BY id"
    )
    assert company.sql(query) == [
        ("plan", 3, "run-1", "1.000000000", "100.000000000"),
        ("search", 3, "run-1", "1.000000000", "0.100000000"),
    ]
