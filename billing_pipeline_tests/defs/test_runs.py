"""What runs in Dagster: by hand, by schedule, by sensor, side by side, and what it tells afterwards."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from billing_pipeline.contract.parsing import parse
from billing_pipeline.control.clock import now_us
from billing_pipeline.control.partition_records import latest
from billing_pipeline.definitions import defs
from billing_pipeline.defs import triggers
from billing_pipeline.defs.resources import resources
from billing_pipeline.metering.calendar import DAY_US, days_between
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import TABLES
from billing_pipeline.settings import PROJECT_ROOT, load_settings
from billing_pipeline.terminal.dagster_home import open_dagster

if TYPE_CHECKING:
    from dagster import DagsterInstance

DAYS = ("2024-01-28", "2024-01-29", "2024-01-30", "2024-01-31")
RULE_VERSION = "2023-11-01"
RUN_DAYS = Path(__file__).parent / "run_days.py"


def materialize(job: str, partition_key: str) -> str:
    """Run a job for one partition as the UI's launch does, on the home of the environment; its run's end."""
    with dg.DagsterInstance.get() as instance:
        result = (
            defs()
            .resolve_job_def(job)
            .execute_in_process(instance=instance, partition_key=partition_key, raise_on_error=False)
        )
        return "success" if result.success else str([event.message for event in result.all_events])


def hashes() -> dict[str, dict[str, str]]:
    """The content hashes of the home, by table and partition."""
    control = Pipeline(load_settings()).control
    found = {
        table.name: {key: record.content_hash for key, record in latest(control, table.name).items()}
        for table in TABLES
    }
    control.dispose()
    return found


@pytest.fixture
def fresh_home(tmp_path: Path, home: Path) -> Iterator[Pipeline]:
    """The pipeline of a fresh home, to which the environment points meanwhile."""
    assert home.is_dir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BILLING_HOME", str(tmp_path / "home"))
        patch.setenv("BILLING_DAGSTER", str(tmp_path / "home" / "dagster"))
        yield Pipeline(load_settings())


def evaluated(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """The one thing that the landing sensor answers."""
    data = triggers.landing_sensor.evaluate_tick(context)
    if data.run_requests:
        [asked] = data.run_requests
        return asked
    return dg.SkipReason(data.skip_message)


@pytest.mark.usefixtures("home")
def test_what_a_headless_close_made_is_in_the_instance_of_the_home(instance: "DagsterInstance") -> None:
    """Each table's partitions, each with the figures that an auditor asks for first."""
    for table in TABLES:
        events = instance.fetch_materializations(dg.AssetKey(table.name), limit=100).records
        keys = {record.partition_key for record in events}
        expected = {
            "usage_rollups": {f"{day}|{RULE_VERSION}" for day in DAYS},
            # Only where periods end there is something to reconcile.
            "reconciliation_report": {DAYS[-1]},
        }
        assert keys == expected.get(table.name, set(DAYS)), table.name
        for record in events:
            materialization = record.asset_materialization
            assert materialization is not None
            metadata = materialization.metadata
            assert {"content hash", "rule version", "snapshots read", "snapshot written", "watermark"} <= (
                metadata.keys()
            ), table.name
            assert metadata["closed"].value is True
            assert isinstance(metadata["dagster/partition_row_count"].value, int)
            assert metadata["watermark"].value == "2024-02-01T01:00:00.000000Z"
    [push] = {
        record.partition_key
        for record in instance.fetch_materializations(dg.AssetKey("stripe_invoice_pushes"), limit=100).records
        if record.partition_key == DAYS[-1]
    }
    assert push == DAYS[-1]


