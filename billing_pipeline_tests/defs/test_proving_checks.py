"""The checks that prove what stands in the lake: green for what the stages made, red once a file was changed."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.contract.log import LogRecord
from billing_pipeline.definitions import defs
from billing_pipeline.ingest.landed_partitions import landed_partitions
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import USAGE_ROLLUPS
from billing_pipeline.settings import PROJECT_ROOT, load_settings

DAYS = DAY, OTHER = date(2024, 1, 30), date(2024, 1, 29)
KEY = dg.AssetCheckKey(dg.AssetKey(USAGE_ROLLUPS.name), "recorded_hash_reproduces")


APPEND_ONLY = dg.AssetCheckKey(dg.AssetKey("raw_usage_events"), "raw_append_only")


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory,
    usage: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Iterator[Pipeline]:
    """Two days of usage, made and recorded as a close does it; the environment points to their home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BILLING_HOME", str(tmp_path_factory.mktemp("company") / "home"))
        patch.setenv("BILLING_DATA", str(PROJECT_ROOT / "data"))
        pipeline = Pipeline(load_settings())
        for day in sorted(DAYS):
            noon = f"{day}T12:00:00Z"
            records = [
                *(registered() if day == OTHER else ()),
                usage(f"of-{day}", noon, quantity=str(day.day)),
            ]
            receive(pipeline, [(noon, record) for record in records])
        result = landed_partitions(pipeline.workshop, DAYS).then(close(pipeline, sorted(DAYS)))
        pipeline.record(result, watermark=pipeline.calendar.close(max(DAYS)), run_id="test")
        yield pipeline
        pipeline.control.dispose()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Of these tests nothing is to be kept."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def evaluated(instance: dg.DagsterInstance, key: dg.AssetCheckKey = KEY) -> dg.AssetCheckEvaluation:
    """Run a check by hand, as from the asset's page."""
    job = defs().resolve_implicit_global_asset_job_def().get_subset(asset_check_selection={key})
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def test_it_is_green_until_a_file_is_changed_behind_the_pipelines_back(
    company: Pipeline, instance: dg.DagsterInstance
) -> None:
    """It blocks, and names the partition and both hashes."""
    assert evaluated(instance).passed
    day, other = (Path(company.lake.files(USAGE_ROLLUPS, [each])[0].path) for each in DAYS)
    before = day.read_bytes()
    day.write_bytes(other.read_bytes())
    try:
        changed = evaluated(instance)
    finally:
        day.write_bytes(before)
    assert not changed.passed
    assert changed.blocking
    assert changed.severity is dg.AssetCheckSeverity.ERROR
    assert str(changed.description).startswith(
        f"usage_rollups {DAY}|2023-11-01 is recorded with content hash"
    )
    assert evaluated(instance).passed


@pytest.mark.usefixtures("company")
def test_the_raw_table_is_what_the_chain_of_landings_says(instance: dg.DagsterInstance) -> None:
    """A link for each landing, and as many files as they name."""
    found = evaluated(instance, APPEND_ONLY)
    assert found.passed
    assert found.metadata["landings"].value == found.metadata["snapshots"].value == len(DAYS)
