"""What is counted, and how: every aggregation on one invoice, exact, by the dimensions and the filter of its meter.

A billable event that no meter takes is listed and holds back its customer's invoice, nobody else's; a correction that
says what it was lets the next one answer for it. What is not billable is counted nowhere. A price that changes within
a period does not begin the tiers anew. An event has the rules in force when it occurred, so what is priced in a period
is all that was used in it.
"""

from collections.abc import Callable

import pytest

from billing_pipeline_tests.scenarios.company import Company, Event, corrected, lines, rule_book, used

RULES = """
version: only
effective_from: 2025-01-01T00:00:00Z
units: [gb, token]
meters:
  moved: {unit: gb, aggregation: sum, group_by: [region]}
  moved_in_europe: {unit: gb, aggregation: sum, filter: {region: [eu, uk]}}
  reports: {unit: gb, aggregation: count}
  peak: {unit: gb, aggregation: max}
  level: {unit: gb, aggregation: latest}
  users: {unit: gb, aggregation: unique_count, distinct: user_id}
  held: {unit: gb, aggregation: time_weighted_sum}
  outputs: {unit: token, aggregation: sum, filter: {token_class: [output]}}
plans:
  basic:
    currency: usd
    charges:
      - {name: moved, meter: moved, price: {model: per_unit, unit_price: 0.01}}
      - {name: europe, meter: moved_in_europe, price: {model: per_unit, unit_price: 0.01}}
      - {name: reports, meter: reports, price: {model: per_unit, unit_price: 0.01}}
      - {name: peak, meter: peak, price: {model: per_unit, unit_price: 0.01}}
      - {name: level, meter: level, price: {model: per_unit, unit_price: 0.01}}
      - {name: users, meter: users, price: {model: per_unit, unit_price: 0.01}}
      - {name: held, meter: held, price: {model: per_unit, unit_price: 0.01, per: 1000}}
      - {name: outputs, meter: outputs, price: {model: per_unit, unit_price: 0.01}}
"""


@pytest.fixture(scope="module")
def company(new_company: Callable[[], Company]) -> Company:
    """Four levels of storage on a day, of two users in three regions; a cent a unit, or a thousand of `held`."""
    company = new_company()
    company.write_rules(only=RULES)
    company.write_customers(*({"id": name, "plan": "basic", "anchor_day": 2} for name in ("acme", "globex")))

    def gb(hour: int, quantity: str, region: str, user_id: str | None) -> Event:
        dimensions = {"region": region}
        at = f"2025-02-01T{hour:02}:00:00Z"
        return used(f"at-{hour}", at, quantity, unit="gb", dimensions=dimensions, user_id=user_id)

    token = {"unit": "token", "customer_id": "globex"}
    evening = "2025-02-01T22:30:00Z"
    company.receive(
        gb(6, "10.000000001", "eu", "ann"),
        gb(9, "70", "us", "ann"),
        gb(18, "20", "uk", "bob"),
        gb(22, "30", "eu", None),
        used("ours", evening, 1000, **token, billable=False, reason_code="test"),
        used("output", evening, 5, **token, dimensions={"token_class": "output"}),
        used("mislabelled", evening, 7, **token, dimensions={"token_class": "outputs"}),
        corrected(
            "its-label",
            "mislabelled",
            "2025-02-03T10:00:00Z",
            replacement={"dimensions": {"token_class": "output"}},
        ),
    )
    company.make("2025-02-01", "2025-02-03", "2025-03-01")
    return company


def test_every_aggregation_is_billed_by_its_own_meter(company: Company) -> None:
    """Sums by region, and of two regions; 4 reports; the highest, the last; 2 users; the level by how long it held."""
    billed = [
        (charge, *dimensions.values(), quantity)
        for charge, dimensions, quantity in lines(
            company.invoice("acme", "2025-01-02"), "charge", "dimensions", "quantity"
        )
    ]
    held = (
        10 * 3 + 70 * 9 + 20 * 4 + 30 * 2
    ) * 3600  # gigabyte-seconds, but for 10^-9 gigabytes of three hours
    assert sorted(billed) == [
        ("europe", "60.000000001"),
        ("held", f"{held}.0000108"),
        ("level", "30"),
        ("moved", "eu", "40.000000001"),
        ("moved", "uk", "20"),
        ("moved", "us", "70"),
        ("peak", "70"),
        ("reports", "4"),
        ("users", "2"),
    ]
    total = 60 + held // 1000 + 30 + 40 + 20 + 70 + 70 + 4 + 2
    assert company.invoice("acme", "2025-01-02")["total_minor"] == total


def test_usage_that_no_meter_takes_holds_back_its_customers_invoice_until_it_is_corrected(
    company: Company,
) -> None:
    """7 tokens of a class that is none; relabelled, the next invoice has them, and the 5 that waited with them."""
    message = company.refused("invoice", "show", "globex", "2025-01-02")
    assert (
        '7.000000000 token of project p on 2025-02-01 {"token_class":"outputs"} is taken by no meter'
        in message
    )
    query = "SELECT CAST(posting_day AS VARCHAR), CAST(quantity AS INTEGER) FROM unmetered_usage ORDER BY 1"
    assert company.sql(query) == [("2025-02-01", 7), ("2025-02-03", -7)]
    assert lines(
        company.invoice("globex", "2025-02-02"), "charge", "usage_period", "quantity", "amount_minor"
    ) == [("outputs", "2025-01-02", "12", 12)]


def test_a_price_that_changes_within_a_period_does_not_begin_the_tiers_anew(
    new_company: Callable[[], Company],
) -> None:
    """Eight calls in the morning, eight in the afternoon: of those two are still in the first ten.

    Late usage of the morning moves the afternoon's on: ten of the morning, and then all eight beyond them.
    """
    company = new_company()
    tiers = "{{model: graduated, tiers: [{{up_to: 10, unit_price: {}}}, {{unit_price: {}}}]}}".format
    company.write_rules(
        morning=rule_book("morning", price=tiers("1.00", "0.10")),
        afternoon=rule_book("afternoon", "2025-02-01T12:00:00Z", price=tiers("2.00", "0.20")),
    )
    company.write_customers({"id": "acme", "plan": "basic", "anchor_day": 2})
    company.receive(
        used("morning", "2025-02-01T09:00:00Z", 8),
        used("afternoon", "2025-02-01T15:00:00Z", 8),
        used("late", "2025-02-01T10:00:00Z", 2, received_at="2025-02-02T10:00:00Z"),
    )
    company.make("2025-02-01", "2025-02-02", "2025-03-01")

    def amounts(period: str) -> dict[str, int]:
        return dict(lines(company.invoice("acme", period), "rule_version", "amount_minor"))

    afternoon = 2 * 2_00 + 6 * 20
    assert amounts("2025-01-02") == {"morning": 8_00, "afternoon": afternoon}
    assert amounts("2025-02-02") == {"morning": 10_00 - 8_00, "afternoon": 8 * 20 - afternoon}