@pytest.mark.usefixtures("home")
def test_the_counts_of_a_day_are_told_by_outcome(instance: "DagsterInstance") -> None:
    """The raw table tells its records by kind, as they stand in the lake."""
    records = instance.fetch_materializations(dg.AssetKey("raw_usage_events"), limit=100).records
    counted: dict[str, int] = {}
    for record in records:
        assert record.asset_materialization is not None
        for name, value in record.asset_materialization.metadata.items():
            if name.startswith("rows: ") and isinstance(value.value, int):
                counted[name] = counted.get(name, 0) + value.value
    assert counted == {"rows: usage": 40, "rows: invalid": 1, "rows: control": 3}


@pytest.mark.usefixtures("home")
def test_one_partition_materialized_by_hand_comes_out_as_it_was() -> None:
    """As in the UI: one day of records, one day × rule version of rollups, one day of anomalies and of invoices."""
    before = hashes()
    assert materialize("records_of_day", DAYS[1]) == "success"
    assert materialize("rollups_of_day", f"{DAYS[1]}|{RULE_VERSION}") == "success"
    assert materialize("anomalies_of_day", DAYS[1]) == "success"
    assert materialize("invoices_of_day", DAYS[-1]) == "success"
    assert hashes() == before


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "days", [DAYS[1:3], pytest.param(DAYS, marks=pytest.mark.torture)], ids=["two", "all"]
)
def test_partitions_materialized_side_by_side_in_processes_do_not_hinder_each_other(
    days: tuple[str, ...],
) -> None:
    """A process for each day, all at once on the same tables: no lock is lost and nothing else comes out."""
    before = hashes()
    made = subprocess.run(
        [sys.executable, str(RUN_DAYS), RULE_VERSION, *days],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert made.stdout.splitlines() == ["success"] * len(days), made.stdout + made.stderr[-3000:]
    assert hashes() == before


def test_the_landing_sensor_asks_for_a_run_only_when_something_waits(fresh_home: Pipeline) -> None:
    """It names the receipt day that is open, and its key is of what waits, so no run is asked for twice."""
    with (
        open_dagster(fresh_home.settings) as instance,
        dg.build_sensor_context(
            instance=instance, resources=resources(), definitions=defs()
        ) as landing_context,
    ):
        assert isinstance(evaluated(landing_context), dg.SkipReason)
        with fresh_home.queue() as queue:
            queue.append("test", [parse(b"broken")])
            open_day = fresh_home.calendar.receipt_day(queue.clock()).isoformat()
        asked = evaluated(landing_context)
        assert isinstance(asked, dg.RunRequest)
        assert asked.partition_key == open_day
        assert asked == evaluated(landing_context)
        assert materialize("landing", open_day) == "success"
        assert isinstance(evaluated(landing_context), dg.SkipReason)


def test_the_daily_schedule_asks_for_the_close_every_hour(instance: "DagsterInstance") -> None:
    """It runs by itself, in UTC, soon after any grace is over."""
    schedule = triggers.daily_close_schedule
    with dg.build_schedule_context(instance=instance) as context:
        data = schedule.evaluate_tick(context)
    assert len(data.run_requests or []) == 1
    assert schedule.job_name == "daily_close"
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert triggers.landing_sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_the_daily_close_closes_every_day_that_has_ended(fresh_home: Pipeline) -> None:
    """What the schedule starts moves the clock to now and closes what is due, launched as by the UI."""
    calendar = fresh_home.calendar
    received_at = now_us() - 2 * DAY_US
    with fresh_home.queue() as queue:
        queue.append("test", [parse(b"broken")], [received_at])
    ended = days_between(calendar.receipt_day(received_at), calendar.last_closed(now_us()))
    launched = subprocess.run(
        [str(Path(sys.executable).with_name("dg")), "launch", "--job", "daily_close"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert launched.returncode == 0, launched.stderr[-3000:]
    with open_dagster(load_settings()) as instance:
        runs = instance.get_runs()
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert {run.job_name for run in runs} >= {"daily_close", "records_of_day", "invoices_of_day"}
    assert set(hashes()["invoice_lines"]) >= {day.isoformat() for day in ended}
