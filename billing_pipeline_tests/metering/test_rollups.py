"""Rollups: every meter's quantity by posting day, usage day, rule version and the dimensions it keeps apart."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.metering.meters import taken_by
from billing_pipeline.metering.rollups import roll_up, versions_found
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import Meter, RuleBook, RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.settings import PROJECT_ROOT

OLD, NEW = "2023-11-01", "2026-10-16"
DAYS = [date(2026, 10, day) for day in (14, 15, 16, 17)]
METERS = {
    "tokens": Meter("tokens", "token", "sum", ("model", "token_class")),
    "outputs": Meter(
        "outputs", "token", "count", ("model",), {"token_class": frozenset({"output", "summary"})}
    ),
    "searches": Meter("searches", "call", "sum", (), {"tool": frozenset({"web_search"})}),
}


class Metered(NamedTuple):
    pipeline: Pipeline
    result: StageResult
    rows: Callable[..., list[tuple[Any, ...]]]

    def of(self, meter: str) -> list[tuple[Any, ...]]:
        return self.rows(
            self.pipeline,
            "SELECT posting_day, usage_day, kind, rule_version, dimensions, quantity, event_count "
            f"FROM usage_rollups WHERE meter = '{meter}' ORDER BY ALL",
        )


@pytest.fixture(scope="module")
def books() -> RuleBooks:
    """The project's two versions, each with a sum, a filtered count and a filtered sum without groups."""
    found = load_rule_books(PROJECT_ROOT / "data" / "rule_books")
    return RuleBooks(tuple(dataclasses.replace(book, meters=METERS) for book in found))


@pytest.fixture(scope="module")
def metered(
    *,
    new_pipeline: Callable[[RuleBooks], Pipeline],
    books: RuleBooks,
    usage: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    meter: Callable[[Pipeline, Sequence[date]], StageResult],
    rows: Callable[..., list[tuple[Any, ...]]],
) -> Metered:
    def tokens(event_id: str, occurred_at: str, quantity: str, **dimensions: str) -> LogRecord:
        return usage(event_id, occurred_at, quantity=quantity, dimensions=dimensions or None)

    def calls(event_id: str, tool: str) -> LogRecord:
        dimensions = {"tool": tool}
        return usage(event_id, "2026-10-14T12:00:00Z", unit="call", quantity="2", dimensions=dimensions)

    noon = "2026-10-14T12:00:00Z"
    log = [
        *((noon, record) for record in registered()),
        (noon, tokens("t1", noon, "0.000000001", model="a", token_class="output", region="eu")),  # noqa: S106 - a class of tokens, no secret
        (noon, tokens("t2", noon, "99999999999999999999", model="a", token_class="output", region="us")),  # noqa: S106 - as above
        (noon, tokens("t3", noon, "5", model="a", token_class="input")),  # noqa: S106 - as above
        (noon, tokens("t4", noon, "5", model="b")),
        (noon, tokens("t5", noon, "5")),
        (noon, usage("free", noon, billable=False, reason_code="trial")),
        (noon, usage("zero", noon, quantity="0", dimensions={"model": "z"})),
        (noon, calls("c1", "web_search")),
        (noon, calls("c2", "web_search")),
        (noon, calls("c3", "other")),
        ("2026-10-16T00:30:00Z", tokens("x1", "2026-10-15T23:59:59.999999Z", "1", model="n")),
        ("2026-10-16T00:30:00Z", tokens("x2", "2026-10-16T00:00:00Z", "2", model="n")),
        ("2026-10-16T01:00:00Z", tokens("x3", "2026-10-15T12:00:00Z", "4", model="n")),
        ("2026-10-16T23:58:00Z", tokens("x4", "2026-10-17T00:02:00Z", "8", model="n")),
    ]
    pipeline = new_pipeline(books)
    receive(pipeline, log)
    return Metered(pipeline, meter(pipeline, DAYS), rows)


def test_a_sum_meter_adds_exactly_and_keeps_only_its_own_dimensions_apart(metered: Metered) -> None:
    """A dimension that it does not group by is summed over; one that an event does not have is left out."""
    day = date(2026, 10, 14)
    assert [row for row in metered.of("tokens") if row[0] == day] == [
        (day, day, "on_time", OLD, '{"model":"a","token_class":"input"}', Decimal(5), 1),
        (
            day,
            day,
            "on_time",
            OLD,
            '{"model":"a","token_class":"output"}',
            Decimal("99999999999999999999.000000001"),
            2,
        ),
        (day, day, "on_time", OLD, '{"model":"b"}', Decimal(5), 1),
        (day, day, "on_time", OLD, '{"model":"z"}', Decimal(0), 1),
        (day, day, "on_time", OLD, "{}", Decimal(5), 1),
    ]


