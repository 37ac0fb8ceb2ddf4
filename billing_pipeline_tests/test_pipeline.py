"""The composition root: which rule books count as used, and which may still be added."""

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from billing_pipeline.control.partition_records import PartitionRecord, record
from billing_pipeline.errors import RuleBookChangedError, RuleBookTooLateError
from billing_pipeline.metering.calendar import start_of
from billing_pipeline.pipeline import Pipeline, rule_books_in
from billing_pipeline.settings import Settings

BOOKS = Path(__file__).parent.parent / "data" / "rule_books"
BEFORE_THE_SECOND = start_of(date(2026, 10, 10))
AFTER_THE_SECOND = start_of(date(2026, 10, 20))


@pytest.fixture
def own_books(settings: Settings, tmp_path: Path) -> Settings:
    data = tmp_path / "own-data"
    shutil.copytree(BOOKS, data / "rule_books")
    return replace(settings, data=data)


def change(settings: Settings, version: str) -> None:
    path = settings.rule_books_path / f"{version}.yaml"
    path.write_text(path.read_text("utf-8").replace("grace_minutes: 60", "grace_minutes: 61"), "utf-8")


def pass_close_of(pipeline: Pipeline, day: date) -> None:
    """The watermark passes the close of a day; all that was made meanwhile is a landing, no day has been closed."""
    made = PartitionRecord(
        table_name="raw_usage_events",
        partition_key=day.isoformat(),
        content_hash="0" * 64,
        row_count=0,
        snapshot_id="1",
        watermark=pipeline.calendar.close(day),
        closed=False,
        rule_books={},
        recorded_at=0,
        run_id="run",
    )
    record(pipeline.control, [made])


def test_a_rule_book_that_is_not_in_force_yet_may_still_change(own_books: Settings) -> None:
    assert set(Pipeline(own_books).use_rules(BEFORE_THE_SECOND)) == {"2023-11-01"}
    change(own_books, "2026-10-16")
    assert set(Pipeline(own_books).use_rules(AFTER_THE_SECOND)) == {"2023-11-01", "2026-10-16"}


def test_a_used_rule_book_may_not_change_and_both_hashes_are_named(own_books: Settings) -> None:
    used = Pipeline(own_books).use_rules(BEFORE_THE_SECOND)
    change(own_books, "2023-11-01")
    changed = {book.version: book.content_hash for book in rule_books_in(own_books.rule_books_path)}
    with pytest.raises(RuleBookChangedError) as caught:
        Pipeline(own_books).check_rules()
    assert used["2023-11-01"] in str(caught.value)
    assert changed["2023-11-01"] in str(caught.value)


def test_checking_rule_books_uses_none_of_them(own_books: Settings) -> None:
    assert Pipeline(own_books).check_rules() == {}
    change(own_books, "2023-11-01")
    assert Pipeline(own_books).check_rules() == {}


def test_a_new_rule_book_may_not_start_within_a_day_that_the_watermark_has_closed_run_or_not(
    own_books: Settings,
) -> None:
    later = own_books.rule_books_path / "2026-10-16.yaml"
    held_back = later.read_text("utf-8")
    later.unlink()
    pipeline = Pipeline(own_books)
    pipeline.use_rules(AFTER_THE_SECOND)
    pass_close_of(pipeline, date(2026, 10, 16))
    later.write_text(held_back, "utf-8")
    with pytest.raises(RuleBookTooLateError, match="all days through 2026-10-16 are closed"):
        Pipeline(own_books).use_rules(AFTER_THE_SECOND)


def test_a_new_rule_book_may_start_right_after_the_last_closed_day(own_books: Settings) -> None:
    later = own_books.rule_books_path / "2026-10-16.yaml"
    held_back = later.read_text("utf-8")
    later.unlink()
    pipeline = Pipeline(own_books)
    pipeline.use_rules(AFTER_THE_SECOND)
    pass_close_of(pipeline, date(2026, 10, 15))
    later.write_text(held_back, "utf-8")
    assert "2026-10-16" in Pipeline(own_books).use_rules(AFTER_THE_SECOND)


def test_a_changed_file_is_parsed_anew(own_books: Settings) -> None:
    before = rule_books_in(own_books.rule_books_path)
    assert rule_books_in(own_books.rule_books_path) is before
    change(own_books, "2023-11-01")
    assert rule_books_in(own_books.rule_books_path).books[0].close_policy.grace_minutes == 61
