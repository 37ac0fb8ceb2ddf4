"""The partitions: one daily definition for every daily asset, and day × rule version for the rollups."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import dagster as dg

from billing_pipeline.pipeline import calendar_of, rule_books_in
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.settings import load_settings

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
PARTITION_TAG = "dagster/partition"
CHECK_FIRST_TAG = "billing/first_day"
CHECK_LAST_TAG = "billing/last_day"
DAYS_BEFORE_THE_RULES = 366
DAYS_AT_ONCE = 62
"""Width of one run of a close or a backfill; a longer range is several runs."""


@lru_cache(maxsize=4)
def _days_between(first: str, last: str) -> tuple[str, ...]:
    """Every day from one to another, as partition keys."""
    start, end = date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal()
    return tuple(date.fromordinal(day).isoformat() for day in range(start, end + 1))


def _listed_by_the_calendar(days: dg.DailyPartitionsDefinition) -> dg.DailyPartitionsDefinition:
    """The same definition, which lists its days by counting them.

    Dagster asks for the list with every check that it records, and makes it by a cron iterator: for some years of days
    that took longer than the check. A subclass would not do, for Dagster writes a definition down by its class.
    """
    first = days.start.date().isoformat()

    def partition_keys(
        current_time: datetime | None = None, dynamic_partitions_store: Any = None
    ) -> Sequence[str]:
        with dg.partition_loading_context(current_time, dynamic_partitions_store):
            last = days.get_last_partition_key()
        return [] if last is None else list(_days_between(first, last))

    vars(days)["get_partition_keys"] = partition_keys
    return days


# Dagster wants partitions when the modules load: the one place that reads a file at import.
_books = rule_books_in(load_settings().rule_books_path)
_first_day = min((book.effective_from.date() for book in _books), default=date(2023, 11, 1))


# Usage is received up to a full grace before its day, and history from before the first rule book has receipt days too,
# on which it is rejected.
DAILY = _listed_by_the_calendar(
    dg.DailyPartitionsDefinition(
        (_first_day - timedelta(days=DAYS_BEFORE_THE_RULES)).isoformat(), end_offset=1
    )
)
RULE_VERSIONS = dg.StaticPartitionsDefinition([book.version for book in _books])
DAY_AND_RULE_VERSION = dg.MultiPartitionsDefinition({"posting_day": DAILY, "rule_version": RULE_VERSIONS})


RECEIPT_DAYS_BEFORE = calendar_of(_books).lookback_days()
"""How many receipt days before a posting day can hold usage of it."""


def days_of(keys: Sequence[str]) -> list[date]:
    """The days of daily partition keys."""
    return [date.fromisoformat(key) for key in keys]


def partition_keys_of(keys: Sequence[str]) -> list[PartitionKey]:
    """Our keys for Dagster's day × rule version keys."""
    found = []
    for key in keys:
        day, _, version = str(key).partition("|")
        found.append(PartitionKey(date.fromisoformat(day), version))
    return found


def range_tags(first: PartitionKey, last: PartitionKey) -> dict[str, str]:
    """The tags that make one run of a range of partitions."""
    return {RANGE_START_TAG: str(first), RANGE_END_TAG: str(last)}


def checked_range_tags(first: date, last: date) -> dict[str, str]:
    """The tags that tell a run of checks alone, which has no partitions, which days to look at."""
    return {CHECK_FIRST_TAG: first.isoformat(), CHECK_LAST_TAG: last.isoformat()}


def version_in_tags(tags: Mapping[str, str]) -> str | None:
    """The rule version a run is about; None for all."""
    key = tags.get(RANGE_START_TAG) or tags.get(PARTITION_TAG) or ""
    return key.partition("|")[2] or None


def days_in_tags(tags: Mapping[str, str]) -> list[date]:
    """The days a run is about; empty for a run without partitions."""
    first = tags.get(RANGE_START_TAG) or tags.get(PARTITION_TAG) or tags.get(CHECK_FIRST_TAG)
    last = tags.get(RANGE_END_TAG) or tags.get(CHECK_LAST_TAG) or first
    if first is None or last is None:
        return []
    start, end = (date.fromisoformat(key[:10]) for key in (first, last))
    return [start + timedelta(days=number) for number in range((end - start).days + 1)]
