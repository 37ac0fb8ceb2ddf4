"""The anomaly report in Dagster: what it shows, and that a close does not need it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from billing_pipeline.contract.parsing import parse
from billing_pipeline.control.clock import now_us
from billing_pipeline.definitions import defs
from billing_pipeline.defs import anomalies
from billing_pipeline.defs.closing import close_through
from billing_pipeline.metering.calendar import DAY_US
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import ANOMALY_REPORT
from billing_pipeline.settings import load_settings
from billing_pipeline.terminal.dagster_home import open_dagster

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from billing_pipeline.metering.stage import StageResult


@pytest.fixture
def fresh_home(tmp_path: Path, home: Path) -> Iterator[Pipeline]:
    """The pipeline of a fresh home, to which the environment points meanwhile."""
    assert home.is_dir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BILLING_HOME", str(tmp_path / "home"))
        patch.setenv("BILLING_DAGSTER", str(tmp_path / "home" / "dagster"))
        yield Pipeline(load_settings())


@pytest.mark.usefixtures("home")
def test_each_partition_shows_what_stands_out(instance: "DagsterInstance") -> None:
    """As a table in its metadata; of four days nothing can stand out yet."""
    records = instance.fetch_materializations(dg.AssetKey(ANOMALY_REPORT.name), limit=100).records
    assert len({record.partition_key for record in records}) == 4
    for record in records:
        assert record.asset_materialization is not None
        metadata = record.asset_materialization.metadata
        assert metadata["anomalies"].value == "Nothing stands out."
        assert metadata["rows: none"].value == 1


def test_a_report_that_fails_holds_no_close_up(fresh_home: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """It decides no amount: the days are closed, and why they have no report is told."""

    def fail(*_arguments: object) -> "StageResult":
        raise RuntimeError("no report today")

    monkeypatch.setattr(anomalies, "report_anomalies", fail)
    received_at = now_us() - 3 * DAY_US
    with fresh_home.queue() as queue:
        queue.append("test", [parse(b"broken")], [received_at])
        queue.advance(received_at + 2 * DAY_US)
    day = fresh_home.calendar.receipt_day(received_at)
    with open_dagster(load_settings()) as instance:
        closed = close_through(fresh_home, instance, defs().resolve_job_def, day)
    assert closed.days == (day,)
    (told,) = closed.without_report
    assert "anomalies_of_day" in told
    assert "no report today" in told
    assert fresh_home.closed_days("closed_days") == {day}
