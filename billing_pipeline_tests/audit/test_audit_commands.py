"""`billing verify`, `replay` and `trace` as a person or a CI job runs them: what they print and their exit status."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from billing_pipeline.cli import billing
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey, Table
from billing_pipeline.schemas.tables import USAGE_ROLLUPS
from billing_pipeline.settings import PROJECT_ROOT

NEW = "2026-10-16"
DAY = date(2026, 10, 20)
EDITED = "SELECT * REPLACE (quantity + 1 AS quantity) FROM part WHERE customer_id = 'beta'"
Edit = Callable[[Table, PartitionKey, str], None]


@pytest.fixture
def command(company: Pipeline) -> Callable[..., Result]:
    """Runs the command on the closed company."""
    environment = {
        "BILLING_HOME": str(company.settings.home),
        "BILLING_DATA": str(PROJECT_ROOT / "data"),
        "BILLING_TOML": str(company.settings.home / "none.toml"),
        "COLUMNS": "200",
    }

    def run(*arguments: object) -> Result:
        return CliRunner(env=environment).invoke(billing, [str(argument) for argument in arguments])

    return run


def test_verify_of_an_untouched_company_ends_with_status_0(command: Callable[..., Result]) -> None:
    done = command("verify")
    assert done.exit_code == 0, done.output
    assert "Everything holds: no fault was found." in done.stdout
    assert "conservation: rollups" in done.stdout


def test_verify_ends_with_status_1_and_says_what_is_wrong(command: Callable[..., Result], edit: Edit) -> None:
    """Also as JSON, which stands alone on the standard output."""
    edit(USAGE_ROLLUPS, PartitionKey(DAY, NEW), EDITED)
    done = command("verify", "--from", DAY, "--to", DAY)
    assert done.exit_code == 1
    assert f"hashes: usage_rollups: usage_rollups {DAY}|{NEW} is recorded with content hash" in done.stdout
    assert "faults found." in done.stdout
    machine = command("verify", "--json")
    assert machine.exit_code == 1
    document = json.loads(machine.stdout)
    assert document["ok"] is False
    assert {each["check"] for each in document["checks"] if each["faults"]} == {
        "hashes: usage_rollups",
        "conservation: rollups",
    }


def test_replay_of_an_untouched_day_ends_with_status_0(
    command: Callable[..., Result], tmp_path: Path
) -> None:
    """What was computed is kept where it was asked for."""
    kept = tmp_path / "kept"
    done = command("replay", DAY, "--keep", kept)
    assert done.exit_code == 0, done.output
    assert "Everything comes out as it was billed." in done.stdout
    document = json.loads((kept / "replay.json").read_text("utf-8"))
    files = [file for each in document["partitions"] for file in each["files"]]
    assert files
    assert all(Path(file).is_file() and Path(file).is_relative_to(kept.resolve()) for file in files)
    again = command("replay", DAY, "--keep", kept)
    assert again.exit_code == 1
    assert "is not empty" in str(again.exception)


def test_replay_names_the_edited_row_and_ends_with_status_1(
    command: Callable[..., Result], edit: Edit
) -> None:
    edit(USAGE_ROLLUPS, PartitionKey(DAY, NEW), EDITED)
    done = command("replay", DAY, "--rule-version", NEW)
    assert done.exit_code == 1
    assert "1 of 1 partitions differ." in done.stdout
    changed = [line for line in done.stdout.splitlines() if line.startswith("  ~ ")]
    assert "customer_id=beta" in changed[0]
    assert "quantity is 2000752, comes out as 2000751" in changed[0]
    assert any(line.startswith("  + ") and "customer_id=acme" in line for line in done.stdout.splitlines())
    document = json.loads(command("replay", DAY, "--json").stdout)
    assert document["ok"] is False
    (partition,) = [each for each in document["partitions"] if each["differences"]]
    assert partition["unexpected_rows"][0]["customer_id"] == "beta"


def test_replay_of_a_day_that_is_not_closed_is_an_error(command: Callable[..., Result]) -> None:
    done = command("replay", "2026-11-20")
    assert done.exit_code == 1
    assert "close it with `billing close --through 2026-11-20`" in str(done.exception)


def test_trace_shows_the_way_of_an_event(command: Callable[..., Result]) -> None:
    """With what counted instead, and with offsets and files."""
    done = command("trace", "--event", "app", "a")
    assert done.exit_code == 0, done.output
    assert "conflict of offset 6, which counted" in done.stdout
    assert "support fix, void: applied (metering_error)" in done.stdout
    assert "snapshot" in done.stdout
    document = json.loads(command("trace", "--event", "app", "a", "--json").stdout)
    assert [each["outcome"]["name"] for each in document["records"]] == ["counted", "duplicate", "conflict"]
    assert document["parts"][0]["meterings"][0]["lines"][0]["amount_minor"]


def test_trace_shows_a_session_as_a_tree(command: Callable[..., Result]) -> None:
    done = command("trace", "--session", "run-1")
    assert done.exit_code == 0, done.output
    assert "session run-1: 6 events" in done.stdout
    assert "sub.tool tool_call at offset" in done.stdout
    assert "9.042 USD" in done.stdout
    document = json.loads(command("trace", "--session", "run-1", "--json").stdout)
    assert document["totals"]["amounts"] == {"usd": "9.042"}


def test_trace_shows_what_a_line_rests_on(command: Callable[..., Result]) -> None:
    event = json.loads(command("trace", "--event", "app", "late", "--json").stdout)
    line_id = event["parts"][0]["meterings"][0]["lines"][0]["line_id"]
    done = command("trace", "--line", line_id)
    assert done.exit_code == 0, done.output
    assert "the evidence comes to the line's quantity" in done.stdout
    document = json.loads(command("trace", "--line", line_id, "--all", "--json").stdout)
    assert document["adds_up"] is True
    assert document["event_rows"] == len(document["events"]) == 4


@pytest.mark.parametrize("arguments", [[], ["--session", "a", "--line", "b"]])
def test_trace_wants_exactly_one_thing_to_follow(
    command: Callable[..., Result], arguments: list[str]
) -> None:
    done = command("trace", *arguments)
    assert done.exit_code == 2
    assert "give exactly one of --event SOURCE ID, --session ID and --line LINE_ID" in done.output
