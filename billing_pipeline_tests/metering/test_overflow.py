"""More digits than can be stored: an error that names the row, never a number that wrapped around."""

import dataclasses
from collections.abc import Callable
from datetime import date

import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.errors import QuantityOverflowError
from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.rollups import list_unmetered, roll_up, versions_found
from billing_pipeline.metering.validation import validate
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import Meter, RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.settings import PROJECT_ROOT

DAY, NOON = date(2026, 10, 14), "2026-10-14T12:00:00Z"
LARGEST = "9" * 29


def company(
    new_pipeline: Callable[..., Pipeline],
    receive: Callable[..., None],
    records: list[LogRecord],
    books: RuleBooks | None = None,
) -> Pipeline:
    pipeline = new_pipeline(books)
    receive(pipeline, [(NOON, record) for record in records])
    for stage in (separate_registry_changes, validate, identify):
        stage(pipeline.workshop, [DAY])
    return pipeline


def test_a_sum_that_overflows_names_day_version_customer_project_unit_and_event(
    new_pipeline: Callable[..., Pipeline],
    receive: Callable[..., None],
    usage: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
) -> None:
    """Two events near the limit of 29 digits; one alone is metered to the last digit."""
    records = [*registered("acme"), *registered("beta"), usage("small", NOON, customer_id="beta")]
    one = company(new_pipeline, receive, [*records, usage("large", NOON, quantity=LARGEST)])
    assert roll_up(one.workshop, versions_found(one.workshop, [DAY])).partitions[0].rows == 2

    more = [usage("first", NOON, quantity=LARGEST), usage("second", NOON, quantity=f"{LARGEST}.5")]
    two = company(new_pipeline, receive, [*records, *more])
    keys = [PartitionKey(DAY, "2023-11-01")]
    stages: list[Callable[[], object]] = [
        lambda: roll_up(two.workshop, keys),
        lambda: list_unmetered(two.workshop, [DAY]),
    ]
    for stage in stages:
        with pytest.raises(QuantityOverflowError) as caught:
            stage()
        error = caught.value
        assert (error.posting_day, error.rule_version) == (DAY, "2023-11-01")
        assert (error.customer_id, error.project_id, error.unit) == ("acme", "p", "token")
        assert error.event == "app second"
        assert "nothing was written" in str(error)


def test_a_level_too_large_to_be_weighted_by_time_is_named_too(
    new_pipeline: Callable[..., Pipeline],
    receive: Callable[..., None],
    usage: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
) -> None:
    meters = {"held": Meter("held", "token", "time_weighted_sum")}
    books = load_rule_books(PROJECT_ROOT / "data" / "rule_books")
    weighted = RuleBooks(tuple(dataclasses.replace(book, meters=meters) for book in books))
    pipeline = company(
        new_pipeline, receive, [*registered(), usage("huge", NOON, quantity=LARGEST)], weighted
    )
    with pytest.raises(QuantityOverflowError, match="app huge"):
        roll_up(pipeline.workshop, versions_found(pipeline.workshop, [DAY]))
