"""`replay`: a closed day comes out of the log as it was billed, and a row that was changed since is found and named."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from billing_pipeline.audit.replay import Replayed
from billing_pipeline.audit.replay import replay as replay_day
from billing_pipeline.errors import LakeError, ReplayRefusedError, RuleBookChangedError
from billing_pipeline.lake.overlay import OverlaidLake
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.schemas.table import PartitionKey, Table
from billing_pipeline.schemas.tables import (
    INVOICE_LINES,
    RAW_USAGE_EVENTS,
    REJECTED_USAGE_EVENTS,
    UNIQUE_USAGE_EVENTS,
    USAGE_ROLLUPS,
)

OLD, NEW = "2023-11-01", "2026-10-16"
OTHER, DAY, END = date(2026, 10, 5), date(2026, 10, 20), date(2026, 10, 31)
Edit = Callable[[Table, PartitionKey, str], None]
Replay = Callable[..., dict[str, Replayed]]


@pytest.fixture
def replay(company: Pipeline, tmp_path: Path) -> Replay:
    """Replays a day of the closed company; what came of each partition, by table and rule version."""

    def run(day: date, version: str | None = None, rows_most: int = 20) -> dict[str, Replayed]:
        engine = company.engine.with_scratch(tmp_path / "spill")
        found = replay_day(
            replace(company.workshop, engine=engine),
            company.control,
            OverlaidLake(company.lake, tmp_path / "scratch"),
            day,
            version=version,
            rows_most=rows_most,
            told=lambda *_: None,
        )
        return {f"{each.table} {each.key.rule_version or ''}".strip(): each for each in found}

    return run


def home_files(pipeline: Pipeline) -> dict[str, str]:
    """Every file of the home with the hash of its bytes; lock files hold nothing."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(pipeline.settings.home.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.mark.parametrize("day", [OTHER, DAY, END])
def test_an_untouched_day_comes_out_as_it_was_billed(replay: Replay, day: date) -> None:
    """Every derived partition, by its hash: late events, corrections and invoices too."""
    found = replay(day)
    assert not any(each.differences for each in found.values())
    assert all(each.replayed_hash == each.stored_hash == each.recorded_hash for each in found.values())
    wanted = {
        "valid_usage_events",
        "usage_correction_keys",
        "usage_corrections",
        "unmetered_usage",
        "invoice_lines",
    }
    assert wanted <= found.keys()
    assert ("usage_rollups " + OLD in found) == (day != END)


def test_nothing_in_the_home_is_written(company: Pipeline, replay: Replay) -> None:
    before = home_files(company)
    replay(DAY)
    assert home_files(company) == before


def test_an_edited_rollup_row_is_found_and_named(replay: Replay, edit: Edit) -> None:
    """With the value that stands there and the one that comes out of the log."""
    edit(
        USAGE_ROLLUPS,
        PartitionKey(DAY, NEW),
        "SELECT * REPLACE (quantity + (customer_id = 'beta')::BIGINT AS quantity) FROM part",
    )
    found = replay(DAY)
    differing = {name: each for name, each in found.items() if each.differences}
    assert list(differing) == [f"usage_rollups {NEW}"]
    (each,) = differing.values()
    assert each.rows is not None
    ((stored, replayed),) = each.rows.changed()
    assert (stored["customer_id"], stored["meter"]) == ("beta", "llm_tokens")
    assert {name for name in stored if stored[name] != replayed[name]} == {"quantity"}
    assert "1 rows come out of the log and are missing" in each.differences[0]
    assert "changed after it was recorded" in each.differences[1]


def test_lost_and_invented_rows_are_counted_and_listed_up_to_a_number(replay: Replay, edit: Edit) -> None:
    edit(UNIQUE_USAGE_EVENTS, PartitionKey(DAY), "SELECT * FROM part WHERE session_id IS NULL")
    edit(REJECTED_USAGE_EVENTS, PartitionKey(DAY), "FROM part UNION ALL FROM part")
    found = replay(DAY, rows_most=2)
    rows = found["unique_usage_events"].rows
    assert rows is not None
    assert (rows.missing, rows.unexpected, len(rows.missing_rows)) == (6, 0, 2)
    assert [row["id"] for row in rows.missing_rows] == ["root", "root.out"]
    doubled = found["rejected_usage_events"].rows
    assert doubled is not None
    assert (doubled.missing, doubled.unexpected) == (0, 2)
    assert not found[f"usage_rollups {NEW}"].differences, (
        "rollups are made of what comes out, not of what stands there"
    )