def test_a_count_meter_counts_the_events_that_its_filter_takes(metered: Metered) -> None:
    """An event without the filtered dimension is not taken."""
    day = date(2026, 10, 14)
    assert metered.of("outputs") == [(day, day, "on_time", OLD, '{"model":"a"}', Decimal(2), 2)]


def test_a_filtered_sum_takes_the_listed_values_only(metered: Metered) -> None:
    day = date(2026, 10, 14)
    assert metered.of("searches") == [(day, day, "on_time", OLD, "{}", Decimal(4), 2)]


def test_late_usage_is_posted_on_its_receipt_day_under_its_own_rules(metered: Metered) -> None:
    """And usage of the new day that came before the old one had closed is on time in its own day."""
    eve, day, after = DAYS[1:]
    assert [row for row in metered.of("tokens") if row[0] > DAYS[0]] == [
        (eve, eve, "on_time", OLD, '{"model":"n"}', Decimal(1), 1),
        (day, eve, "late", OLD, '{"model":"n"}', Decimal(4), 1),
        (day, day, "on_time", NEW, '{"model":"n"}', Decimal(2), 1),
        (after, after, "on_time", NEW, '{"model":"n"}', Decimal(8), 1),
    ]


def test_usage_that_no_meter_takes_is_listed_and_nothing_else_is(metered: Metered) -> None:
    query = "SELECT posting_day, unit, dimensions, quantity, event_count, customer_id FROM unmetered_usage"
    assert metered.rows(metered.pipeline, query) == [
        (date(2026, 10, 14), "call", '{"tool":"other"}', Decimal(2), 1, "acme")
    ]


def test_usage_that_is_not_billable_is_metered_nowhere(metered: Metered) -> None:
    query = "SELECT CAST(sum(event_count) AS BIGINT) FROM usage_rollups WHERE dimensions LIKE '%atlas%'"
    assert metered.rows(metered.pipeline, query) == [(None,)]


def test_the_versions_of_a_day_are_those_found_in_its_events(metered: Metered) -> None:
    workshop = metered.pipeline.workshop
    assert versions_found(workshop, DAYS) == [
        PartitionKey(DAYS[0], OLD),
        PartitionKey(DAYS[1], OLD),
        PartitionKey(DAYS[2], OLD),
        PartitionKey(DAYS[2], NEW),
        PartitionKey(DAYS[3], NEW),
    ]
    assert versions_found(workshop, [DAYS[3]]) == [PartitionKey(DAYS[3], NEW)]
    assert versions_found(workshop, [date(2026, 10, 20)]) == []


def test_one_partition_at_a_time_gives_the_bytes_of_one_pass_over_all(metered: Metered) -> None:
    workshop = metered.pipeline.workshop
    expected = {
        str(each.key): each.content_hash
        for each in metered.result.partitions
        if each.table == "usage_rollups"
    }
    alone = {
        str(each.key): each.content_hash
        for key in reversed(versions_found(workshop, DAYS))
        for each in roll_up(workshop, [key]).partitions
    }
    assert alone == expected


def test_a_version_that_a_day_does_not_have_gives_an_empty_partition(metered: Metered) -> None:
    (partition,) = roll_up(metered.pipeline.workshop, [PartitionKey(DAYS[0], NEW)]).partitions
    assert partition.rows == 0
    assert roll_up(metered.pipeline.workshop, []).partitions == ()


def meters_taking(book: RuleBook, unit: str, dimensions: str) -> dict[str, str]:
    return {taken.meter.name: taken.grouped_dimensions for taken in taken_by(book, unit, dimensions)}


def test_a_usage_is_taken_by_every_meter_of_its_unit_whose_filter_it_passes(books: RuleBooks) -> None:
    book = next(iter(books))
    output = '{"model":"ä","region":"eu","token_class":"output"}'
    assert meters_taking(book, "token", output) == {
        "tokens": '{"model":"ä","token_class":"output"}',
        "outputs": '{"model":"ä"}',
    }
    assert meters_taking(book, "token", "{}") == {"tokens": "{}"}
    assert meters_taking(book, "call", '{"tool":"web_search"}') == {"searches": "{}"}
    assert meters_taking(book, "second", "{}") == {}