def test_an_edited_invoice_line_is_found(replay: Replay, edit: Edit) -> None:
    edit(INVOICE_LINES, PartitionKey(END), "SELECT * REPLACE (amount_minor + 1 AS amount_minor) FROM part")
    found = replay(END)
    assert [name for name, each in found.items() if each.differences] == ["invoice_lines"]


def test_a_rollup_that_is_gone_and_one_that_nobody_asked_for_are_found(
    company: Pipeline, replay: Replay, tmp_path: Path
) -> None:
    company.lake.replace(USAGE_ROLLUPS, [PartitionKey(DAY, OLD)], [])
    statement = tmp_path / "invented.sql"
    statement.write_text("SELECT * REPLACE (DATE '2026-10-31' AS posting_day) FROM part", "utf-8")
    path = company.lake.new_file(USAGE_ROLLUPS)
    with company.engine.session() as session:
        session.scan("part", USAGE_ROLLUPS, [company.lake.files(USAGE_ROLLUPS, [DAY])[0].path])
        session.keep("invented", statement)
        session.write(USAGE_ROLLUPS, "invented", path)
    company.lake.replace(USAGE_ROLLUPS, [PartitionKey(END, NEW)], [path])
    gone = replay(DAY)[f"usage_rollups {OLD}"]
    assert (gone.stored_rows, gone.rows is not None and gone.rows.unexpected) == (0, 0)
    assert gone.differences
    invented = replay(END)[f"usage_rollups {NEW}"]
    assert invented.replayed_rows == 0
    assert any("nothing is recorded of it" in difference for difference in invented.differences)


def test_a_file_that_cannot_be_read_is_said_so(company: Pipeline, replay: Replay) -> None:
    (file,) = company.lake.files(INVOICE_LINES, [END])
    Path(file.path).write_bytes(b"no parquet")
    assert "its files cannot be read" in replay(END)["invoice_lines"].differences[0]


def test_one_rule_version_alone_compares_its_rollups_alone(replay: Replay) -> None:
    assert list(replay(DAY, OLD)) == [f"usage_rollups {OLD}"]


def test_a_version_without_rollups_is_refused_and_the_others_are_named(replay: Replay) -> None:
    with pytest.raises(ReplayRefusedError, match=rf"no rollups of rule version 'x'.*: {OLD}, {NEW}"):
        replay(DAY, "x")


def test_a_day_that_was_never_made_is_refused(replay: Replay) -> None:
    with pytest.raises(
        ReplayRefusedError, match=r"nothing has been made of 2026-11-01 .*close --through 2026-11-01"
    ):
        replay(date(2026, 11, 1))


def test_an_open_day_is_refused(
    *,
    company: Pipeline,
    replay: Replay,
    receive: Callable[..., None],
    usage: Callable[..., object],
    close: Callable[..., object],
) -> None:
    """Made by hand before its close, it has no final form."""
    day = date(2026, 11, 2)
    receive(company, [("2026-11-02T12:00:00Z", usage("next", "2026-11-02T11:00:00Z"))])
    made = close(company, [day])
    company.record(made, watermark=company.calendar.close(day) - 1, run_id="early")  # type: ignore[arg-type]
    with pytest.raises(ReplayRefusedError, match=f"{day} is open: .*close --through {day}"):
        replay(day)


def test_changed_rules_are_refused(company: Pipeline, replay: Replay) -> None:
    """They would give other numbers, and nobody could tell why."""
    first, *others = company.books
    company.books = RuleBooks((replace(first, content_hash="feed"), *others))
    with pytest.raises(RuleBookChangedError):
        replay(DAY)


def test_the_overlay_appends_nothing(company: Pipeline, tmp_path: Path) -> None:
    """And replaces nothing of what is only appended to."""
    overlay = OverlaidLake(company.lake, tmp_path)
    with pytest.raises(LakeError):
        overlay.append(RAW_USAGE_EVENTS, [], {})
    with pytest.raises(LakeError):
        overlay.replace(RAW_USAGE_EVENTS, [PartitionKey(DAY)], [])
